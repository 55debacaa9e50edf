"""From a linked machine to a session there, past everything that relay and machine may say."""

import asyncio

import msgspec
import pytest

from doorward.client.connection import socket_url
from doorward.client.environment import TIMEOUT_SECONDS, EnvironmentClient, EnvironmentToken, failure_of
from doorward.client.environment_tokens import EnvironmentTokens
from doorward.client.errors import ApprovalPending, ApprovalRejected, ClientError, Refused, Unavailable
from doorward.client.relay import RelayClient
from doorward.outbound import Outbound
from doorward.outbound.client import Headers, Response
from doorward.store import system_clock
from doorward.t3_connect import errors as wire
from tests.client.scripted import Device, Scripted, account_token, descriptor, json_answer

pytestmark = pytest.mark.anyio

CONNECT = "/v1/environments/box/connect"
EXCHANGE = "/oauth/token"
TICKET = "/api/auth/websocket-ticket"
HOUR_MS = 3_600_000


def auth_invalid(reason: str) -> dict[str, str]:
    return {"_tag": "RelayAuthInvalidError", "code": "auth_invalid", "reason": reason, "traceId": "t"}


async def failure(work) -> ClientError:
    with pytest.raises(ClientError) as caught:
        await work
    return caught.value


async def test_the_whole_way_asks_who_is_there_before_it_gives_anything_away(device: Device, play: Scripted):
    prepared = await device.connection.prepare()
    assert prepared.socket_url == f"ws{play.origin.removeprefix('http')}/ws?wsTicket=ticket"
    assert "ticket" not in repr(prepared)
    assert play.calls == ["/v1/client/dpop-token", CONNECT, "/.well-known/t3/environment", EXCHANGE, TICKET]
    assert play.credentials == ["", "DPoP relay-1", "", "", "DPoP session"]


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("wss://box.example/", "wss://box.example/ws?wsTicket=a%2Fb"),
        ("wss://box.example", "wss://box.example/ws?wsTicket=a%2Fb"),
        ("wss://box.example/socket?x=1", "wss://box.example/socket?wsTicket=a%2Fb"),
    ],
)
async def test_the_socket_is_at_ws_unless_the_address_names_a_path(base, url):
    assert socket_url(base, "a/b") == url


@pytest.mark.conformance("connect-environment", 201)
async def test_a_kept_token_spares_the_relay(device: Device, play: Scripted):
    await device.connection.prepare()
    play.calls.clear()
    await device.connection.prepare()
    assert play.calls == [TICKET]
    assert await device.connection.token() == "session"
    assert play.calls == [TICKET]


@pytest.mark.conformance("connect-environment", 202)
@pytest.mark.parametrize(("left_ms", "relay_calls"), [(59_000, 1), (90_000, 0)])
async def test_a_token_about_to_end_is_renewed_by_the_whole_way(
    device: Device, play: Scripted, left_ms, relay_calls
):
    await device.connection.prepare()
    kept = device.tokens.usable(system_clock())
    assert kept is not None
    device.tokens.keep(msgspec.structs.replace(kept, expires_at_epoch_ms=system_clock() + left_ms))
    play.calls.clear()
    await device.connection.prepare()
    assert play.count(CONNECT) == relay_calls
    renewed = device.tokens.usable(system_clock())
    assert renewed is not None
    assert (renewed.expires_at_epoch_ms > system_clock() + HOUR_MS - 60_000) == bool(relay_calls)


@pytest.mark.conformance("connect-environment", 203)
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, wire.EnvironmentAuthInvalid(reason="invalid_credential")),
        (403, wire.EnvironmentScopeRequired(required_scope="relay:read")),
    ],
)
async def test_a_kept_token_the_machine_refuses_is_replaced_in_the_same_attempt(
    device: Device, play: Scripted, status, body
):
    await device.connection.prepare()
    ticket, refusal = play.answers[TICKET], json_answer(status, **msgspec.to_builtins(body))
    refusals = iter([refusal, ticket])
    play.answers[TICKET] = lambda request: next(refusals)(request)
    play.calls.clear()
    await device.connection.prepare()
    assert play.calls == [TICKET, CONNECT, "/.well-known/t3/environment", EXCHANGE, TICKET]


