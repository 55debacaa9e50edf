"""T3 Code's own connector at the edge: who gets in, what a visitor sees, how it ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from doorward.tunnel import Allowance, Allowances, Drain, Edge, TunnelRefusal
from doorward.tunnel.t3_relay.control import INITIAL_WINDOW
from doorward.tunnel.t3_relay.frames import MAX_MESSAGE, MAX_PAYLOAD
from tests.http1.wire import PATIENCE, Client, client
from tests.tunnel.carriers import FAST_HEARTBEAT, Registry, never, until
from tests.tunnel.t3_relay.machine import (
    BINARY,
    CONTINUATION,
    END,
    PATH,
    REQUEST_BODY,
    RESPONSE_BODY,
    TEXT,
    Machine,
    ask_for_ticket,
    dialled,
    frame,
    machine,
)

pytestmark = pytest.mark.anyio

SOON = 10.0
"""Long before a heartbeat or the kernel would tell, and far more than a busy machine needs."""


@asynccontextmanager
async def edge(**options: Any) -> AsyncIterator[Registry]:
    async with Registry() as registry:
        await registry.start_edge(t3_relay=True, **options)
        yield registry


@asynccontextmanager
async def edge_and_machine(**options: Any) -> AsyncIterator[tuple[Registry, Machine]]:
    async with edge(**options) as registry, machine(registry) as connected:
        yield registry, connected


def edge_of(registry: Registry) -> Edge:
    assert registry.edge is not None
    return registry.edge


async def body_of(visitor: Client) -> tuple[int, bytes]:
    status, headers = await visitor.head()
    return status, await visitor.body(int(headers["content-length"]))


# Getting in.


async def test_a_connector_is_let_in_only_where_the_operator_says_so() -> None:
    async with Registry() as registry:
        await registry.start_edge(hold_seconds=0.05)
        status, answer = await ask_for_ticket(registry.port, registry.token().encode())
        assert (status, answer["error"]) == (502, "machine_offline")


async def test_the_secret_buys_a_ticket_and_the_ticket_one_connection() -> None:
    async with edge() as registry:
        status, answer = await ask_for_ticket(registry.port, registry.token().encode())
        assert (status, answer["expiresAt"][-1]) == (201, "Z")
        async with dialled(registry, answer["ticket"]) as connected:
            await until(lambda: edge_of(registry).is_connected("env-1"))
            with pytest.raises(InvalidStatus) as refused:
                async with dialled(registry, answer["ticket"]):
                    pass
            assert refused.value.response.status_code == 401
            assert edge_of(registry).is_connected("env-1")
            assert connected is not None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"seed": bytes(32)}, "invalid_signature"),
        ({"generation": 9}, "generation_superseded"),
    ],
)
async def test_another_key_or_generation_buys_nothing(changes: dict[str, Any], reason: str) -> None:
    async with edge() as registry:
        status, answer = await ask_for_ticket(registry.port, registry.token(**changes).encode())
        assert (status, answer["error"]) == (401, reason)


async def test_a_secret_is_worth_nothing_at_another_machine_s_name() -> None:
    async with edge() as registry:
        status, answer = await ask_for_ticket(
            registry.port, registry.token().encode(), host="other.localhost"
        )
        assert (status, answer["error"]) == (401, "wrong_host")


async def test_guessing_is_counted_like_failed_proofs() -> None:
    allowances = Allowances(failed_proofs_per_minute=2)
    async with edge(allowances=allowances) as registry:
        for expected in (401, 401, 429):
            assert (await ask_for_ticket(registry.port, "guess"))[0] == expected


async def test_a_link_that_ended_between_ticket_and_connection_is_refused() -> None:
    async with edge() as registry:
        _, answer = await ask_for_ticket(registry.port, registry.token().encode())
        registry.refusal = TunnelRefusal("unlinked", "This machine was unlinked.")
        with pytest.raises(InvalidStatus):
            async with dialled(registry, answer["ticket"]):
                pass


async def test_other_requests_to_the_connector_s_place_are_told_what_it_is_for() -> None:
    async with edge() as registry, client(registry.port) as visitor:
        await visitor.get(PATH)
        status, headers = await visitor.head()
        assert (status, headers["allow"]) == (405, "POST")


async def test_an_account_has_no_more_machines_this_way_than_another() -> None:
    allowances = Allowances(default=Allowance(machines=1))
    async with edge_and_machine(allowances=allowances) as (registry, _):
        other = registry.token(environment_id="env-2")
        _, answer = await ask_for_ticket(registry.port, other.encode())
        uri = f"ws://app.localhost:{registry.port}{PATH}?ticket={answer['ticket']}"
        with pytest.raises(InvalidStatus):
            await connect(uri, host="127.0.0.1", port=registry.port, proxy=None, open_timeout=PATIENCE)


# Requests.


async def test_a_request_goes_there_and_its_answer_back() -> None:
    async with edge_and_machine() as (registry, connected), client(registry.port) as visitor:
        await visitor.send(
            b"POST /api/x?y=1 HTTP/1.1\r\nHost: app.localhost\r\nContent-Length: 5\r\n"
            b"Accept-Encoding: br\r\nX-Forwarded-For: 6.6.6.6\r\n\r\nhello"
        )
        stream, start = await connected.told("http_request_start")
        assert (start["method"], start["url"]) == ("POST", "http://app.localhost/api/x?y=1")
        headers = [tuple(header) for header in start["headers"]]
        assert ("x-forwarded-for", "127.0.0.1") in headers
        assert ("accept-encoding", "identity") in headers
        assert not {"host", "content-length", "connection"} & {name for name, _ in headers}
        assert await connected.frame() == (REQUEST_BODY, 0, stream, b"hello")
        assert (await connected.told("http_request_end"))[0] == stream
        await connected.say(
            stream,
            "http_response_start",
            status=201,
            headers=[
                ["content-type", "text/plain"],
                ["set-cookie", "a=1"],
                ["set-cookie", "b=2"],
                ["content-length", "4"],
            ],
        )
        window = await connected.told("window_update")
        assert window == (stream, {"type": "window_update", "creditBytes": INITIAL_WINDOW})
        await connected.send(frame(RESPONSE_BODY, stream, b"done"))
        await connected.say(stream, "http_response_end")
        block = await asyncio.wait_for(visitor.reader.readuntil(b"\r\n\r\n"), PATIENCE)
        assert block.startswith(b"HTTP/1.1 201 ")
        assert (block.count(b"set-cookie: "), b"content-length: 4\r\n" in block) == (2, True)
        assert await visitor.body(4) == b"done"
        await until(lambda: edge_of(registry).stats().streams == 0)


async def test_an_answer_of_unknown_length_comes_whole_or_visibly_broken() -> None:
    async with edge_and_machine() as (registry, connected):
        async with client(registry.port) as visitor:
            await visitor.get()
            stream, _ = await connected.told("http_request_start")
            await connected.answer(stream, b"abc")
            await visitor.head()
            assert await visitor.chunks() == b"abc"
        async with client(registry.port) as visitor:
            await visitor.get()
            for ending in ("http_request_end", "window_update", "http_request_start"):
                stream, _ = await connected.told(ending)
            await connected.say(stream, "http_response_start", status=200, headers=[])
            await connected.send(frame(RESPONSE_BODY, stream, b"abc"))
            await connected.say(stream, "http_response_abort", reason="broken")
            await visitor.head()
            with pytest.raises(asyncio.IncompleteReadError):
                await visitor.chunks()


async def test_a_long_answer_flows_on_credit_that_a_visitor_s_reading_gives_back() -> None:
    size = 2 * 1024 * 1024
    async with edge_and_machine() as (registry, connected), client(registry.port) as visitor:
        await visitor.get()
        stream, _ = await connected.told("http_request_start")
        await connected.told("http_request_end")
        await connected.say(
            stream, "http_response_start", status=200, headers=[["content-length", str(size)]]
        )
        await visitor.head()
        reading = asyncio.create_task(visitor.body(size))
        credit, left = 0, size
        while left:
            while credit < MAX_PAYLOAD:
                _, said = await connected.told("window_update")
                credit += said["creditBytes"]
            await connected.send(frame(RESPONSE_BODY, stream, bytes(MAX_PAYLOAD)))
            credit -= MAX_PAYLOAD
            left -= MAX_PAYLOAD
        await connected.say(stream, "http_response_end")
        assert len(await reading) == size


async def test_a_connector_that_takes_no_notice_of_credit_loses_that_answer_only() -> None:
    async with edge_and_machine() as (registry, connected), client(registry.port) as visitor:
        await visitor.get()
        stream, _ = await connected.told("http_request_start")
        await connected.say(stream, "http_response_start", status=200, headers=[])
        # The visitor reads nothing. What its path swallows is given back; what comes after that has to wait.
        flood = frame(RESPONSE_BODY, stream, bytes(MAX_PAYLOAD))
        sending = asyncio.create_task(connected.send(*[flood] * 500))
        while b"http_request_abort" not in (await connected.frame())[3]:
            pass
        await sending
        assert edge_of(registry).is_connected("env-1")


@pytest.mark.parametrize("is_told", [True, False])
async def test_an_upload_that_no_connector_could_hold_is_refused(is_told: bool) -> None:
    async with edge_and_machine() as (registry, connected), client(registry.port) as visitor:
        framing = f"Content-Length: {MAX_MESSAGE + 1}" if is_told else "Transfer-Encoding: chunked"
        await visitor.get(headers=f"{framing}\r\nAccept: application/json\r\n", method="POST")
        if not is_told:
            chunk = b"%x\r\n%b\r\n" % (1024 * 1024, bytes(1024 * 1024))
            sending = asyncio.create_task(visitor.send(chunk * 17))
            await connected.told("http_request_start")
            while (await connected.frame())[0] == REQUEST_BODY:
                pass
            await sending
        status, body = await body_of(visitor)
        assert (status, b"upload_too_large" in body) == (413, True)


async def test_a_head_that_fits_into_no_frame_is_refused() -> None:
    async with edge_and_machine() as (registry, _), client(registry.port) as visitor:
        # Control characters are forbidden, but each of these takes six bytes of JSON.
        await visitor.send(
            b"GET / HTTP/1.1\r\nHost: app.localhost\r\nX: "
            + b"\xff" * 20_000
            + b"\r\nY: "
            + b'"' * 15_000
            + b"\r\n\r\n"
        )
        assert (await visitor.head())[0] == 431


async def test_a_visitor_who_leaves_is_reported() -> None:
    async with edge_and_machine() as (registry, connected):
        async with client(registry.port) as visitor:
            await visitor.get()
            stream, _ = await connected.told("http_request_start")
            await connected.told("http_request_end")
        assert (await connected.told("http_request_abort"))[0] == stream


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 200, "headers": [["x", "a\r\nset-cookie: b=1"]]},
        {"status": 200, "headers": [["x y", "a"]]},
        {"status": 200, "headers": [["x", "\u20ac"]]},
        {"status": 101, "headers": []},
    ],
)
async def test_a_head_that_would_say_more_than_it_may_is_a_502(answer: dict[str, Any]) -> None:
    async with edge_and_machine() as (registry, connected), client(registry.port) as visitor:
        await visitor.get()
        stream, _ = await connected.told("http_request_start")
        await connected.told("http_request_end")
        await connected.say(stream, "http_response_start", **answer)
        assert (await visitor.head())[0] == 502
        assert (await connected.told("http_request_abort"))[0] == stream


async def test_a_body_longer_or_shorter_than_told_never_passes_for_whole() -> None:
    async with edge_and_machine() as (registry, connected):
        for body in (b"abc", b"abcdef"):
            async with client(registry.port) as visitor:
                await visitor.get()
                stream = 0
                while not stream:
                    kind, _, found, payload = await connected.frame()
                    stream = found if b"http_request_start" in payload and kind == 1 else 0
                await connected.say(
                    stream, "http_response_start", status=200, headers=[["content-length", "5"]]
                )
                await connected.send(frame(RESPONSE_BODY, stream, body))
                await connected.say(stream, "http_response_end")
                await visitor.head()
                assert len(await visitor.rest()) < 5


# WebSockets.


@asynccontextmanager
async def websocket(
    registry: Registry, connected: Machine, **options: Any
) -> AsyncIterator[tuple[ClientConnection, int]]:
    """A visitor's WebSocket and its stream, accepted by the machine."""
    uri = f"ws://app.localhost:{registry.port}/ws?wsTicket=1"
    dialling = asyncio.create_task(
        connect(
            uri, host="127.0.0.1", port=registry.port, proxy=None, open_timeout=PATIENCE, **options
        ).__aenter__()
    )
    stream, said = await connected.told("websocket_open")
    assert said["url"] == f"http://app.localhost:{registry.port}/ws?wsTicket=1"
    assert not {"sec-websocket-key", "host", "upgrade"} & {name for name, _ in said["headers"]}
    await connected.say(
        stream, "websocket_accept", **({"protocol": said["protocols"][-1]} if said["protocols"] else {})
    )
    visitor = await dialling
    try:
        yield visitor, stream
    finally:
        await visitor.close()


