"""Session tokens, OAuth access tokens and the gate's assertion, as a service checks them."""

import json
import resource
import subprocess
import sys

import pytest

from doorward.jose import ClaimRefused, JoseError, KeySet, TokenExpired, UnknownKey, generate_key, sign_jwt
from doorward.verify import (
    TYP_ASSERTION,
    Assertion,
    JwksCache,
    verify_assertion,
    verify_oauth_access_token,
    verify_session_token,
)

ISSUER, NOW = "https://accounts.example", 1_800_000_000
KEY = generate_key("RS256", kid="k1")
MACHINE = generate_key("EdDSA")
SESSION = {"iss": ISSUER, "sub": "user_1", "sid": "sess_1", "iat": NOW, "nbf": NOW - 10, "exp": NOW + 60}
ACCESS = {
    "iss": ISSUER,
    "sub": "user_1",
    "client_id": "cli",
    "scope": "openid email",
    "exp": NOW + 60,
    "aud": ["api"],
}
VISIT = {
    "iss": "t3-env:e1",
    "aud": "https://svc.example",
    "sub": "user_1",
    "jkt": "thumb",
    "iat": NOW,
    "exp": NOW + 60,
}


async def fetch(_: str) -> bytes:
    return json.dumps(KeySet([KEY.public]).to_jwks()).encode()


def keys() -> JwksCache:
    return JwksCache("https://accounts.example/jwks", fetch=fetch)


async def session(changes=None, *, typ="JWT", header=None, key=KEY, **options):
    made = sign_jwt({**SESSION, **(changes or {})}, key, typ=typ, header=header)
    return await verify_session_token(made, **{"jwks": keys(), "issuer": ISSUER, "now": NOW, **options})


async def access(changes=None, *, typ="at+jwt", **options):
    made = sign_jwt({**ACCESS, **(changes or {})}, KEY, typ=typ)
    return await verify_oauth_access_token(made, **{"jwks": keys(), "issuer": ISSUER, "now": NOW, **options})


@pytest.mark.anyio
async def test_a_session_token_names_person_and_session() -> None:
    found = await session({"role": "admin"})
    assert (found.user_id, found.session_id, found.claims["role"]) == ("user_1", "sess_1", "admin")


@pytest.mark.anyio
@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://other"},
        {"sub": 5},
        {"sid": None},
        {"exp": NOW - 5},
        {"nbf": NOW + 6},
        {"iat": NOW + 6},
    ],
)
async def test_a_session_token_with_a_wrong_claim_is_refused(changes) -> None:
    with pytest.raises(ClaimRefused):
        await session(changes)


@pytest.mark.anyio
async def test_five_seconds_of_clock_difference_are_forgiven() -> None:
    assert await session({"exp": NOW - 4, "iat": NOW + 5, "nbf": NOW + 5})
    with pytest.raises(TokenExpired):
        await session({"exp": NOW - 5})


@pytest.mark.anyio
async def test_the_clock_is_used_when_no_time_is_given() -> None:
    with pytest.raises(TokenExpired):
        await session({"exp": 1_000_000_000, "iat": 1, "nbf": 1}, now=None)


@pytest.mark.anyio
@pytest.mark.parametrize("typ", ["at+jwt", "dpop+jwt", TYP_ASSERTION])
async def test_another_kind_of_token_is_no_session(typ) -> None:
    with pytest.raises(ClaimRefused):
        await session(typ=typ)


@pytest.mark.anyio
async def test_a_session_says_its_category_or_none() -> None:
    for good in ("cl_B7d4PD111AAA", "cl_I7d4PD111III"):
        assert await session(header={"cat": good})
    for bad in ("cl_B7d4PD222AAA", "cl_B7d4PD333AAA", "", None, 5):
        with pytest.raises(ClaimRefused):
            await session(header={"cat": bad})
    assert await session({"aud": "api"}, header={"cat": "cl_B7d4PD222AAA"}, audience="api")


@pytest.mark.anyio
async def test_an_id_token_that_a_client_replays_is_no_session() -> None:
    id_token = {
        "aud": "doorward-gate",
        "at_hash": "AAAAAAAAAAAAAAAAAAAAAA",
        "auth_time": NOW,
        "exp": NOW + 86_400,
    }
    for options in ({}, {"authorized_parties": ["https://app"]}, {"audience": "doorward-gate"}):
        with pytest.raises(ClaimRefused):
            await session(id_token, **options)


@pytest.mark.anyio
async def test_a_session_that_names_an_audience_is_for_that_audience_alone() -> None:
    assert await session({"aud": "api"}, audience="api")
    with pytest.raises(ClaimRefused):
        await session({"aud": "api"})