@pytest.mark.conformance("connect-environment", 204)
async def test_a_second_failure_in_a_row_gives_a_kept_token_up(device: Device, play: Scripted):
    await device.connection.prepare()
    works, broken = play.answers[TICKET], json_answer(502)
    play.answers[TICKET] = broken
    play.calls.clear()
    first = await failure(device.connection.prepare())
    assert (first.kind, play.calls) == ("transient", [TICKET])
    # A success in between counts the failures anew.
    play.answers[TICKET] = works
    await device.connection.prepare()
    play.answers[TICKET] = broken
    await failure(device.connection.prepare())
    assert play.count(CONNECT) == 0
    answers = iter([broken, works])
    play.answers[TICKET] = lambda request: next(answers)(request)
    await device.connection.prepare()
    assert play.count(CONNECT) == 1


@pytest.mark.conformance("connect-environment", 205)
async def test_a_token_whose_ticket_failed_is_not_kept(device: Device, play: Scripted):
    play.answers[TICKET] = json_answer(500)
    await failure(device.connection.prepare())
    assert play.count(EXCHANGE) == 1
    assert device.tokens.usable(system_clock()) is None


@pytest.mark.conformance("connect-environment", 206)
@pytest.mark.parametrize(
    ("status", "error", "text"),
    [
        ("pending", ApprovalPending, "Waiting for this client to be approved in the environment settings."),
        (
            "rejected",
            ApprovalRejected,
            "This client was rejected by the environment. Approve it in the environment settings to connect.",
        ),
    ],
)
async def test_who_is_not_approved_is_told_and_the_machine_is_asked_for_nothing(
    device: Device, play: Scripted, status, error, text
):
    play.answers[CONNECT] = json_answer(
        status="pending_approval",
        environmentId="box",
        endpoint=msgspec.to_builtins(play.machine.endpoint),
        clientProofKeyThumbprint=device.key.public.thumbprint,
        approvalStatus=status,
        requestedAt="2026-11-20T12:00:00.000Z",
    )
    told = await failure(device.connection.prepare())
    assert type(told) is error
    assert (told.kind, told.reason, str(told)) == ("blocked", "permission", text)
    assert play.calls == ["/v1/client/dpop-token", CONNECT]


@pytest.mark.conformance("connect-environment", 207)
async def test_an_answer_for_another_machine_blocks(device: Device, play: Scripted):
    play.answers[CONNECT] = json_answer(
        environmentId="other",
        endpoint=msgspec.to_builtins(play.machine.endpoint),
        credential="credential",
        expiresAt="2026-11-20T12:00:00.000Z",
    )
    told = await failure(device.connection.prepare())
    assert (told.kind, told.reason) == ("blocked", "configuration")
    assert str(told) == "Connected environment other does not match box."
    assert play.count(EXCHANGE) == 0


@pytest.mark.conformance("connect-environment", 220)
@pytest.mark.parametrize("answer", [json_answer(500), json_answer(**descriptor("other")), json_answer(x=1)])
async def test_a_machine_that_does_not_say_who_it_is_gets_no_credential(
    device: Device, play: Scripted, answer
):
    play.answers["/.well-known/t3/environment"] = answer
    await failure(device.connection.prepare())
    assert play.count(EXCHANGE) == 0


async def test_a_machine_at_an_insecure_address_gets_no_credential(device: Device, play: Scripted):
    play.answers[CONNECT] = json_answer(
        environmentId="box",
        endpoint={
            "httpBaseUrl": f"{play.origin}/",
            "wsBaseUrl": "ws://box.example/",
            "providerKind": "cloudflare_tunnel",
        },
        credential="credential",
        expiresAt="2026-11-20T12:00:00.000Z",
    )
    told = await failure(device.connection.prepare())
    assert (told.kind, told.reason) == ("blocked", "configuration")
    assert play.count(EXCHANGE) == 0


@pytest.mark.conformance("connect-environment", 216)
async def test_a_relay_token_outlives_the_renewal_of_the_sign_in_and_no_change_of_account(
    device: Device, play: Scripted
):
    for number in (1, 2, 3):
        device.account = account_token(number=number)
        await device.relay.connect(play.machine, device.key, msgspec.UNSET)  # type: ignore[arg-type]
    assert device.exchanges == 1
    device.account = account_token("user_grace")
    await device.relay.connect(play.machine, device.key, msgspec.UNSET)  # type: ignore[arg-type]
    assert device.exchanges == 2


