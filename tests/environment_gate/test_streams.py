"""What flows through the gate: WebSockets, events, large bodies; and how a session's end ends them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from doorward.environment.access import MACHINE
from doorward.environment.app import create_environment
from doorward.environment.gate.streams import Streams
from doorward.environment.settings import Service
from doorward.outbound import Outbound
from doorward.store import DatabaseFailed
from tests.conftest import ClockForTests
from tests.environment_gate.machine import Machine

pytestmark = pytest.mark.anyio

SOON = 15.0
"""Within a second where nothing else runs; a session, a cookie and an endless stream last far longer than this."""


def opening(
    machine: Machine, headers: dict[str, str], *, origin: str | None, host: str | None = None
) -> connect:
    return connect(
        f"ws://{host or machine.host}/socket?kept=1",
        host="127.0.0.1",
        port=machine.port,
        origin=origin,  # type: ignore[arg-type]
        additional_headers=headers,
        subprotocols=["clock"],  # type: ignore[list-item]
        proxy=None,
        open_timeout=60,
    )


async def ticks(socket: ClientConnection, text: str) -> None:
    await socket.send(text)
    assert await socket.recv() == text


async def test_a_websocket_of_the_services_own_page_gets_through_whole(machine: Machine) -> None:
    async with opening(machine, await machine.cookie(), origin=machine.origin) as socket:
        headers = json.loads(await socket.recv())["headers"]
        assert "cookie" not in headers
        assert headers["doorward-assertion"].count(".") == 2
        assert socket.subprotocol == "clock"
        await ticks(socket, "x" * 100_000)


@pytest.mark.parametrize("origin", [None, "https://evil.test", "sibling"])
async def test_a_websocket_with_a_cookie_from_another_page_is_refused(
    machine: Machine, origin: str | None
) -> None:
    sent = f"http://photos.env.localhost:{machine.port}" if origin == "sibling" else origin
    with pytest.raises(InvalidStatus) as refused:
        async with opening(machine, await machine.cookie(), origin=sent):
            pass
    assert refused.value.response.status_code == 403


async def test_a_websocket_without_a_session_gets_401_and_never_a_redirect(machine: Machine) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with opening(machine, {}, origin=machine.origin):
            pass
    response = refused.value.response
    assert response.status_code == 401
    assert response.headers["doorward-gate"] == f"{machine.api_origin}/gate"


async def test_a_program_opens_a_websocket_with_its_key_and_no_origin(machine: Machine) -> None:
    key, issued = await machine.session()
    async with opening(machine, machine.program(key, issued.token, "/socket"), origin=None) as socket:
        await socket.recv()
        await ticks(socket, "hello")


async def test_revoking_a_device_ends_its_open_streams_at_once(machine: Machine) -> None:
    key, issued = await machine.session()
    cookie = {"cookie": f"__Host-doorward={(await machine.child(issued.session.id)).cookie}"}
    _, other = await machine.session()
    others = {"cookie": f"__Host-doorward={(await machine.child(other.session.id)).cookie}"}
    async with (
        opening(machine, cookie, origin=machine.origin) as mine,
        opening(machine, others, origin=machine.origin) as theirs,
        machine.client.stream(
            "GET", f"http://127.0.0.1:{machine.port}/events", headers={"host": machine.host, **cookie}
        ) as events,
    ):
        await mine.recv()
        await theirs.recv()
        pieces = events.aiter_bytes()
        assert await anext(pieces)
        async with asyncio.timeout(SOON):
            await machine.environment.approvals.revoke(MACHINE, key.public.thumbprint)
            with pytest.raises(ConnectionClosed):
                await mine.recv()
            with pytest.raises(Exception, match=r"closed|incomplete"):
                await drained(pieces)
        await ticks(theirs, "still here")


async def removed(machine: Machine) -> None:
    assert await machine.environment.remove_service(MACHINE, "notes")


async def moved(machine: Machine) -> None:
    await machine.environment.add_service(MACHINE, Service(name="notes", port=9))


async def readdressed(machine: Machine) -> None:
    await machine.environment.services.claimed(MACHINE, "notes", f"http://n.env.localhost:{machine.port}/")


async def removed_past_the_agent(machine: Machine) -> None:
    outbound = Outbound()
    beside = await create_environment(machine.environment.settings, outbound=outbound)
    try:
        assert await beside.services.remove(MACHINE, "notes")
    finally:
        await beside.stop()
        await outbound.close()


@pytest.mark.parametrize("take_back", [removed, moved, readdressed, removed_past_the_agent])
async def test_taking_a_service_back_ends_its_streams_at_once_and_those_of_no_other(
    machine: Machine, take_back: Callable[[Machine], Awaitable[None]]
) -> None:
    _, issued = await machine.session()
    photos = f"photos.env.localhost:{machine.port}"
    cookie = {"cookie": f"__Host-doorward={(await machine.child(issued.session.id)).cookie}"}
    at_photos = {"cookie": f"__Host-doorward={(await machine.child(issued.session.id, photos)).cookie}"}
    async with (
        opening(machine, cookie, origin=machine.origin) as notes,
        opening(machine, await machine.cookie(), origin=machine.origin) as from_another_device,
        opening(machine, at_photos, origin=f"http://{photos}", host=photos) as others,
        machine.client.stream(
            "GET", f"http://127.0.0.1:{machine.port}/events", headers={"host": machine.host, **cookie}
        ) as events,
    ):
        for socket in (notes, from_another_device, others):
            await socket.recv()
        pieces = events.aiter_bytes()
        assert await anext(pieces)
        await take_back(machine)
        async with asyncio.timeout(SOON):
            for socket in (notes, from_another_device):
                with pytest.raises(ConnectionClosed):
                    await socket.recv()
            with pytest.raises(Exception, match=r"closed|incomplete"):
                await drained(pieces)
        await ticks(others, "still here")
        await machine.environment.sessions.end(issued.session.id, by=MACHINE)
        async with asyncio.timeout(SOON):
            with pytest.raises(ConnectionClosed):
                await others.recv()


async def test_a_service_exposed_again_where_it_is_keeps_its_streams(machine: Machine) -> None:
    async with opening(machine, await machine.cookie(), origin=machine.origin) as socket:
        await socket.recv()
        await machine.environment.add_service(MACHINE, Service(name="notes", port=machine.local.port))
        await machine.environment.add_service(
            MACHINE, Service(name="notes", port=machine.local.port, host_header="local")
        )
        await ticks(socket, "still here")


async def test_a_service_taken_back_and_exposed_again_has_streams_again_that_end_with_it(
    machine: Machine,
) -> None:
    cookie = await machine.cookie()
    service = Service(name="notes", port=machine.local.port)
    for _ in range(2):
        async with opening(machine, cookie, origin=machine.origin) as socket:
            await socket.recv()
            await removed(machine)
            async with asyncio.timeout(SOON):
                with pytest.raises(ConnectionClosed):
                    await socket.recv()
        await machine.environment.add_service(MACHINE, service)
        await machine.environment.services.claimed(MACHINE, "notes", f"{machine.origin}/")


async def drained(pieces: AsyncIterator[bytes]) -> None:
    async for _ in pieces:
        pass


async def test_streams_whose_session_cannot_be_looked_up_end_and_later_ones_are_still_watched(
    machine: Machine,
) -> None:
    sessions = machine.environment.sessions
    find, path = sessions.find, machine.environment.settings.state_dir / "state.sqlite"

    async def unreadable(_: str) -> None:
        raise DatabaseFailed("the disk is gone")

    for _ in range(2):
        async with opening(machine, await machine.cookie(), origin=machine.origin) as socket:
            await socket.recv()
            sessions.find = unreadable  # type: ignore[method-assign, assignment]
            with contextlib.closing(sqlite3.connect(path)) as elsewhere, elsewhere:
                elsewhere.execute("UPDATE environment_services SET updated_at = updated_at + 1")
            async with asyncio.timeout(60):
                with pytest.raises(ConnectionClosed):
                    await socket.recv()
            sessions.find = find  # type: ignore[method-assign]


async def test_a_stream_ends_when_its_session_runs_out(machine: Machine, clock: ClockForTests) -> None:
    _, issued = await machine.session()
    clock.advance(3_600_000 - 3000)
    cookie = {"cookie": f"__Host-doorward={(await machine.child(issued.session.id)).cookie}"}
    async with opening(machine, cookie, origin=machine.origin) as socket:
        async with asyncio.timeout(SOON):
            with pytest.raises(ConnectionClosed):
                while True:
                    await socket.recv()


async def test_signing_out_ends_the_streams_of_the_session(machine: Machine) -> None:
    cookie = await machine.cookie()
    async with opening(machine, cookie, origin=machine.origin) as socket:
        await socket.recv()
        await machine.ask("/.doorward/sign-out", method="POST", headers=cookie | {"origin": machine.origin})
        async with asyncio.timeout(SOON):
            with pytest.raises(ConnectionClosed):
                await socket.recv()


async def test_what_a_session_opens_while_one_service_signs_out_ends_with_the_session(
    machine: Machine,
) -> None:
    closed: list[str] = []
    streams = Streams(machine.environment, closed.append)
    tag = streams.opened("sess", machine.origin, expires_at=machine.environment.clock() + 60_000)
    # A request that was judged just before the sign-out may be repeated after it, and is not judged anew.
    streams.close("sess")
    streams.end("sess")
    assert closed == [tag, tag]


async def test_a_request_authorised_while_its_session_ended_is_turned_away(machine: Machine) -> None:
    _, issued = await machine.session()
    cookie = {"cookie": f"__Host-doorward={(await machine.child(issued.session.id)).cookie}"}
    children = machine.environment.children
    look = children.authorise_cookie

    async def slow_look(value: str, host: str):  # type: ignore[no-untyped-def]
        visitor = await look(value, host)
        await machine.environment.sessions.end(issued.session.id, by=MACHINE)
        async with asyncio.timeout(60):
            while not machine.gate._streams.has_ended(issued.session.id):  # noqa: ASYNC110 - the watch tells nobody
                await asyncio.sleep(0.01)
        return visitor

    children.authorise_cookie = slow_look  # type: ignore[method-assign]
    assert (await machine.ask("/", headers=cookie)).status_code == 401


async def test_events_arrive_as_they_are_sent(machine: Machine) -> None:
    headers = {"host": machine.host, **await machine.cookie()}
    async with machine.client.stream(
        "GET", f"http://127.0.0.1:{machine.port}/events", headers=headers
    ) as response:
        async with asyncio.timeout(SOON):
            async for line in response.aiter_lines():
                if line == "data: 3":
                    break
    async with asyncio.timeout(SOON):
        await machine.local.was_closed.wait()


async def test_large_bodies_flow_both_ways_without_being_held(machine: Machine) -> None:
    size = 96 * 1024 * 1024
    headers = {"host": machine.host, **await machine.cookie()}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    async def body() -> AsyncIterator[bytes]:
        piece = b"y" * 65536
        for _ in range(size // len(piece)):
            yield piece

    url = f"http://127.0.0.1:{machine.port}"
    uploaded = await machine.client.post(
        f"{url}/upload", content=body(), headers={**headers, "content-length": str(size)}
    )
    assert uploaded.json() == {"received": size}
    received = 0
    async with machine.client.stream(
        "GET", f"{url}/download?pieces={size // 65536}", headers=headers
    ) as response:
        async for piece in response.aiter_bytes():
            received += len(piece)
    assert received == size
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < size // 2