@pytest.mark.anyio
async def test_a_template_token_is_for_its_audience_and_may_lack_the_session() -> None:
    made = sign_jwt(
        {n: v for n, v in SESSION.items() if n != "sid"} | {"aud": "t3-code-relay"}, KEY, typ="JWT"
    )
    options = {"jwks": keys(), "issuer": ISSUER, "now": NOW}
    assert (await verify_session_token(made, audience="t3-code-relay", **options)).session_id is None
    with pytest.raises(ClaimRefused):
        await verify_session_token(made, audience="other", **options)
    with pytest.raises(ClaimRefused):
        await verify_session_token(made, **options)


@pytest.mark.anyio
async def test_a_token_for_another_site_is_refused_where_the_sites_are_listed() -> None:
    assert await session({"azp": "https://app"}, authorized_parties=["https://app"])
    assert await session(authorized_parties=["https://app"])
    assert await session({"azp": "https://evil"})
    with pytest.raises(ClaimRefused):
        await session({"azp": "https://evil"}, authorized_parties=["https://app"])


@pytest.mark.anyio
async def test_a_token_by_a_stranger_is_refused() -> None:
    with pytest.raises(UnknownKey):
        await session(key=generate_key("RS256", kid="k2"))
    with pytest.raises(JoseError):
        await session(key=generate_key("RS256", kid="k1"))


@pytest.mark.anyio
async def test_an_access_token_names_person_client_and_scopes() -> None:
    found = await access(
        {"cnf": {"jkt": "thumb"}}, audience="api", client_ids=["cli"], required_scopes=["email"]
    )
    assert (found.user_id, found.client_id, found.scopes) == ("user_1", "cli", ("openid", "email"))
    assert found.thumbprint == "thumb"
    assert (await access(typ="application/AT+JWT")).thumbprint is None


@pytest.mark.anyio
@pytest.mark.parametrize(
    "changes, options",
    [
        ({"iss": "x"}, {}),
        ({"client_id": None}, {}),
        ({"sub": 5}, {}),
        ({"scope": ["openid"]}, {}),
        ({"cnf": "thumb"}, {}),
        ({"exp": NOW - 5}, {}),
        ({}, {"audience": "other"}),
        ({}, {"client_ids": []}),
        ({}, {"client_ids": ["other"]}),
        ({}, {"required_scopes": ["openid", "admin"]}),
        ({}, {"typ": "JWT"}),
    ],
)
async def test_an_access_token_that_does_not_fit_is_refused(changes, options) -> None:
    with pytest.raises(ClaimRefused):
        await access(changes, **options)


def visit(changes=None, *, key=MACHINE, typ=TYP_ASSERTION, **options):
    made = sign_jwt({**VISIT, **(changes or {})}, key, typ=typ)
    return verify_assertion(
        made, **{"jwks": MACHINE.public, "audience": "https://svc.example", "now": NOW, **options}
    )


def test_an_assertion_names_visitor_device_and_machine() -> None:
    expected = Assertion("user_1", "thumb", "e1")
    assert visit() == visit(jwks=KeySet([MACHINE.public])) == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://other.example"},
        {"iss": "e1"},
        {"iss": "t3-env:"},
        {"iss": None},
        {"sub": None},
        {"jkt": None},
        {"exp": NOW - 5},
        {"iat": NOW + 6},
        {"iat": NOW - 66, "exp": NOW + 999},
    ],
)
def test_an_assertion_that_does_not_fit_is_refused(changes) -> None:
    with pytest.raises(ClaimRefused):
        visit(changes)


def test_an_assertion_is_by_this_machine_and_of_its_own_type() -> None:
    for made in (
        {"key": generate_key("EdDSA")},
        {"typ": "JWT"},
        {"typ": "t3-env-mint+jwt"},
        {"key": generate_key("ES256")},
    ):
        with pytest.raises(JoseError):
            visit(**made)


def test_a_missing_claim_is_refused() -> None:
    for name in VISIT:
        made = sign_jwt({n: v for n, v in VISIT.items() if n != name}, MACHINE, typ=TYP_ASSERTION)
        with pytest.raises(ClaimRefused):
            verify_assertion(made, jwks=MACHINE.public, audience="https://svc.example", now=NOW)


def test_importing_it_loads_neither_servers_nor_an_http_stack() -> None:
    script = "import sys, doorward.verify; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {
        "asyncio",
        "http.client",
        "urllib.request",
        "ssl",
        "starlette",
        "httpcore",
        "sqlite3",
        "doorward.store",
    }
    assert not loaded & {"cryptography.hazmat.primitives.serialization.ssh", "importlib.resources"}


def test_importing_it_costs_little_cpu_time() -> None:
    """The goal is 120 ms on an idle machine; here it may be twice that, as other suites share the processor."""

    def cost(script):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", script], check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    cost("import doorward.verify")
    best = min(cost("import doorward.verify") for _ in range(5)) - min(cost("pass") for _ in range(3))
    assert best < 0.240