async def test_messages_pass_both_ways_as_what_they_are() -> None:
    async with (
        edge_and_machine() as (registry, connected),
        websocket(registry, connected) as (visitor, stream),
    ):
        await visitor.send("grüße")
        assert await connected.frame() == (TEXT, END, stream, "grüße".encode())
        await visitor.send(b"")
        assert await connected.frame() == (BINARY, END, stream, b"")
        big = bytes(range(256)) * 600
        await visitor.send(big)
        pieces = [await connected.frame() for _ in range(3)]
        assert [piece[1] for piece in pieces] == [0, CONTINUATION, CONTINUATION | END]
        assert b"".join(piece[3] for piece in pieces) == big
        await connected.send(frame(TEXT, stream, b"he"), frame(TEXT, stream, b"llo", END | CONTINUATION))
        await connected.send(frame(BINARY, stream, b"\x00", END))
        assert [await visitor.recv(), await visitor.recv()] == ["hello", b"\x00"]


async def test_a_visitor_s_ping_is_answered_and_a_subprotocol_kept() -> None:
    async with (
        edge_and_machine() as (registry, connected),
        websocket(registry, connected, subprotocols=["a", "b"]) as (visitor, _),
    ):
        assert visitor.subprotocol == "b"
        await asyncio.wait_for(await visitor.ping(), PATIENCE)


