"""What tests of pages need, whoever's pages they are: an accounts origin to look at."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from doorward.store import open_database
from tests.conftest import OpenTestDatabase
from tests.databases import new_sqlite
from tests.identity_pages.world import SCHEMAS, World, world


@pytest.fixture(scope="module")
async def accounts(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """An accounts origin over SQLite, one for a module: every test brings its own people."""
    folder: Path = tmp_path_factory.mktemp("accounts")
    database = await open_database(new_sqlite(folder, SCHEMAS), schemas=SCHEMAS)
    async with world(database) as opened:
        yield opened
    await database.close()


@pytest.fixture
async def accounts_on_each_engine(open_test_database: OpenTestDatabase) -> AsyncIterator[World]:
    async with world(await open_test_database(*SCHEMAS)) as opened:
        yield opened
