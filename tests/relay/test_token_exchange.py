"""The token endpoint, and the tokens it issues."""

from typing import Any

import pytest

from doorward.jose import PrivateKey, b64url_decode, generate_key, peek_claims, peek_header, sign_jwt
from doorward.relay import RateLimits
from tests.relay.conftest import OpenWorld
from tests.relay.world import ACCESS_TOKEN, JWT, World

pytestmark = pytest.mark.anyio

PATH = "/v1/client/dpop-token"


@pytest.mark.conformance("connect-relay", 44)
async def test_a_session_and_a_proof_yield_a_bound_token(world: World) -> None:
    answer = await world.exchange()
    assert answer.status_code == 200
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    body = answer.json()
    assert {name: value for name, value in body.items() if name != "access_token"} == {
        "issued_token_type": ACCESS_TOKEN,
        "token_type": "DPoP",
        "expires_in": 1800,
        "scope": "environment:status environment:connect",
    }
    assert peek_header(body["access_token"]) == {"alg": "EdDSA", "typ": "t3-relay-dpop-access+jwt"}
    claims = peek_claims(body["access_token"], dict)
    now = world.clock() // 1000
    assert claims.pop("jti")
    assert claims == {
        "iss": world.origin,
        "aud": world.origin,
        "sub": "user_alice",
        "iat": now,
        "exp": now + 1800,
        "client_id": "t3-web",
        "scope": "environment:status environment:connect",
        "cnf": {"jkt": world.device.public.thumbprint},
    }


@pytest.mark.conformance("connect-relay", 39, 40, 42)
@pytest.mark.parametrize(
    "form",
    [
        {"resource": "slash"},
        {"resource": "https://elsewhere.example"},
        {"scope": "mobile:registration"},
        {"scope": "environment:admin"},
        {"scope": "environment:status\tenvironment:connect"},
        {"scope": "environment:status  environment:connect"},
        {"scope": " environment:status"},
        {"scope": ""},
    ],
)
async def test_a_wrong_resource_or_scope_is_an_invalid_dpop_request(
    wire: World, form: dict[str, str]
) -> None:
    if form.get("resource") == "slash":
        form = {"resource": wire.origin + "/"}
    answer = await wire.exchange(**form)
    assert answer.status_code == 401
    assert (answer.json()["reason"], answer.json()["dpopFailureReason"]) == ("invalid_dpop", "invalid_proof")
    assert "www-authenticate" not in answer.headers
    assert await wire.rows("SELECT jti FROM relay_dpop_proofs") == []


@pytest.mark.conformance("connect-relay", 41)
async def test_repeated_scopes_collapse_in_their_order(wire: World) -> None:
    answer = await wire.exchange(scope="environment:status environment:connect environment:status")
    assert answer.json()["scope"] == "environment:status environment:connect"
    mobile = await wire.exchange(client_id="t3-mobile", scope="mobile:registration environment:status")
    assert mobile.json()["scope"] == "mobile:registration environment:status"


@pytest.mark.conformance("connect-relay", 43)
async def test_an_oauth_token_in_the_place_of_a_session_is_an_invalid_bearer(wire: World) -> None:
    answer = await wire.exchange(subject_token=wire.accounts.access_token())
    assert (answer.status_code, answer.json()["reason"]) == (401, "invalid_bearer")
    without_audience = await wire.exchange(subject_token=wire.accounts.session(aud=None))
    assert without_audience.json()["reason"] == "invalid_bearer"


@pytest.mark.conformance("connect-relay", 45)
async def test_the_form_is_declared_exactly(wire: World) -> None:
    proof = wire.proof("POST", PATH)
    form = wire.exchange_form()
    as_json = await wire.http.post(PATH, json=form, headers={"dpop": proof})
    assert (as_json.status_code, as_json.text) == (415, "Unsupported content-type: application/json")
    without_proof = await wire.http.post(PATH, data=form)
    assert (without_proof.status_code, without_proof.content) == (400, b"")
    for change in (
        {"client_id": "unknown"},
        {"grant_type": "authorization_code"},
        {"subject_token_type": ACCESS_TOKEN},
        {"requested_token_type": JWT},
        {"subject_token": " "},
        {"client_id": "doorward-cli"},
    ):
        answer = await wire.http.post(PATH, data={**form, **change}, headers={"dpop": proof})
        assert (answer.status_code, answer.content) == (400, b""), change
    for missing in form:
        partial = {name: value for name, value in form.items() if name != missing}
        assert (await wire.http.post(PATH, data=partial, headers={"dpop": proof})).status_code == 400, missing
    twice = await wire.http.post(
        PATH,
        content="&".join([*(f"{name}={value}" for name, value in form.items()), "client_id=t3-web"]),
        headers={"dpop": proof, "content-type": "application/x-www-form-urlencoded"},
    )
    assert (twice.status_code, twice.content) == (400, b"")