@pytest.mark.parametrize(("code", "seen"), [(4003, 4003), (1006, 1011), (1001, 1001)])
async def test_a_machine_s_close_reaches_the_visitor_in_a_code_that_can_be_sent(code: int, seen: int) -> None:
    async with (
        edge_and_machine() as (registry, connected),
        websocket(registry, connected) as (visitor, stream),
    ):
        await connected.say(stream, "websocket_close", code=code, reason="signed out")
        with pytest.raises(ConnectionClosed) as ended:
            await visitor.recv()
        assert ended.value.rcvd is not None
        assert (ended.value.rcvd.code, ended.value.rcvd.reason) == (seen, "signed out")


@pytest.mark.parametrize(("code", "told"), [(4001, 4001), (1001, 1000), (1000, 1000)])
async def test_a_visitor_s_close_reaches_the_machine_in_a_code_that_node_takes(code: int, told: int) -> None:
    async with (
        edge_and_machine() as (registry, connected),
        websocket(registry, connected) as (visitor, stream),
    ):
        await visitor.close(code, "bye")
        found, said = await connected.told("websocket_close")
        assert (found, said["code"], said["reason"]) == (stream, told, "bye")


async def test_a_visitor_whose_connection_breaks_is_reported_too() -> None:
    async with (
        edge_and_machine() as (registry, connected),
        websocket(registry, connected) as (visitor, stream),
    ):
        visitor.transport.abort()
        assert (await connected.told("websocket_close"))[0] == stream


