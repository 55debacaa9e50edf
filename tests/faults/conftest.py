"""One installation for each module: what a fault leaves behind, the next test meets."""

from collections.abc import AsyncIterator

import pytest

from tests.e2e.storm import World
from tests.faults.visitor import Visitor, approved_visitor
from tests.faults.worlds import FaultyProcesses, linked


@pytest.fixture(scope="module")
async def world(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with linked(FaultyProcesses(tmp_path_factory.mktemp("f", numbered=True))) as running:
        yield running


@pytest.fixture(scope="module")
async def visitor(world: World) -> Visitor:
    return await approved_visitor(world)
