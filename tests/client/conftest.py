"""A scripted relay and machine, and a device that talks to them."""

from collections.abc import AsyncIterator

import pytest

from doorward.outbound import Outbound
from tests.client.scripted import Device, Scripted, scripted


@pytest.fixture
async def play(anyio_backend: str) -> AsyncIterator[Scripted]:
    async with scripted() as play:
        yield play


@pytest.fixture
async def device(play: Scripted) -> AsyncIterator[Device]:
    outbound = Outbound()
    yield Device(play, outbound)
    await outbound.close()