async def test_a_refused_websocket_has_the_machine_s_status() -> None:
    async with edge_and_machine() as (registry, connected):
        uri = f"ws://app.localhost:{registry.port}/ws"
        dialling = asyncio.create_task(
            connect(uri, host="127.0.0.1", port=registry.port, proxy=None, open_timeout=PATIENCE).__aenter__()
        )
        stream, _ = await connected.told("websocket_open")
        await connected.say(stream, "websocket_reject", status=403, reason="no")
        with pytest.raises(InvalidStatus) as refused:
            await dialling
        assert refused.value.response.status_code == 403


async def test_fragments_out_of_order_end_that_websocket_only() -> None:
    async with (
        edge_and_machine() as (registry, connected),
        websocket(registry, connected) as (visitor, stream),
    ):
        await connected.send(frame(TEXT, stream, b"tail", END | CONTINUATION))
        with pytest.raises(ConnectionClosed) as ended:
            await visitor.recv()
        assert ended.value.rcvd is not None
        assert ended.value.rcvd.code == 1011
        assert (await connected.told("websocket_close"))[0] == stream
        assert edge_of(registry).is_connected("env-1")


async def test_a_visitor_who_does_not_read_costs_bounded_memory() -> None:
    async with (
        edge_and_machine() as (registry, connected),
        websocket(registry, connected, max_queue=1) as (visitor, stream),
    ):
        visitor.transport.pause_reading()
        flood = frame(BINARY, stream, bytes(MAX_PAYLOAD), END)
        for _ in range(3 * MAX_MESSAGE // MAX_PAYLOAD):
            await connected.send(flood)
        assert (await connected.told("websocket_close"))[0] == stream
        visitor.transport.abort()


# The end.


async def test_the_newest_connection_owns_the_name_and_the_older_is_told() -> None:
    async with edge_and_machine() as (registry, older), machine(registry) as newer:
        assert await older.closed() == 4000
        async with client(registry.port) as visitor:
            await visitor.get()
            stream, _ = await newer.told("http_request_start")
            await newer.answer(stream, b"ok", content_length="2")
            assert await body_of(visitor) == (200, b"ok")
        assert edge_of(registry).stats().tunnels_superseded == 1


async def test_our_own_connector_and_t3_s_take_the_name_from_each_other() -> None:
    async with (
        edge_and_machine() as (registry, connected),
        registry.connector(router=never, uniform=lambda low, high: high),
    ):
        assert await connected.closed() == 4000
        async with machine(registry):
            assert edge_of(registry).stats().tunnels == 1


async def test_unlinking_ends_the_connection_at_once() -> None:
    async with edge_and_machine(hold_seconds=0.05) as (registry, connected), client(registry.port) as visitor:
        await visitor.get()
        await connected.told("http_request_start")
        registry.refusal = TunnelRefusal("unlinked", "This machine was unlinked.")
        edge_of(registry).close_tunnel("env-1", below_generation=2)
        assert await asyncio.wait_for(connected.closed(), SOON) == 4001
        assert (await visitor.head())[0] == 502
        assert (await ask_for_ticket(registry.port, registry.token().encode()))[0] == 401


async def test_what_is_no_frame_ends_the_connection() -> None:
    async with edge_and_machine() as (registry, connected):
        await connected.send("text is passed over")
        await connected.send(b"not a frame")
        assert await connected.closed() == 1002
        await until(lambda: not edge_of(registry).is_connected("env-1"))


async def test_a_machine_that_falls_silent_is_noticed() -> None:
    async with edge(heartbeat=FAST_HEARTBEAT, hold_seconds=0.05) as registry, client(registry.port) as wire:
        _, answer = await ask_for_ticket(registry.port, registry.token().encode())
        await wire.get(
            f"{PATH}?ticket={answer['ticket']}",
            headers="Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
        )
        assert (await wire.head())[0] == 101
        await until(lambda: edge_of(registry).stats().tunnels_opened == 1)
        await until(lambda: not edge_of(registry).is_connected("env-1"))


async def test_a_leaving_edge_lets_what_is_open_end_first() -> None:
    async with edge_and_machine() as (registry, connected), client(registry.port) as visitor:
        await visitor.get()
        stream, _ = await connected.told("http_request_start")
        plan = Drain(settle=0.0, grace=PATIENCE, spread=0.0)
        draining = asyncio.create_task(edge_of(registry).drain(plan))
        await connected.told("http_request_end")
        await connected.answer(stream, b"ok", content_length="2")
        assert await body_of(visitor) == (200, b"ok")
        assert await connected.closed() == 1012
        await draining
