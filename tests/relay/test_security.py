"""Every way past the checks that tokens and proofs go through: forged, altered, of another kind, at another door.

Each check is told with all its forgeries at once, as one table of who got what.
"""

import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest

from doorward.jose import PrivateKey, b64url_decode, b64url_encode, generate_key, peek_claims, sign_jwt
from tests.relay.foreign import Environment
from tests.relay.test_endpoints import connector
from tests.relay.test_recovery import RECOVER
from tests.relay.world import ACCESS_TOKEN, World

pytestmark = pytest.mark.anyio


# --- forgeries of a token signed by an environment's key ---------------------------------------------------

Forge = Callable[[Environment, dict[str, Any], str], str]
"""(environment, honest claims, typ) → a token."""


def raw(environment: Environment, header: dict[str, Any], claims: Any) -> str:
    """A token with any header at all, well signed with the environment's key."""
    signed = f"{_part(header)}.{_part(claims)}"
    return f"{signed}.{b64url_encode(environment.key.sign(signed.encode()))}"


def _part(value: Any) -> str:
    return b64url_encode(value if isinstance(value, bytes) else json.dumps(value).encode())


def header(**changes: Any) -> Forge:
    def forge(environment: Environment, claims: dict[str, Any], typ: str) -> str:
        fields = {"alg": "EdDSA", "typ": typ, **changes}
        return raw(environment, {name: value for name, value in fields.items() if value is not None}, claims)

    return forge


def claim(**changes: Any) -> Forge:
    def forge(environment: Environment, claims: dict[str, Any], typ: str) -> str:
        changed = {**claims, **changes}
        present = {name: value for name, value in changed.items() if value is not ABSENT}
        return raw(environment, {"alg": "EdDSA", "typ": typ}, present)

    return forge


ABSENT = object()
NOW = 1_800_000_000


def unsigned(environment: Environment, claims: dict[str, Any], typ: str) -> str:
    return f"{_part({'alg': 'none', 'typ': typ})}.{_part(claims)}."


def public_key_as_secret(environment: Environment, claims: dict[str, Any], typ: str) -> str:
    signed = f"{_part({'alg': 'HS256', 'typ': typ})}.{_part(claims)}"
    secret = environment.public_key_pem.encode()
    return f"{signed}.{b64url_encode(hmac.new(secret, signed.encode(), hashlib.sha256).digest())}"


def strangers(environment: Environment, claims: dict[str, Any], typ: str) -> str:
    return environment.sign(claims, typ, generate_key("EdDSA"))


def payload_altered(environment: Environment, claims: dict[str, Any], typ: str) -> str:
    head, _, signature = environment.sign(claims, typ).split(".")
    return f"{head}.{_part({**claims, 'extra': True})}.{signature}"


def signature_cut(environment: Environment, claims: dict[str, Any], typ: str) -> str:
    return environment.sign(claims, typ)[:-2]


def padded(environment: Environment, claims: dict[str, Any], typ: str) -> str:
    return environment.sign(claims, typ) + "=="


def claims_in_a_list(environment: Environment, claims: dict[str, Any], typ: str) -> str:
    return raw(environment, {"alg": "EdDSA", "typ": typ}, [claims])


def claims_twice(environment: Environment, claims: dict[str, Any], typ: str) -> str:
    """Two readers that disagree about which of two members counts would check one and use the other."""
    text = json.dumps(claims)[:-1] + ', "environmentId": "env-2"}'
    return raw(environment, {"alg": "EdDSA", "typ": typ}, text.encode())


