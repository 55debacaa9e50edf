"""A connection that is kept up, over a real socket: what the machine says, and what becomes of it."""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import asynccontextmanager

import pytest

from doorward.client.errors import ApprovalPending
from doorward.client.live_connection import LiveConnection
from doorward.client.rpc_socket import open_socket
from doorward.client.supervisor import State
from tests.client.scripted import Device, Scripted, json_answer

pytestmark = pytest.mark.anyio

TICKET = "/api/auth/websocket-ticket"


def no_tls() -> ssl.SSLContext:
    raise AssertionError("a ws:// address needs no TLS")


@asynccontextmanager
async def kept_up(device: Device):
    seen: list[State] = []
    live = LiveConnection(device.connection, tls=no_tls, on_change=seen.append)
    async with live.running():
        yield live, seen


async def until(live: LiveConnection, is_so: Callable[[State], bool]) -> State:
    async with asyncio.timeout(60):
        while not is_so(live.state):
            await live.changed(live.state)
    return live.state


async def test_it_is_connected_once_the_machine_has_answered_and_not_before(device: Device, play: Scripted):
    async with kept_up(device) as (live, seen):
        await until(live, lambda state: state.phase == "connected")
        assert [(state.phase, state.stage) for state in seen] == [
            ("connecting", "preparing"),
            ("connecting", "opening"),
            ("connecting", "synchronizing"),
            ("connected", None),
        ]
    assert play.sockets == ["ticket"]
    assert live.state.phase == "available"


async def test_a_socket_that_ends_is_opened_anew_with_a_new_ticket(device: Device, play: Scripted):
    play.exits = ["hang up", {"_tag": "Success", "value": {}}]
    async with kept_up(device) as (live, seen):
        await until(live, lambda state: state.phase == "connected")
        assert [str(state.last_failure) for state in seen if state.phase == "backoff"] == [
            "Box disconnected."
        ]
    assert play.count(TICKET) == 2


async def test_a_machine_that_may_not_be_asked_blocks(device: Device, play: Scripted):
    error = {"_tag": "EnvironmentAuthorizationError", "message": "no", "requiredScope": "orchestration:read"}
    play.exits = [{"_tag": "Failure", "cause": [{"_tag": "Fail", "error": error}]}]
    async with kept_up(device) as (live, _):
        state = await until(live, lambda state: state.phase == "blocked")
        assert state.last_failure is not None
        assert (state.last_failure.kind, state.last_failure.reason) == ("blocked", "permission")


async def test_a_machine_with_trouble_of_its_own_is_tried_again(device: Device, play: Scripted):
    play.exits = [
        {"_tag": "Failure", "cause": [{"_tag": "Die", "defect": "x"}]},
        {"_tag": "Success", "value": {}},
    ]
    async with kept_up(device) as (live, seen):
        await until(live, lambda state: state.phase == "connected")
        (failure,) = [state.last_failure for state in seen if state.phase == "backoff"]
        assert failure is not None
        assert failure.reason == "remote-unavailable"


async def test_a_wake_up_asks_the_socket_and_keeps_it_when_it_answers(device: Device, play: Scripted):
    answered = {"_tag": "Success", "value": {}}
    play.exits = [answered, answered, "hang up", answered]
    async with kept_up(device) as (live, _):
        await until(live, lambda state: state.phase == "connected")
        live.application_active()
        while len(play.exits) > 2:  # noqa: ASYNC110 - the play tells nobody
            await asyncio.sleep(0.01)
        assert live.state.generation == 1
        while len(play.exits) > 1:  # a wake-up before the last one's answer was read asks nothing
            live.application_active()
            await asyncio.sleep(0.01)
        await until(live, lambda state: state.generation == 2)
    assert len(play.sockets) == 2


async def test_who_waits_for_approval_goes_on_as_soon_as_the_owner_decided(device: Device, play: Scripted):
    decided = asyncio.Event()
    connect, path = play.answers["/v1/environments/box/connect"], "/v1/environments/box/connect"
    play.answers[path] = json_answer(
        status="pending_approval",
        environmentId="box",
        endpoint={
            "httpBaseUrl": f"{play.origin}/",
            "wsBaseUrl": f"ws{play.origin.removeprefix('http')}/",
            "providerKind": "cloudflare_tunnel",
        },
        clientProofKeyThumbprint=device.key.public.thumbprint,
        approvalStatus="pending",
        requestedAt="2026-11-20T12:00:00.000Z",
    )

    async def wait(request):
        await decided.wait()
        play.answers[path] = connect
        return json_answer(status="approved")(request)

    play.answers["/gate/wait"] = wait
    async with kept_up(device) as (live, _):
        state = await until(live, lambda state: state.phase == "blocked")
        assert isinstance(state.last_failure, ApprovalPending)
        decided.set()
        await until(live, lambda state: state.phase == "connected")


async def test_a_request_waits_for_a_connection_but_not_for_ever(device: Device, play: Scripted):
    play.exits = [None]
    async with kept_up(device) as (live, _):
        assert (await live.settled(0.1)).phase == "connecting"
        play.exits = [{"_tag": "Success", "value": {}}]
    async with kept_up(device) as (live, _):
        assert (await live.settled(60)).phase == "connected"


async def test_a_ticket_is_in_no_message(device: Device):
    with pytest.raises(Exception, match=r"^Box could not establish a WebSocket connection") as caught:
        await open_socket("ws://box.localhost:1/ws?wsTicket=secret", "Box", tls=no_tls)
    assert "secret" not in str(caught.value)
