"""Fixtures every suite shares: asyncio, real databases of both engines, a clock that moves when told to.

@pytest.mark.anyio
async def test_a_link_is_kept(open_test_database, clock):
    database = await open_test_database(SCHEMA)      # runs twice: on SQLite and on PostgreSQL
    clock.advance(60_000)
"""

import os
import signal
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import websockets.asyncio.client
from hypothesis import settings

from doorward.store import Database, Schema, open_database
from tests import databases
from tests.faults.ledger import report_faults
from tests.groups import spread_groups
from tests.system_parts import report_missing_parts

if TYPE_CHECKING:
    from playwright.async_api import Browser

DatabaseUrl = Callable[..., str]
OpenTestDatabase = Callable[..., Awaitable[Database]]

# Property tests are judged by what they find, not by the clock: other suites share the processor.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@cache
def _trusted(certificates: tuple[str | None, ...], *arguments: Any, **options: Any) -> ssl.SSLContext:
    return httpx.create_ssl_context(*arguments, **options)


def _trusted_once(*arguments: Any, **options: Any) -> ssl.SSLContext:
    """What httpx gives a client to trust, without reading every public authority's certificate anew for each one.

    That takes 30 ms, more than all else of most tests, and no test meets anybody whom these authorities vouch for.
    """
    named = tuple(os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"))
    return _trusted(named, *arguments, **options)


httpx._transports.default.create_ssl_context = _trusted_once

# Where a test says nothing of time, these give up after five and ten seconds: a busy machine may take longer.
for _phase in ("connect", "read", "write", "pool"):
    setattr(httpx._config.DEFAULT_TIMEOUT_CONFIG, _phase, 60.0)
websockets.asyncio.client.connect.__init__.__kwdefaults__["open_timeout"] = 60.0


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A script's background job ignores it, and so would the programs that tests stop as Ctrl-C does.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):
        databases.begin_run()


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        databases.end_run()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        items[:] = spread_groups(items)


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """A long text is a token or a key, made anew by every worker: were it part of the id, they would collect different tests."""
    return argname if isinstance(val, (str, bytes)) and len(val) > 60 else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    report_missing_parts(terminalreporter)
    report_faults(terminalreporter)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


class ClockForTests:
    """A `Clock` (milliseconds since the epoch) that stands still until `advance`."""

    def __init__(self, now: int = 1_800_000_000_000) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    def advance(self, milliseconds: int) -> None:
        self.now += milliseconds


@pytest.fixture
def clock() -> ClockForTests:
    return ClockForTests()


@pytest.fixture(scope="session")
async def browser(anyio_backend: str) -> AsyncIterator["Browser"]:
    """One Chromium for a worker: it takes longer to start than most tests last. Each opens contexts of its own in it."""
    from tests.web.browser import chromium

    async with chromium() as browser:
        yield browser


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def engine(request: pytest.FixtureRequest) -> str:
    """The engine a test that asks for a database runs on: once on each."""
    name: str = request.param
    return name


@pytest.fixture
def database_url(engine: str, tmp_path: Path) -> Iterator[DatabaseUrl]:
    """`database_url(*schemas)`: the URL of a fresh migrated database, for tests that open it in several processes."""
    with ExitStack() as stack:

        def create(*schemas: Schema) -> str:
            if engine == "sqlite":
                return databases.new_sqlite(tmp_path, schemas)
            return stack.enter_context(databases.new_postgresql(schemas))

        yield create


@pytest.fixture
async def open_test_database(
    anyio_backend: str, database_url: DatabaseUrl
) -> AsyncIterator[OpenTestDatabase]:
    """`await open_test_database(*schemas)`: a fresh migrated database, closed at the end of the test."""
    opened: list[Database] = []

    async def create(*schemas: Schema) -> Database:
        database = await open_database(database_url(*schemas), schemas=schemas)
        opened.append(database)
        return database

    yield create
    for database in opened:
        await database.close()