@pytest.mark.conformance("connect-environment", 216)
@pytest.mark.parametrize(("reason", "attempts"), [("invalid_bearer", 2), ("invalid_dpop", 1)])
async def test_a_relay_token_the_relay_forgot_is_renewed_once(
    device: Device, play: Scripted, reason, attempts
):
    play.answers[CONNECT] = json_answer(401, **auth_invalid(reason))
    told = await failure(device.connection.prepare())
    assert (told.kind, told.reason) == ("blocked", "authentication")
    assert (play.count(CONNECT), device.exchanges) == (attempts, attempts)


@pytest.mark.parametrize(("lasts", "exchanges"), [(5, 2), (60, 1)])
async def test_a_relay_token_with_five_seconds_left_is_as_good_as_none(
    device: Device, play: Scripted, lasts, exchanges
):
    play.answers["/v1/client/dpop-token"] = json_answer(
        access_token="relay",
        issued_token_type="urn:ietf:params:oauth:token-type:access_token",
        token_type="DPoP",
        expires_in=lasts,
        scope="environment:connect",
    )
    for _ in range(2):
        await device.relay.connect(play.machine, device.key, msgspec.UNSET)  # type: ignore[arg-type]
    assert device.exchanges == exchanges


async def test_connections_made_at_once_share_one_exchange(device: Device, play: Scripted):
    await asyncio.gather(
        *(device.relay.status(play.machine, device.key) for _ in range(5)), return_exceptions=True
    )
    assert device.exchanges == 1


@pytest.mark.conformance("connect-environment", 217)
@pytest.mark.parametrize(
    "token",
    ["opaque", account_token(subject=None), account_token(subject="")],
    ids=["opaque", "without subject", "empty subject"],
)
async def test_a_token_without_a_readable_subject_is_not_kept_for_anybody(
    device: Device, play: Scripted, token
):
    device.account = token
    for _ in range(2):
        await device.relay.connect(play.machine, device.key, msgspec.UNSET)  # type: ignore[arg-type]
    assert device.exchanges == 2


async def test_a_relay_that_grants_something_else_blocks(device: Device, play: Scripted):
    play.answers["/v1/client/dpop-token"] = json_answer(
        access_token="relay",
        issued_token_type="urn:ietf:params:oauth:token-type:access_token",
        token_type="DPoP",
        expires_in=1800,
        scope="environment:connect mobile:registration",
    )
    told = await failure(device.connection.prepare())
    assert str(told) == "Relay granted unexpected DPoP access token scopes."
    assert (told.kind, told.reason) == ("blocked", "permission")


@pytest.mark.conformance("connect-environment", 218)
@pytest.mark.parametrize(
    "url", ["http://relay.example.com", "http://127.0.0.1:1", "https://relay.example.com/path", "relay", ""]
)
async def test_an_insecure_relay_is_sent_no_credential(device: Device, url):
    async def never() -> str:
        raise AssertionError("a credential was asked for")

    with pytest.raises(Refused, match=r"^Relay URL must be a secure absolute HTTPS origin\.$"):
        RelayClient(
            device.outbound, relay_url=url, client_id="doorward-cli", account_token=never, clock=system_clock
        )


@pytest.mark.conformance("connect-environment", 221)
@pytest.mark.parametrize(
    ("body", "kind", "reason", "text"),
    [
        (
            wire.EnvironmentAuthInvalid(reason="invalid_credential"),
            "blocked",
            "authentication",
            "The environment credential is invalid.",
        ),
        (
            wire.EnvironmentScopeRequired(required_scope="relay:read"),
            "blocked",
            "permission",
            "The environment credential does not grant the required access.",
        ),
        (
            wire.EnvironmentRequestInvalid(reason="invalid_scope"),
            "blocked",
            "configuration",
            "The environment rejected the authentication request.",
        ),
        (
            wire.EnvironmentInternal(reason="internal_error"),
            "transient",
            "remote-unavailable",
            "The environment could not authorize the connection.",
        ),
        (
            None,
            "transient",
            "remote-unavailable",
            "endpoint https://box.example/x returned undeclared status 418.",
        ),
    ],
)
async def test_a_machines_errors_are_revived_as_ours(body, kind, reason, text):
    sent = b"I'm a teapot" if body is None else msgspec.json.encode(body)
    told = failure_of(Response(418, Headers([]), sent), "https://box.example/x")
    assert (told.kind, told.reason) == (kind, reason)
    assert str(told).endswith(text)


