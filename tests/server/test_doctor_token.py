"""`doorward doctor token` and `doorward keys export`: what a person hears of a token, and that the token is never repeated."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from doorward.jose import PrivateKey, PublicKey, b64url_encode, generate_key, sign_jwt
from doorward.server.doctor.findings import Finding
from doorward.server.doctor.token import examine_token
from tests.in_process import command
from tests.server.nodes import ServedNode, served

pytestmark = pytest.mark.anyio

NONE = b64url_encode(b'{"alg":"none"}')
NOW = 1_800_000_000
KEY = generate_key("RS256", kid="ins_1")
SESSION = {"cat": "cl_B7d4PD111AAA"}
TEMPLATE = {"cat": "cl_B7d4PD222AAA"}
GOOD: dict[str, Any] = {
    "iss": "https://accounts.example.com",
    "sub": "user_1",
    "sid": "sess_1",
    "azp": "https://app.example.com",
    "aud": "notes",
    "iat": NOW,
    "nbf": NOW - 10,
    "exp": NOW + 60,
}


def token(header: dict[str, str] = SESSION, key: PrivateKey = KEY, **claims: Any) -> str:
    """Claims that are `...` are left out."""
    return sign_jwt({n: v for n, v in (GOOD | claims).items() if v is not ...}, key, typ="JWT", header=header)


async def told(text: str, **options: Any) -> dict[str, Finding]:
    found = await examine_token(
        text, **({"now": NOW, "database": None, "template": None, "hasura": None, "triplit": None} | options)
    )
    for finding in found:
        assert text not in repr(finding) or len(text) < 10
        assert finding.level == "ok" or (finding.why and finding.mend), finding
    return {finding.check: finding for finding in found}


def bad(found: dict[str, Finding]) -> set[str]:
    return {check for check, finding in found.items() if finding.level != "ok"}


async def test_a_good_session_token_has_nothing_against_it() -> None:
    found = await told(token())
    assert not bad(found)
    assert "take it for a session, from https://app.example.com" in found["clerk"].what


@pytest.mark.parametrize(
    ("text", "checks"),
    [
        pytest.param("Bearer x", {"form"}, id="no JWT"),
        pytest.param(token(exp=...), {"exp"}, id="no exp"),
        pytest.param(token(exp="x"), {"exp"}, id="exp is text"),
        pytest.param(token(exp=NOW - 5), {"exp"}, id="expired"),
        pytest.param(token(exp=NOW + 10**7), {"lifetime"}, id="long"),
        pytest.param(token(nbf=NOW + 5), {"nbf"}, id="not yet valid"),
        pytest.param(token(nbf=NOW), {"nbf"}, id="nbf not set back"),
        pytest.param(token(iat=NOW + 60, nbf=NOW), {"iat"}, id="made in the future"),
        pytest.param(token(sub=...), {"sub"}, id="no sub"),
        pytest.param(token(sub=None), {"sub", "null"}, id="sub is null"),
        pytest.param(token(sub=""), {"sub"}, id="sub is empty"),
        pytest.param(token(iss="https://a.example/"), {"iss"}, id="a slash at the end"),
        pytest.param(token(aud=...), {"aud"}, id="no audience"),
        pytest.param(token(o={"id": None}), {"null"}, id="a null inside"),
        pytest.param(token(sid=...), {"clerk"}, id="no session"),
        pytest.param(token(sts="pending"), {"clerk"}, id="pending"),
        pytest.param(token(TEMPLATE), {"clerk"}, id="a template's"),
        pytest.param(token(key=generate_key("ES256")), {"clerk"}, id="ES256"),
        pytest.param(token(big="x" * 4000), {"size"}, id="large"),
    ],
)
async def test_each_trap_is_told(text: str, checks: set[str]) -> None:
    assert bad(await told(text)) == checks


@pytest.mark.parametrize(
    ("text", "kind", "accepted"),
    [
        pytest.param(token({"cat": "cl_B7d4PD333AAA"}, sid=...), "a machine's token", "m2m_token", id="cat"),
        pytest.param(token({}, sub="mch_1", sid=...), "a machine's token", "m2m_token", id="subject"),
        pytest.param(sign_jwt(GOOD, KEY, typ="at+jwt"), "an OAuth access token", "oauth_token", id="OAuth"),
    ],
)
async def test_a_token_of_no_person_at_a_browser_is_told_to_be_no_session(
    text: str, kind: str, accepted: str
) -> None:
    found = await told(text)
    assert kind in found["form"].what
    assert bad(found) == {"clerk"}
    assert "token-type-mismatch" in found["clerk"].what
    assert accepted in (found["clerk"].mend or "")


async def test_a_token_that_nobody_signed_is_a_problem() -> None:
    claims = token().split(".")[1]
    found = await told(f"{NONE}.{claims}.")
    assert {check for check, finding in found.items() if finding.level == "problem"} == {"form", "clerk"}
    assert "nobody signed it" in found["form"].what


def auth_config(**jwt: Any) -> str:
    mode = {
        "claimsConfig": {"namespace": {"claimsFormat": "Json", "location": "/claims.jwt.hasura.io"}},
        "tokenLocation": {"type": "Header", "name": "Auth-Token"},
        "key": {"fixed": {"algorithm": "RS256", "key": {"value": KEY.public.to_pem()}}},
        "audience": ["notes"],
        "issuer": "https://accounts.example.com",
    } | jwt
    return json.dumps({"kind": "AuthConfig", "version": "v3", "definition": {"mode": {"jwt": mode}}})


CLAIMS = {"x-hasura-default-role": "user", "x-hasura-allowed-roles": ["user"], "x-hasura-level": 5}


async def test_hasura_is_told_by_its_own_configuration() -> None:
    good = token(TEMPLATE, **{"claims.jwt.hasura.io": CLAIMS})
    found = await told(good, hasura=auth_config())
    assert "role user, variables x-hasura-level (number)" in found["hasura"].what
    found = await told(good, hasura=auth_config(audience=None))
    assert {"hasura_config", "hasura"} <= bad(found)
    assert "InvalidAudience" in found["hasura"].what
    found = await told(token(TEMPLATE), hasura=auth_config())
    assert "claims_not_found" in found["hasura"].what


PEM_LINE = KEY.public.to_pem().replace("\n", "")


@pytest.mark.conformance("data-access", 15)
@pytest.mark.parametrize(
    ("text", "level", "says"),
    [
        pytest.param(PEM_LINE, "warning", "Triplit knows this one only", id="one static key"),
        pytest.param(f" {PEM_LINE}", "problem", "shared secret", id="forgeable"),
        pytest.param(
            PEM_LINE.replace("KEY-----M", "KEY-----\\nM", 1), "problem", "two characters", id="broken"
        ),
        pytest.param("a shared secret", "warning", "shared secret", id="a secret"),
    ],
)
async def test_triplit_is_told_by_its_key(text: str, level: str, says: str) -> None:
    found = await told(token(), triplit=text)
    assert (found["triplit_key"].level, says in found["triplit_key"].what) == (level, True)
    assert (found["triplit"].level == "ok") == (text == PEM_LINE)
    if text == PEM_LINE:
        assert "authenticated" in found["triplit"].what


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNode]:
    with served(tmp_path_factory.mktemp("node")) as running:
        yield running
        running.stop()


@pytest.mark.conformance("data-access", 1)
def test_a_person_exports_the_key_and_asks_about_tokens(node: ServedNode, tmp_path: Path) -> None:
    def doorward(*arguments: str) -> tuple[int, str]:
        done = command(*arguments, "--config", str(node.config), home=tmp_path)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout

    status, line = doorward("keys", "export", "--pem")
    assert (status, line.count("\n"), line.startswith("-----BEGIN PUBLIC KEY-----M")) == (0, 1, True)
    status, lines = doorward("keys", "export", "--pem-lines")
    assert line == lines.replace("\n", "") + "\n"  # nothing around it
    status, jwk = doorward("keys", "export", "--jwk")
    public = PublicKey.from_jwk(json.loads(jwk))
    assert (public.to_pem(), json.loads(jwk)["use"], json.loads(jwk)["alg"]) == (lines, "sig", "RS256")
    stranger = token(TEMPLATE, aud="t3-code-relay")
    (tmp_path / "key").write_text(line)
    status, answer = doorward(
        "doctor", "token", stranger, "--template", "t3-relay", "--triplit", str(tmp_path / "key"), "--json"
    )
    levels = {each["check"]: each["level"] for each in json.loads(answer)["findings"]}
    assert (status, levels["signature"], levels["template"], levels["triplit"]) == (
        1,
        "problem",
        "ok",
        "problem",
    )
    assert stranger not in answer
    status, answer = doorward("doctor", "token", stranger, "--template", "nope")
    assert (status, "There is no template nope" in answer, stranger in answer) == (1, True, False)
