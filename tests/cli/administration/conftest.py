"""An accounts server's database with no server in front, the commands that work on it, and a server where one is wanted."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from doorward.cli import program
from doorward.identity import SCHEMA, DevelopmentInbox, Identity, create_identity
from doorward.identity.settings import IdentitySettings
from doorward.listening import bind, serving
from doorward.relay import SCHEMA as RELAY_SCHEMA
from doorward.server.local_api import instance_of_config
from doorward.store import Database, Sealer, open_database, system_clock
from tests.conftest import DatabaseUrl
from tests.identity.conftest import UNLIMITED, World, quick_hasher


@dataclass
class Installation:
    """`config` is its doorward.toml. Commands run in this process, as the operator or with a key."""

    folder: Path
    config: Path
    settings: IdentitySettings
    url: str
    way: tuple[str, ...] = ()
    environ: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: object, status: int = 0, typed: str | None = None) -> Result:
        """A command that ends as expected."""
        result = CliRunner().invoke(program, [*map(str, arguments), *self.way], input=typed, env=self.environ)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == status, (result.output, result.stderr)
        return result

    def say(self, *arguments: object, **options: Any) -> str:
        """What a person reads."""
        return self.run(*arguments, **options).stdout

    def json(self, *arguments: object, **options: Any) -> Any:
        """What a program reads."""
        return json.loads(self.run(*arguments, "--json", **options).stdout)

    def refusal(self, *arguments: object, status: int = 1) -> dict[str, str]:
        """The error of a command that fails; with status 2 where it was written wrongly."""
        error: dict[str, str] = json.loads(self.run(*arguments, "--json", status=status).stderr)["error"]
        return error

    @contextlib.asynccontextmanager
    async def opened(self) -> Any:
        """The identity on this database, for what no command does."""
        database = await open_database(self.url, schemas=[RELAY_SCHEMA, SCHEMA])
        identity = await _identity(self, database)
        world = World(identity, database, None, None, identity.inbox)  # type: ignore[arg-type]
        try:
            yield world
        finally:
            for client in world.browsers:
                await client.aclose()
            await identity.stop()
            await database.close()

    def signs_in(self, address: str, password: str) -> str:
        """How a sign-in of a browser goes: `complete`, or the code of the refusal."""

        async def work() -> str:
            async with self.opened() as world:
                answer = (
                    await world.browser(origin=self.settings.origin).http.post(
                        "/v1/client/sign_ins", data={"identifier": address, "password": password}
                    )
                ).json()
                status: str = (
                    answer["errors"][0]["code"] if "errors" in answer else answer["response"]["status"]
                )
                return status

        return asyncio.run(work())

    def grants_administration(self, user_id: str) -> None:
        """What an administrator does in the console."""

        async def work() -> None:
            async with self.opened() as world:
                await world.identity.administrators.grant(user_id, actor="test")

        asyncio.run(work())

    def audit(self) -> list[tuple[str | None, str]]:
        """(actor, action), oldest first."""

        async def work() -> list[tuple[str | None, str]]:
            database = await open_database(self.url, schemas=[RELAY_SCHEMA, SCHEMA])
            try:
                rows = await database.read(
                    lambda tx: tx.fetch_all("SELECT actor, action FROM identity_audit ORDER BY at, id")
                )
                return [(row[0], row[1]) for row in rows]
            finally:
                await database.close()

        return asyncio.run(work())


async def _identity(installation: Installation, database: Database) -> Identity:
    return await create_identity(
        installation.settings,
        database,
        sealer=Sealer.from_file(installation.folder / "key-encryption.key"),
        mailer=DevelopmentInbox(system_clock),
        hasher=quick_hasher(),
    )


@pytest.fixture
def installation(database_url: DatabaseUrl, tmp_path: Path) -> Installation:
    """On each engine, for the operator of its machine."""
    return make(tmp_path, database_url(RELAY_SCHEMA, SCHEMA), "http://accounts.localhost:8080")


def make(folder: Path, url: str, origin: str) -> Installation:
    from msgspec.structs import replace

    config = folder / "doorward.toml"
    config.write_text(
        f"""
        roles = ["identity"]
        data = "{folder}"
        [database]
        url = "{url}"
        [identity]
        origin = "{origin}"
        sign_up = "waitlist"
        [relay]
        origin = "http://relay.localhost:8080"
        zone = "env.localhost:8080"
        [edge]
        url = "http://edge.env.localhost:8080"
        """,
        "utf-8",
    )
    Sealer.from_file(folder / "key-encryption.key")
    settings = replace(instance_of_config(config).settings, limits=UNLIMITED)
    return Installation(
        folder,
        config,
        settings,
        url,
        ("--config", str(config)),
        {"CLERK_API_URL": "", "CLERK_SECRET_KEY": ""},
    )


@pytest.fixture(params=["here", "http"])
def either(
    request: pytest.FixtureRequest, database_url: DatabaseUrl, tmp_path: Path
) -> Iterator[Installation]:
    """Reached as the operator does, and over HTTP with a key."""
    url = database_url(RELAY_SCHEMA, SCHEMA)
    if request.param == "here":
        yield make(tmp_path, url, "http://accounts.localhost:8080")
        return
    listener = bind("127.0.0.1", 0, option="")
    installation = make(tmp_path, url, f"http://accounts.localhost:{listener.getsockname()[1]}")
    key = installation.json("keys", "secret", "create", "tests")["secret"]
    ready = threading.Event()
    stop: list[Callable[[], object]] = []

    async def serve() -> None:
        stopped = asyncio.Event()
        stop.append(partial(asyncio.get_running_loop().call_soon_threadsafe, stopped.set))
        database = await open_database(url, schemas=[RELAY_SCHEMA, SCHEMA])
        identity = await _identity(installation, database)
        async with identity.running(), serving(identity.app, listener, with_websockets=False):
            ready.set()
            await stopped.wait()
        await database.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert ready.wait(60)
    installation.way = ("--url", installation.settings.origin)
    installation.environ["CLERK_SECRET_KEY"] = key
    yield installation
    stop[0]()
    thread.join(60)
    assert not thread.is_alive()
    listener.close()
