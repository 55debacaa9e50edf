"""A connector that is told to stop stops, whatever it is doing just then."""

import asyncio
import socket

import pytest

from doorward.http1 import Answer, Peer, RequestHead
from doorward.tunnel import Connector
from tests.tunnel.carriers import token_for

pytestmark = pytest.mark.anyio


async def nobody(head: RequestHead, peer: Peer) -> Answer:
    return Answer(404, [], b"")


async def test_a_connector_that_is_stopped_just_as_its_dial_fails_ends() -> None:
    """Whoever stops it waits for its end, and holds up every later configuration meanwhile."""
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))  # bound and not listening: every dial is refused at once
        token = token_for(unheard.getsockname()[1])
        for turns in range(12):  # of the loop, so that one of these is the turn in which the refusal arrives
            running = asyncio.create_task(Connector(token, router=nobody).run())
            for _ in range(turns):
                await asyncio.sleep(0)
            running.cancel()
            done, _ = await asyncio.wait({running}, timeout=60)
            assert done, f"stopped in turn {turns}, it goes on"
