"""A running relay on both engines."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from doorward.relay import SCHEMA
from tests.conftest import ClockForTests, OpenTestDatabase
from tests.relay.world import World, open_world


@pytest.fixture
async def world(
    open_test_database: OpenTestDatabase, clock: ClockForTests, tmp_path: Path
) -> AsyncIterator[World]:
    database = await open_test_database(SCHEMA)
    async with open_world(database, clock, tmp_path) as running:
        yield running