FORGERIES: dict[str, Forge] = {
    "without signature": unsigned,
    "the public key as a secret": public_key_as_secret,
    "a stranger's signature": strangers,
    "the payload altered": payload_altered,
    "the signature cut": signature_cut,
    "padding": padded,
    "claims in a list": claims_in_a_list,
    "a claim twice": claims_twice,
    "alg Ed25519": header(alg="Ed25519"),
    "alg ES256": header(alg="ES256"),
    "no alg": header(alg=None),
    "no typ": header(typ=None),
    "typ JWT": header(typ="JWT"),
    "typ of another kind": header(typ="t3-env-activity+jwt"),
    "an unknown critical header": header(crit=["exp"], exp=NOW + 60),
    "an unencoded payload": header(b64=False, crit=["b64"]),
    "no iss": claim(iss=ABSENT),
    "no aud": claim(aud=ABSENT),
    "no iat": claim(iat=ABSENT),
    "no exp": claim(exp=ABSENT),
    "no jti": claim(jti=ABSENT),
    "another iss": claim(iss="t3-env:env-2"),
    "the relay as iss": claim(iss="http://relay.localhost"),
    "another aud": claim(aud="https://relay.example"),
    "the aud with a slash": claim(aud="http://relay.localhost/"),
    "iat as text": claim(iat=str(NOW)),
    "exp as text": claim(exp=str(NOW + 60)),
    "a fractional exp": claim(exp=NOW + 60.5),
    "an infinite exp": claim(exp=1e400),
    "expired by the tolerance": claim(iat=NOW - 200, exp=NOW - 60),
    "too old": claim(iat=NOW - 361),
    "from the future": claim(iat=NOW + 61),
    "not before later": claim(nbf=NOW + 61),
    "nbf as text": claim(nbf="now"),
    "a blank jti": claim(jti=" "),
    "null for a string": claim(environmentId=None),
    "another environment": claim(environmentId="env-2"),
}
TOLERATED: dict[str, Forge] = {
    "typ in capitals": lambda environment, claims, typ: header(typ=typ.upper())(environment, claims, typ),
    "typ with its long name": lambda environment, claims, typ: header(typ="application/" + typ)(
        environment, claims, typ
    ),
    "claims nobody knows": claim(somethingNew={"deep": [1]}),
    "a header nobody knows": header(kid="key-1"),
    "a clock a minute behind": claim(iat=NOW - 60),
    "a clock a minute ahead": claim(iat=NOW + 60),
}

Attempt = Callable[[World, Forge], Awaitable[str]]
"""What came of a forgery: "accepted", or the reason it was refused with."""


async def as_link_proof(world: World, forge: Forge) -> str:
    honest = peek_claims(world.environment.link_proof(await world.challenge()), dict)
    answer = await world.post_link(forge(world.environment, honest, "t3-env-link+jwt"))
    return (
        "accepted" if answer.status_code == 200 else str(answer.json().get("reason", answer.json()["_tag"]))
    )


async def as_minted_credential(world: World, forge: Forge) -> str:
    def answer(request: dict[str, Any]) -> Any:
        body, claims = world.environment.minted(request)
        return world.environment.json({**body, "proof": forge(world.environment, claims, "t3-env-mint+jwt")})

    world.environment.answer_mint = answer
    told = await world.connect(world.saved_token)
    assert ("ABCDEFGHJKLM" in told.text) == (told.status_code == 200)
    return "accepted" if told.status_code == 200 else str(told.json()["reason"])


async def as_health_answer(world: World, forge: Forge) -> str:
    def answer(request: dict[str, Any]) -> Any:
        body, claims = world.environment.health_parts(request)
        return world.environment.json(
            {**body, "proof": forge(world.environment, claims, "t3-env-health+jwt")}
        )

    world.environment.answer_health = answer
    told = await world.status(world.saved_token)
    return "accepted" if told.status_code == 200 else str(told.json()["reason"])


async def as_recovery_proof(world: World, forge: Forge) -> str:
    body = world.environment.recovery_body()
    honest = peek_claims(body["proof"], dict)
    body["proof"] = forge(world.environment, honest, "t3-env-managed-tunnel-recovery+jwt")
    credential = {"authorization": f"Bearer {world.saved_credential}"}
    told = await world.http.post(RECOVER, json=body, headers=credential)
    return "accepted" if told.status_code == 200 else str(told.json()["reason"])


PLACES: dict[Attempt, str] = {
    as_link_proof: "invalid_signature_or_scope",
    as_minted_credential: "endpoint_response_invalid",
    as_health_answer: "endpoint_response_invalid",
    as_recovery_proof: "not_authorized",
}
# An expired link proof has a word of its own, judged before its signature.
EXCEPTIONS = {(as_link_proof, "expired by the tolerance"): "RelayEnvironmentLinkProofExpiredError"}


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
async def test_no_forgery_of_an_environments_token_is_taken(unlimited: World, place: Attempt) -> None:
    outcomes = {name: await place(unlimited, forge) for name, forge in FORGERIES.items()}
    expected = {name: EXCEPTIONS.get((place, name), PLACES[place]) for name in FORGERIES}
    assert outcomes == expected


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
async def test_what_the_protocol_tolerates_is_tolerated(unlimited: World, place: Attempt) -> None:
    outcomes = {name: await place(unlimited, forge) for name, forge in TOLERATED.items()}
    assert outcomes == dict.fromkeys(TOLERATED, "accepted")


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
async def test_an_environments_token_of_one_kind_is_none_of_another(unlimited: World, place: Attempt) -> None:
    """Whole honest tokens of the other kinds, with their own claims and typ."""
    environment = unlimited.environment
    request = {"clientProofKeyThumbprint": unlimited.device.public.thumbprint, "nonce": "n"}
    others = {
        as_link_proof: environment.link_proof(await unlimited.challenge()),
        as_minted_credential: environment.sign(environment.minted(request)[1], "t3-env-mint+jwt"),
        as_health_answer: environment.sign(environment.health_parts(request)[1], "t3-env-health+jwt"),
        as_recovery_proof: environment.recovery_body()["proof"],
    }
    del others[place]
    activity = environment.claims(threadId="t-1", state=None)
    tokens = [*others.values(), environment.sign(activity, "t3-env-activity+jwt")]
    outcomes = [await place(unlimited, lambda *_, token=token: token) for token in tokens]  # type: ignore[misc]
    assert outcomes == [PLACES[place]] * 4


