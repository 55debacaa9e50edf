"""Connecting: what is asked of the environment, and which of its answers is passed on."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from doorward.jose import generate_key
from doorward.relay import RateLimits
from doorward.t3_connect import iso
from tests.relay.conftest import OpenWorld
from tests.relay.foreign import Answer, Environment
from tests.relay.servers import listen, serve
from tests.relay.world import World

pytestmark = pytest.mark.anyio

Tamper = Callable[[Environment, dict[str, Any]], Answer]


@pytest.fixture
async def linked(wire: World) -> World:
    await wire.link()
    return wire


@pytest.mark.conformance("connect-relay", 90, 100)
@pytest.mark.parametrize("status", ["pending", "rejected"])
async def test_a_device_that_is_not_approved_is_told_so(linked: World, status: str) -> None:
    environment = linked.environment
    environment.answer_mint = environment.pending if status == "pending" else environment.rejected
    answer = await linked.connect()
    assert answer.status_code == 200
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    listed = (await linked.http.get("/v1/environments", headers=linked.bearer())).json()
    assert answer.json() == {
        "status": "pending_approval",
        "environmentId": "env-1",
        "endpoint": listed["environments"][0]["endpoint"],
        "clientProofKeyThumbprint": linked.device.public.thumbprint,
        "approvalStatus": status,
        "requestedAt": iso(linked.clock()),
    }


@pytest.mark.parametrize(("strict_base", "status"), [(False, 403), (True, 200)])
async def test_a_client_that_cannot_read_pending_is_refused_instead(
    open_wire: OpenWorld, strict_base: bool, status: int
) -> None:
    world = await open_wire(strict_base=strict_base)
    await world.link()
    world.environment.answer_mint = world.environment.pending
    answer = await world.connect(body={"clientProofKeyThumbprint": world.device.public.thumbprint})
    assert answer.status_code == status
    if not strict_base:
        assert answer.json()["_tag"] == "RelayEnvironmentConnectNotAuthorizedError"
        assert "reason" not in answer.json()


def with_claims(**changes: Any) -> Tamper:
    def tamper(environment: Environment, request: dict[str, Any]) -> Answer:
        body, claims = environment.minted(request)
        return environment.answer(body, {**claims, **changes})

    return tamper


def with_body(**changes: Any) -> Tamper:
    def tamper(environment: Environment, request: dict[str, Any]) -> Answer:
        body, claims = environment.minted(request)
        return environment.answer({**body, **changes}, claims)

    return tamper


def pending_with(**changes: Any) -> Tamper:
    def tamper(environment: Environment, request: dict[str, Any]) -> Answer:
        body, claims = environment.pending_parts(request)
        return environment.answer({**body, **changes}, claims)

    return tamper


def by_another_key(environment: Environment, request: dict[str, Any]) -> Answer:
    return environment.answer(*environment.minted(request), key=generate_key("EdDSA"))


def credential_with_pending_proof(environment: Environment, request: dict[str, Any]) -> Answer:
    return environment.answer(environment.minted(request)[0], environment.pending_parts(request)[1])


def pending_with_credential_proof(environment: Environment, request: dict[str, Any]) -> Answer:
    return environment.answer(environment.pending_parts(request)[0], environment.minted(request)[1])


def of_another_type(environment: Environment, request: dict[str, Any]) -> Answer:
    body, claims = environment.minted(request)
    return environment.json({**body, "proof": environment.sign(claims, "t3-env-health+jwt")})


def yesterdays(environment: Environment, request: dict[str, Any]) -> Answer:
    body, claims = environment.minted(request)
    return environment.answer(body, {**claims, "iat": claims["iat"] - 361})


def both_credential_and_pending(environment: Environment, request: dict[str, Any]) -> Answer:
    pending, _ = environment.pending_parts(request)
    body, claims = environment.minted(request)
    return environment.answer({**body, **pending}, claims)


@pytest.mark.conformance("connect-relay", 91, 92, 93, 94, 95, 96)
@pytest.mark.parametrize(
    "tamper",
    [
        pytest.param(with_body(credential="OTHERCREDENT"), id="another credential in the body"),
        pytest.param(with_body(expiresAt="2027-01-15T09:00:00.000Z"), id="longer expiry in the body"),
        pytest.param(with_body(expiresAt="2027-01-15T08:02:01.000Z"), id="a second longer in the body"),
        pytest.param(with_body(expiresAt="2027-01-15T08:01:59.999Z"), id="a moment shorter in the body"),
        pytest.param(with_body(expiresAt="soon"), id="expiry that is no date"),
        pytest.param(with_claims(requestNonce="another"), id="answer to another request"),
        pytest.param(with_claims(clientProofKeyThumbprint="another"), id="credential for another key"),
        pytest.param(with_claims(environmentId="env-2"), id="proof about another environment"),
        pytest.param(with_claims(iss="t3-env:env-2"), id="another issuer"),
        pytest.param(with_claims(aud="https://elsewhere.example"), id="another audience"),
        pytest.param(with_claims(exp=1_800_000_000 - 60), id="expired proof"),
        pytest.param(pending_with(requestedAt="2027-01-15T07:00:00.000Z"), id="pending since another time"),
        pytest.param(pending_with(approvalStatus="approved"), id="pending body says approved"),
        pytest.param(pending_with(approvalStatus="rejected"), id="pending body says rejected"),
        pytest.param(pending_with(clientProofKeyThumbprint="another"), id="pending for another key"),
        pytest.param(by_another_key, id="another key's signature"),
        pytest.param(credential_with_pending_proof, id="credential, proof of pending"),
        pytest.param(pending_with_credential_proof, id="pending, proof of credential"),
        pytest.param(both_credential_and_pending, id="credential beside a complete pending"),
        pytest.param(of_another_type, id="proof of another type"),
        pytest.param(yesterdays, id="old proof"),
    ],
)
async def test_an_answer_that_its_signature_does_not_bear_out_is_not_passed_on(
    linked: World, tamper: Tamper
) -> None:
    linked.environment.answer_mint = lambda request: tamper(linked.environment, request)
    answer = await linked.connect()
    assert answer.status_code == 502
    assert answer.json()["_tag"] == "RelayEnvironmentEndpointUnavailableError"
    assert answer.json()["reason"] == "endpoint_response_invalid"
    assert "ABCDEFGHJKLM" not in answer.text


@pytest.mark.conformance("connect-relay", 95)
async def test_an_expiry_is_compared_by_whole_seconds(linked: World) -> None:
    within = with_body(expiresAt="2027-01-15T08:02:00.999Z")
    linked.environment.answer_mint = lambda request: within(linked.environment, request)
    assert (await linked.connect()).json()["expiresAt"] == "2027-01-15T08:02:00.999Z"


async def test_an_incomplete_pending_body_beside_a_credential_is_a_credential(linked: World) -> None:
    def answer(request: dict[str, Any]) -> Answer:
        body, claims = linked.environment.minted(request)
        return linked.environment.answer({**body, "status": "pending_approval"}, claims)

    linked.environment.answer_mint = answer
    assert (await linked.connect()).json()["credential"] == "ABCDEFGHJKLM"


@pytest.mark.conformance("connect-relay", 97)
async def test_an_environment_that_hangs_is_a_typed_timeout(open_wire: OpenWorld) -> None:
    world = await open_wire(environment_timeout=0.3)
    await world.link()
    world.environment.delay = 1.0
    answer = await world.connect()
    assert (answer.status_code, answer.json()["_tag"]) == (504, "RelayEnvironmentEndpointTimedOutError")


@pytest.mark.conformance("connect-relay", 98)
@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_a_failure_and_is_not_followed(linked: World, status: int) -> None:
    visits: list[str] = []

    async def target(scope: Any, receive: Any, send: Any) -> None:
        visits.append(scope["path"])

    listener = listen()
    async with serve((target, listener)):
        location = f"http://target.localhost:{listener.getsockname()[1]}/stolen".encode()
        linked.environment.answer_mint = lambda _: (status, b"", [(b"location", location)])
        answer = await linked.connect()
    listener.close()
    assert (answer.status_code, answer.json()["reason"]) == (502, "endpoint_request_failed")
    assert visits == []


@pytest.mark.conformance("connect-relay", 138)
@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((500, b'{"_tag":"EnvironmentHttpInternalServerError","message":"mode"}', []), "endpoint_response_invalid"),
        ((409, b'{"_tag":"EnvironmentHttpConflictError","message":"used"}', []), "endpoint_response_invalid"),
        ((200, b'{"credential":"x"}', []), "endpoint_response_invalid"),
        ((200, b"<html>", []), "endpoint_response_invalid"),
        (
            (403, b'{"_tag":"EnvironmentScopeRequiredError","code":"insufficient_scope",'
             b'"requiredScope":"relay:write","traceId":"x"}', []),
            "endpoint_request_failed",
        ),
        ((502, b"bad gateway", []), "endpoint_request_failed"),
        ((200, b"x" * 1_100_000, []), "endpoint_request_failed"),
    ],
)  # fmt: skip
async def test_an_environment_that_refuses_or_babbles_mints_nothing(
    open_wire: OpenWorld, answer: Answer, reason: str
) -> None:
    for strict_base in (False, True):
        world = await open_wire(strict_base=strict_base)
        await world.link()
        world.environment.answer_mint = lambda _: answer
        refused = await world.connect()
        assert refused.status_code == 502
        assert refused.json()["reason"] == ("endpoint_request_failed" if strict_base else reason)


async def test_an_environment_that_is_not_there_is_a_failed_request(open_wire: OpenWorld) -> None:
    world = await open_wire(endpoint_port=9)
    await world.link()
    answer = await world.connect()
    assert (answer.status_code, answer.json()["reason"]) == (502, "endpoint_request_failed")


@pytest.mark.conformance("connect-relay", 99)
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"client": {}},
        {"clientProofKeyThumbprint": "another"},
        {"clientKeyThumbprint": "another", "clientProofKeyThumbprint": "MINE"},
        {"clientKeyThumbprint": "MINE", "clientProofKeyThumbprint": "another"},
        {"clientKeyThumbprint": "another"},
    ],
)
async def test_a_body_that_does_not_name_the_tokens_key_costs_nothing(
    linked: World, body: dict[str, str]
) -> None:
    token = await linked.token()
    mine = linked.device.public.thumbprint
    named = {name: mine if value == "MINE" else value for name, value in body.items()}
    before = await linked.rows("SELECT COUNT(*) FROM relay_dpop_proofs")
    answer = await linked.connect(token, body=named)
    assert (answer.status_code, answer.json()["reason"]) == (401, "invalid_dpop")
    assert answer.headers["www-authenticate"] == "DPoP"
    assert linked.environment.received == []
    assert await linked.rows("SELECT COUNT(*) FROM relay_dpop_proofs") == before


async def test_the_older_name_of_the_thumbprint_is_taken(linked: World) -> None:
    mine = linked.device.public.thumbprint
    for body in (
        {"clientKeyThumbprint": mine},
        {"clientKeyThumbprint": mine, "clientProofKeyThumbprint": mine},
    ):
        assert (await linked.connect(body=body)).status_code == 200


@pytest.mark.conformance("connect-relay", 101, 102)
async def test_requests_say_only_what_was_given_and_never_repeat_themselves(linked: World) -> None:
    for _ in range(2):
        body = {"clientProofKeyThumbprint": linked.device.public.thumbprint}
        assert (await linked.connect(body=body)).status_code == 200
    (_, first, headers), (_, second, _) = linked.environment.received
    assert not {"deviceId", "client"} & set(first)
    assert first["nonce"] != second["nonce"]
    assert first["jti"] != second["jti"]
    assert b"authorization" not in headers
    assert headers[b"traceparent"].startswith(b"00-")


@pytest.mark.conformance("connect-relay", 79, 80, 81)
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("UPDATE relay_environment_links SET revoked_at = 1", "environment_link_not_found"),
        (
            "UPDATE relay_environment_links SET endpoint_provider_kind = 'manual'",
            "endpoint_provider_not_managed",
        ),
        ("DELETE FROM relay_managed_endpoint_allocations", "managed_endpoint_allocation_not_found"),
        (
            "UPDATE relay_managed_endpoint_allocations SET ready_at = NULL",
            "managed_endpoint_allocation_not_ready",
        ),
        (
            "UPDATE relay_managed_endpoint_allocations SET tunnel_id = NULL",
            "managed_endpoint_allocation_not_ready",
        ),
        (
            "UPDATE relay_managed_endpoint_allocations SET dns_record_id = NULL",
            "managed_endpoint_allocation_not_ready",
        ),
        (
            "UPDATE relay_managed_endpoint_allocations SET hostname = 'evil.example'",
            "managed_endpoint_hostname_invalid",
        ),
        (
            "UPDATE relay_managed_endpoint_allocations SET hostname = 'other.env.localhost'",
            "managed_endpoint_mismatch",
        ),
        (
            "UPDATE relay_environment_links SET endpoint_http_base_url = 'http://evil.localhost/'",
            "managed_endpoint_mismatch",
        ),
    ],
)
async def test_nothing_is_sent_unless_link_and_allocation_agree(
    linked: World, change: str, reason: str
) -> None:
    await linked.execute(change)
    for call in (linked.connect, linked.status):
        answer = await call()
        assert (answer.status_code, answer.json()["reason"]) == (403, reason)
    assert linked.environment.received == []


async def test_nothing_is_sent_where_no_zone_is_configured_any_more(linked: World) -> None:
    await linked.restart(zone=" . ")
    for call in (linked.connect, linked.status):
        answer = await call()
        assert (answer.status_code, answer.json()["_tag"]) == (
            403,
            "RelayEnvironmentConnectNotAuthorizedError",
        )
        assert answer.json()["reason"] == "managed_endpoint_base_domain_not_configured"
    assert linked.environment.received == []


@pytest.mark.conformance("connect-relay", 86)
async def test_a_stored_key_that_is_none_makes_every_answer_invalid(linked: World) -> None:
    await linked.execute("UPDATE relay_environment_links SET environment_public_key = 'not a PEM'")
    for call in (linked.connect, linked.status):
        answer = await call()
        assert (answer.status_code, answer.json()["reason"]) == (502, "endpoint_response_invalid")


async def test_another_account_cannot_connect_through_my_link(linked: World) -> None:
    token = await linked.token(subject_token=linked.accounts.session("user_bob"))
    answer = await linked.connect(token)
    assert (answer.status_code, answer.json()["reason"]) == (403, "environment_link_not_found")


async def test_an_unlink_during_a_mint_does_not_break_the_relay(linked: World) -> None:
    linked.environment.delay = 1.0
    connecting = asyncio.create_task(linked.connect())
    async with asyncio.timeout(60):
        await linked.environment.was_asked.wait()
    unlinked = await linked.http.delete("/v1/client/environment-links/env-1", headers=linked.bearer())
    assert unlinked.json() == {"ok": True}
    assert (await connecting).status_code == 200
    linked.environment.delay = 0
    assert (await linked.connect()).status_code == 403


@pytest.mark.conformance("connect-relay", 77)
async def test_link_and_endpoint_are_looked_up_in_one_moment(world: World) -> None:
    """Linked, it connects; unlinked, there is no link. Were the two read one after the other, an unlink or link
    between them would show one without the other, and be told as a broken endpoint."""
    await world.restart(rate_limits=RateLimits(connects=99_999))  # however often they come in that time
    await world.link()
    tokens = [await world.token() for _ in range(4)]
    linking = True

    async def change_links() -> None:
        nonlocal linking
        for _ in range(4):
            await world.http.delete("/v1/client/environment-links/env-1", headers=world.bearer())
            await world.link()
        linking = False

    async def connect(token: str) -> set[str]:
        seen = set()
        while linking:
            answer = await world.connect(token)
            seen.add("connected" if answer.status_code == 200 else answer.json().get("reason", answer.text))
        return seen

    _, *outcomes = await asyncio.gather(change_links(), *(connect(token) for token in tokens))
    seen = set().union(*outcomes)
    assert seen <= {"connected", "environment_link_not_found"}
    assert "connected" in seen