@pytest.mark.conformance("connect-relay", 46)
@pytest.mark.parametrize(("seconds", "accepted"), [(600, True), (1859, True), (1860, False), (1861, False)])
async def test_a_token_lives_half_an_hour_and_a_minute_of_tolerance(
    wire: World, seconds: int, accepted: bool
) -> None:
    token = await wire.token()
    wire.clock.advance(seconds * 1000)
    answer = await wire.status(token)
    if accepted:
        assert answer.json()["reason"] == "environment_link_not_found"
    else:
        assert (answer.status_code, answer.json()["reason"]) == (401, "invalid_bearer")
        assert answer.headers["www-authenticate"] == "DPoP"


async def _signed(world: World, **changes: Any) -> str:
    """A token signed with the relay's very key, of claims it would never sign."""
    sealed = (
        await world.rows("SELECT sealed_private_key FROM relay_signing_keys WHERE name = 'cloud-mint'")
    )[0][0]
    pem = world.sealer.open(b64url_decode(sealed), context="relay.signing_keys.cloud-mint")
    key = PrivateKey.from_pem(pem.decode(), alg="EdDSA")
    claims = peek_claims(await world.token(), dict)
    typ = changes.pop("typ", "t3-relay-dpop-access+jwt")
    return sign_jwt({**claims, **changes}, key, typ=typ)