# --- tokens of the relay's own key --------------------------------------------------------------------------


async def mint_key(world: World) -> PrivateKey:
    sealed = (await world.rows("SELECT sealed_private_key FROM relay_signing_keys"))[0][0]
    pem = world.sealer.open(b64url_decode(sealed), context="relay.signing_keys.cloud-mint")
    return PrivateKey.from_pem(pem.decode(), alg="EdDSA")


async def test_a_token_of_the_relay_is_good_for_its_own_purpose_only(unlimited: World) -> None:
    """One key signs challenges, access tokens and requests to environments: `typ` and audience keep them apart."""
    world = unlimited
    await world.connect(world.saved_token)
    await world.status(world.saved_token)
    key = await mint_key(world)
    kinds = {
        "challenge": await world.challenge(),
        "access token": await world.token(),
        "mint request": sign_jwt(world.environment.received[0][1], key, typ="t3-cloud-mint+jwt"),
        "health request": sign_jwt(world.environment.received[1][1], key, typ="t3-cloud-health+jwt"),
    }

    async def opens_dpop_route(token: str) -> bool:
        return (await world.status(token)).status_code != 401

    async def speaks_for_an_account(token: str) -> bool:
        answer = await world.http.get("/v1/environments", headers={"authorization": f"Bearer {token}"})
        return answer.status_code != 401

    async def is_a_challenge(token: str) -> bool:
        answer = await world.post_link(world.environment.link_proof(token))
        assert answer.status_code == 200 or answer.json()["reason"] == "challenge_invalid"
        return answer.status_code == 200

    async def is_a_subject(token: str) -> bool:
        answer = await world.exchange(subject_token=token)
        assert answer.status_code == 200 or answer.json()["reason"] == "invalid_bearer"
        return answer.status_code == 200

    accepted = {
        (name, door.__name__)
        for name, token in kinds.items()
        for door in (opens_dpop_route, speaks_for_an_account, is_a_challenge, is_a_subject)
        if await door(token)
    }
    assert accepted == {("access token", "opens_dpop_route"), ("challenge", "is_a_challenge")}


@pytest.mark.parametrize(
    "changes",
    [
        {"sub": "user_bob"},
        {"kind": "something_else"},
        {"managedTunnelsEnabled": False},
        {"managedTunnelsEnabled": "true"},
        {"managedTunnelsEnabled": None},
        {"aud": "https://elsewhere.example"},
        {"iss": "https://elsewhere.example"},
        {"iat": NOW - 361},
        {"exp": NOW - 60},
        {"iat": NOW + 61},
    ],
)
async def test_a_challenge_that_says_something_else_is_none_however_well_signed(
    wire: World, changes: dict[str, Any]
) -> None:
    honest = peek_claims(await wire.challenge(), dict)
    forged = sign_jwt({**honest, **changes}, await mint_key(wire), typ="t3-link-challenge+jwt")
    answer = await wire.post_link(wire.environment.link_proof(forged))
    assert (answer.status_code, answer.json()["reason"]) == (400, "challenge_invalid")


async def test_a_challenge_by_another_relays_key_is_none(wire: World) -> None:
    honest = peek_claims(await wire.challenge(), dict)
    forged = sign_jwt(honest, generate_key("EdDSA"), typ="t3-link-challenge+jwt", include_kid=False)
    answer = await wire.post_link(wire.environment.link_proof(forged))
    assert (answer.status_code, answer.json()["reason"]) == (400, "challenge_invalid")


# --- every door, every key ----------------------------------------------------------------------------------