@pytest.mark.conformance("connect-environment", 221)
async def test_a_success_of_another_shape_is_an_invalid_response(device: Device, play: Scripted):
    play.answers[TICKET] = json_answer(tickets=[])
    told = await failure(device.connection.prepare())
    assert (told.kind, told.reason) == ("transient", "remote-unavailable")
    assert str(told) == f"Remote environment endpoint {play.origin}{TICKET} returned an invalid response."


@pytest.mark.conformance("connect-environment", 222)
async def test_a_hung_request_ends_at_its_limit_and_names_its_url(play: Scripted):
    async def hang(_: object) -> None:
        await asyncio.Event().wait()

    assert TIMEOUT_SECONDS == 10
    play.answers["/.well-known/t3/environment"] = hang  # type: ignore[assignment]
    outbound = Outbound()
    machine = EnvironmentClient(outbound, f"{play.origin}/", clock=system_clock, timeout=0.2)
    told = await failure(machine.descriptor("box"))
    await outbound.close()
    assert (told.kind, told.reason) == ("transient", "timeout")
    url = f"{play.origin}/.well-known/t3/environment"
    assert str(told) == f"Remote environment endpoint {url} timed out after 200ms."


@pytest.mark.parametrize(
    ("status", "tag", "kind", "reason"),
    [
        (403, "RelayEnvironmentConnectNotAuthorizedError", "blocked", "permission"),
        (502, "RelayEnvironmentEndpointUnavailableError", "transient", "endpoint-unavailable"),
        (504, "RelayEnvironmentEndpointTimedOutError", "transient", "timeout"),
        (500, "RelayInternalError", "transient", "relay-unavailable"),
        (429, "RelayRateLimitedError", "transient", "relay-unavailable"),
    ],
)
async def test_a_relays_errors_block_or_are_tried_again(
    device: Device, play: Scripted, status, tag, kind, reason
):
    play.answers[CONNECT] = json_answer(status, _tag=tag)
    told = await failure(device.connection.prepare())
    assert (told.kind, told.reason) == (kind, reason)


async def test_a_relay_that_is_gone_is_tried_again(device: Device):
    gone = RelayClient(
        device.outbound,
        relay_url="http://relay.localhost:1",
        client_id="doorward-cli",
        account_token=device.relay._account_token,
        clock=system_clock,
    )
    told = await failure(gone.machines())
    assert isinstance(told, Unavailable)


class TestKeptTokens:
    TOKEN = EnvironmentToken(
        environment_id="box",
        label="Box",
        http_base_url="https://box.example/",
        ws_base_url="wss://box.example/",
        access_token="secret",
        expires_at_epoch_ms=10_000_000,
        dpop_thumbprint="thumb",
    )

    async def test_the_next_command_finds_it_and_nobody_else_does(self, tmp_path):
        (tmp_path / "devices").mkdir()
        EnvironmentTokens("box", "thumb", home=tmp_path).keep(self.TOKEN)
        assert EnvironmentTokens("box", "thumb", home=tmp_path).usable(0) == self.TOKEN
        assert EnvironmentTokens("box", "another", home=tmp_path).usable(0) is None
        assert EnvironmentTokens("other", "thumb", home=tmp_path).usable(0) is None
        (path,) = (tmp_path / "devices").iterdir()
        assert path.stat().st_mode & 0o777 == 0o600
        assert "secret" not in repr(self.TOKEN)

    @pytest.mark.conformance("connect-environment", 202)
    async def test_it_counts_until_a_minute_before_its_end(self):
        tokens = EnvironmentTokens("box", "thumb")
        tokens.keep(self.TOKEN)
        assert tokens.usable(10_000_000 - 60_001) == self.TOKEN
        assert tokens.usable(10_000_000 - 60_000) is None

    async def test_what_is_evicted_is_gone_for_every_command(self, tmp_path):
        (tmp_path / "devices").mkdir()
        tokens = EnvironmentTokens("box", "thumb", home=tmp_path)
        tokens.keep(self.TOKEN)
        tokens.evict()
        assert tokens.usable(0) is None
        assert list((tmp_path / "devices").iterdir()) == []

    @pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[]", b'{"environmentId":"box"}'])
    async def test_a_damaged_file_is_nothing_kept(self, tmp_path, content):
        (tmp_path / "devices").mkdir()
        (tmp_path / "devices" / "box.token.json").write_bytes(content)
        assert EnvironmentTokens("box", "thumb", home=tmp_path).usable(0) is None