@pytest.mark.conformance("connect-relay", 46)
async def test_no_token_is_older_than_that_whatever_expiry_it_was_signed_with(wire: World) -> None:
    token = await _signed(wire, exp=wire.clock() // 1000 + 86_400)
    wire.clock.advance(1_860_000)
    assert (await wire.status(token)).json()["reason"] == "environment_link_not_found"
    wire.clock.advance(1_000)
    assert (await wire.status(token)).json()["reason"] == "invalid_bearer"


@pytest.mark.conformance("connect-relay", 47, 48)
@pytest.mark.parametrize(
    "claims",
    [
        {"scope": "environment:admin"},
        {"scope": "environment:status mobile:registration"},
        {"client_id": "someone"},
        {"typ": "t3-link-challenge+jwt"},
        {"aud": ["https://relay.example"]},
        {"cnf": {}},
    ],
)
async def test_a_well_signed_token_beyond_the_policy_is_refused(wire: World, claims: dict[str, Any]) -> None:
    assert (await wire.status(await _signed(wire))).json()["reason"] == "environment_link_not_found"
    answer = await wire.status(await _signed(wire, **claims))
    assert (answer.status_code, answer.json()["reason"]) == (401, "invalid_bearer")


async def test_the_signing_key_survives_a_restart_and_is_the_same_on_every_node(world: World) -> None:
    before = (await world.link())["cloudMintPublicKey"]
    token = await world.token()
    await world.restart()
    assert (await world.status(token)).json()["status"] == "online"
    assert (await world.link())["cloudMintPublicKey"] == before
    stored = await world.rows("SELECT sealed_private_key FROM relay_signing_keys WHERE name = 'cloud-mint'")
    assert len(stored) == 1
    assert "PRIVATE" not in stored[0][0]


async def test_the_command_line_exchanges_its_own_access_token(wire: World) -> None:
    await wire.link()
    form = {"client_id": "doorward-cli", "subject_token_type": ACCESS_TOKEN}
    token = await wire.token(subject_token=wire.accounts.access_token(), **form)
    assert (await wire.connect(token)).status_code == 200
    for subject in (
        wire.accounts.session(),
        wire.accounts.access_token(client_id="doorward-gate"),
        wire.accounts.access_token(client_id="someone"),
        wire.accounts.access_token(aud="https://other.example"),
    ):
        answer = await wire.exchange(subject_token=subject, **form)
        assert (answer.status_code, answer.json()["reason"]) == (401, "invalid_bearer")


async def test_a_device_connects_with_an_access_token_of_the_last_quarter_of_an_hour(wire: World) -> None:
    """It lives a day, and the accounts server cannot call it back when the person is signed out or banned."""
    form = {"client_id": "doorward-cli", "subject_token_type": ACCESS_TOKEN}
    now = wire.clock() // 1000
    for issued_at in (now - 901, None, "yesterday"):
        old = wire.accounts.access_token(iat=issued_at, exp=now + 86_400)
        answer = await wire.exchange(subject_token=old, **form)
        assert (answer.status_code, answer.json()["reason"]) == (401, "invalid_bearer"), issued_at
    fresh = wire.accounts.access_token(iat=now - 899, exp=now + 86_400)
    assert (await wire.exchange(subject_token=fresh, **form)).status_code == 200


async def test_a_bound_subject_token_needs_a_proof_of_its_own_key(wire: World) -> None:
    form = {"client_id": "doorward-cli", "subject_token_type": ACCESS_TOKEN}
    theirs = wire.accounts.access_token(cnf={"jkt": generate_key("ES256").public.thumbprint})
    assert (await wire.exchange(subject_token=theirs, **form)).json()["dpopFailureReason"] == "key_mismatch"
    ours = wire.accounts.access_token(cnf={"jkt": wire.device.public.thumbprint})
    assert (await wire.exchange(subject_token=ours, **form)).status_code == 200


async def test_a_gates_token_opens_only_the_machine_it_names(wire: World) -> None:
    first = await wire.link()
    wire.environment.environment_id = "env-2"
    await wire.link()
    form = {"client_id": "doorward-gate", "subject_token_type": ACCESS_TOKEN}
    origin = first["endpoint"]["httpBaseUrl"].removesuffix("/")

    subject = wire.accounts.access_token(client_id="doorward-gate", aud=[origin])
    token = await wire.token(subject_token=subject, **form)
    assert peek_claims(token, dict)["environment_id"] == "env-1"
    wire.environment.environment_id = "env-1"
    assert (await wire.connect(token)).status_code == 200
    for call in (wire.connect, wire.status):
        elsewhere = await call(token, environment_id="env-2")
        assert (elsewhere.status_code, elsewhere.json()["reason"]) == (401, "invalid_dpop")

    for audience in (None, "https://other.example", [origin, "https://other.example"], origin + "/", []):
        changes = {} if audience is None else {"aud": audience}
        refused = wire.accounts.access_token(client_id="doorward-gate", **changes)
        answer = await wire.exchange(subject_token=refused, **form)
        assert (answer.status_code, answer.json()["reason"]) == (401, "invalid_bearer"), audience
    strangers = wire.accounts.access_token("user_bob", client_id="doorward-gate", aud=[origin])
    assert (await wire.exchange(subject_token=strangers, **form)).json()["reason"] == "invalid_bearer"

    await wire.http.delete("/v1/client/environment-links/env-1", headers=wire.bearer())
    assert (await wire.exchange(subject_token=subject, **form)).json()["reason"] == "invalid_bearer"


async def test_an_account_that_asks_too_often_is_told_when_to_come_back(open_wire: OpenWorld) -> None:
    world = await open_wire(rate_limits=RateLimits(token_exchanges=2))
    assert [(await world.exchange()).status_code for _ in range(3)] == [200, 200, 429]
    refused = await world.exchange()
    assert refused.json() == {
        "_tag": "RelayRateLimitedError",
        "code": "rate_limited",
        "retryAfterSeconds": 60,
        "traceId": refused.headers["traceparent"].split("-")[1],
    }
    assert refused.headers["retry-after"] == "60"
    assert (await world.exchange(subject_token=world.accounts.session("user_bob"))).status_code == 200
    world.clock.advance(60_000)
    assert (await world.exchange()).status_code == 200