async def test_every_door_opens_to_its_own_kind_of_key_only(unlimited: World) -> None:
    """Over the whole table of routes, whoever adds to it: accounts, environments and devices are never mixed up."""
    world = unlimited
    linked = await world.link()
    dpop_token = world.saved_token
    now = world.clock() // 1000
    keys = {
        "nothing": {},
        "a session": world.bearer(),
        "a session of another service": _bearer(world.accounts.session(aud="another-service")),
        "a session without audience": _bearer(world.accounts.session(aud=None)),
        "a session that expired": _bearer(world.accounts.session(exp=now - 6)),
        "a token of the command line": _bearer(world.accounts.access_token()),
        "a token of another application": _bearer(world.accounts.access_token(client_id="somebodys-app")),
        "a token of no application": _bearer(world.accounts.access_token(client_id=None)),
        "a token of a gate": _bearer(world.accounts.access_token(client_id="doorward-gate")),
        "a token for another service": _bearer(world.accounts.access_token(aud="https://other.example")),
        "a token that expired": _bearer(world.accounts.access_token(exp=now - 6)),
        "an environment's credential": _bearer(linked["environmentCredential"]),
        "a connector's token": _bearer(linked["endpointRuntime"]["connectorToken"]),
        "a tunnel's proof": _bearer(connector(linked)[1]),
        "a device's token without its proof": {"authorization": f"DPoP {dpop_token}"},
        "a device's token as a bearer": _bearer(dpop_token),
        "a device's token with a stranger's proof": {
            "authorization": f"DPoP {dpop_token}",
            "dpop": world.proof("POST", "/", token=dpop_token, key=generate_key("ES256")),
        },
    }
    own = {
        "account": {"a session", "a token of the command line"},
        "environment": {"an environment's credential"},
        # Let in as far as being told, by an empty 400, that the proof or the body is missing.
        "device": {"a device's token without its proof", "a device's token with a stranger's proof"},
    }
    # Every door is tried with one key of each kind, the first of its guard with all of them.
    one_of_each = (
        "nothing",
        "a session",
        "a token of another application",
        "an environment's credential",
        "a device's token without its proof",
    )
    document = (await world.http.get("/openapi.json")).json()
    seen: set[str] = set()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if "security" not in operation:
                continue
            # A link of one's own to go through, none of one's own to end.
            own_id = "env-1" if path.startswith("/v1/environments") else "env-none"
            target = path.replace("{environmentId}", own_id)
            for name in operation.get("parameters", []):
                target = target.replace(f"{{{name['name']}}}", "none")

            async def opening(names: Iterable[str], method: str = method, target: str = target) -> set[str]:
                opened = set()
                for name in names:
                    answer = await world.http.request(method.upper(), target, headers=keys[name])
                    if answer.status_code != 401:
                        opened.add(name)
                        assert not name.startswith("a device's") or answer.status_code == 400
                return opened

            opened = await opening(one_of_each)
            kind = "device" if "dpop" in operation["security"][0] else _kind(opened)
            if kind not in seen:
                opened |= await opening(keys)
            seen.add(kind)
            assert opened
            assert opened <= own[kind], (method, path, opened)
    assert seen == set(own)
    assert len(await world.rows("SELECT 1 FROM relay_environment_links WHERE revoked_at IS NULL")) == 1


def _bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def _kind(opened: set[str]) -> str:
    return "account" if "a session" in opened else "environment"


async def test_another_applications_token_is_no_subject_either(wire: World) -> None:
    """Neither as the command line's, nor as the gate's, nor in the place of a session."""
    foreign = wire.accounts.access_token(client_id="somebodys-app")
    for form in (
        {"client_id": "doorward-cli", "subject_token_type": ACCESS_TOKEN},
        {"client_id": "doorward-gate", "subject_token_type": ACCESS_TOKEN},
        {"client_id": "t3-web"},
        {"client_id": "t3-mobile"},
    ):
        answer = await wire.exchange(subject_token=foreign, **form)
        assert (answer.status_code, answer.json()["reason"]) == (401, "invalid_bearer"), form


async def test_an_accounts_key_opens_nothing_of_another_account(world: World) -> None:
    linked = await world.link("user_alice")
    for method, path in (
        ("DELETE", "/v1/client/environment-links/env-1"),
        ("DELETE", "/v1/client/environment-links/env-1/tunnel"),
    ):
        await world.http.request(method, path, headers=world.bearer("user_bob"))
    bobs = await world.token(subject_token=world.accounts.session("user_bob"))
    for answer in (await world.connect(bobs), await world.status(bobs)):
        assert (answer.status_code, answer.json()["reason"]) == (403, "environment_link_not_found")
    listed = (await world.http.get("/v1/environments", headers=world.bearer("user_alice"))).json()
    assert [entry["endpoint"] for entry in listed["environments"]] == [linked["endpoint"]]
    token, signed = connector(linked)
    owner = await world.relay.authorize_tunnel(
        environment_id=token["environmentId"], generation=token["generation"], token=signed
    )
    assert type(owner).__name__ == "TunnelAuthorized"
