"""The owner takes an approval back while its device is in the middle of something."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from doorward.environment.local import open_machine
from doorward.t3_connect.messages import ConnectAuthorized
from tests.e2e.storm import World
from tests.faults.ledger import record
from tests.faults.visitor import Visitor, approved_visitor

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("faults-websockets")]

CUT_OFF = 15.0
"""The promise is a second; a loaded machine takes some for itself. Nothing else would end what is open this soon."""


@pytest.fixture
async def device(world: World) -> Visitor:
    """A device of this test's own."""
    return await approved_visitor(world)


async def revoke(world: World, visitor: Visitor) -> float:
    """When it was asked for, by the monotonic clock."""
    async with open_machine(world.installation.machine_home) as machine:
        asked = time.monotonic()
        await machine.revoke(visitor.device.thumbprint)
    return asked


async def test_revoked_during_an_upload(world: World, device: Visitor, visitor: Visitor):
    flowing = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        for number in range(10_000_000):
            yield bytes(65_536)
            if number == 100:
                flowing.set()

    upload = asyncio.ensure_future(device.request("POST", "/swallow?id=revoked-upload", content=body()))
    await asyncio.wait_for(flowing.wait(), 60)
    asked = await revoke(world, device)
    assert (await visitor.journal("revoked-upload"))["end"] == "cancelled"
    ended = time.monotonic() - asked
    # The visitor hears of it too: broken off, or answered with a refusal, never taken.
    outcome = (await asyncio.wait_for(asyncio.gather(upload, return_exceptions=True), 60))[0]
    is_refused = isinstance(outcome, httpx.Response) and outcome.status_code in (401, 502)
    assert is_refused or isinstance(outcome, httpx.TransportError), outcome
    record("revoked during an upload: it ends", recovered=ended, within=CUT_OFF)
    assert ended < CUT_OFF


async def test_revoked_during_a_download(world: World, device: Visitor, visitor: Visitor):
    async with device.stream("GET", "/pour?id=revoked-download") as response:
        blocks = response.aiter_raw()
        await anext(blocks)
        asked = await revoke(world, device)
        with pytest.raises(httpx.TransportError):
            async for _ in blocks:
                assert time.monotonic() - asked < 60
        ended = time.monotonic() - asked
    assert (await visitor.journal("revoked-download"))["end"] == "cancelled"
    record("revoked during a download: it ends", recovered=ended, within=CUT_OFF)
    assert ended < CUT_OFF


async def test_revoked_during_a_websocket(world: World, device: Visitor):
    socket = await device.websocket("/echo")
    await socket.send("in")
    assert await asyncio.wait_for(socket.recv(), 60) == "in"
    asked = await revoke(world, device)
    with pytest.raises(ConnectionClosed):
        await asyncio.wait_for(socket.recv(), 60)
    ended = time.monotonic() - asked
    record("revoked during a WebSocket: it ends", recovered=ended, within=CUT_OFF)
    assert ended < CUT_OFF


async def test_revoked_while_the_machine_mints_nothing_minted_counts(world: World, device: Visitor):
    minted = 0
    for round_ in range(8):
        knocks = [asyncio.ensure_future(device.device.knock()) for _ in range(4)]
        if round_ % 2:
            # at least one is minted already, the others are under way
            await asyncio.wait(knocks, return_when=asyncio.FIRST_COMPLETED)
        await revoke(world, device)
        answers = [await knock for knock in knocks]
        credentials = [answer.credential for answer in answers if isinstance(answer, ConnectAuthorized)]
        minted += len(credentials)
        redeemed = [(await device.device.redeem(credential)).status for credential in credentials]
        assert 200 not in redeemed, (round_, redeemed)
        # asking anew makes a new request, and the owner may say yes again
        await device.device.knock()
        async with open_machine(world.installation.machine_home) as machine:
            await machine.approve(device.device.thumbprint)
    assert minted, "nothing was minted before the owner said no"
    record("revoked during a mint, 8 times", loss=f"none of {minted} credentials counts")


async def test_a_revoked_session_is_worth_nothing_at_any_door(world: World, device: Visitor):
    await revoke(world, device)
    token = await device.device.connection.token()
    assert (await device.request("GET", "/visitor")).status_code == 401
    api = device.device.machine.endpoint.http_base_url
    for method, path in (
        ("GET", "api/auth/session"),
        ("POST", "gate/code"),
        ("POST", "api/auth/websocket-ticket"),
    ):
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{device.port}") as client:
            answer = await client.request(
                method,
                f"/{path}",
                headers={
                    "host": httpx.URL(api).netloc.decode(),
                    "authorization": f"DPoP {token}",
                    "dpop": device.device.connection.proof(method, f"{api}{path}"),
                },
            )
        assert answer.status_code in (401, 403) or answer.json().get("authenticated") is False, (
            path,
            answer.text,
        )
