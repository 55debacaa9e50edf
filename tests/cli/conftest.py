"""One running Doorward for every test of a command, and home folders that are signed in to it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from doorward.client.configuration import publishable_key_of
from doorward.environment.keys import SecretStore
from doorward.outbound import Outbound
from tests.e2e.accounts import Account, keep
from tests.e2e.conftest import end
from tests.e2e.installations import OneProcess

SignIn = Callable[[Path], None]
Work = Callable[[Account], Awaitable[None]]


class Listener:
    """A server that answers nothing and counts who knocks: what must not be contacted."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.connections = 0
        threading.Thread(target=self._count, daemon=True).start()

    def _count(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                knocking, _ = self._socket.accept()
                self.connections += 1
                knocking.close()

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.close()


@pytest.fixture
def nobody(listener: Listener) -> dict[str, str]:
    """The configuration of a server that is there and answers nothing; `listener` tells whether it was asked."""
    return configured(f"http://relay.localhost:{listener.port}", f"http://accounts.localhost:{listener.port}")


def configured(relay: str, accounts: str) -> dict[str, str]:
    return {
        "DOORWARD_RELAY_URL": relay,
        "DOORWARD_PUBLISHABLE_KEY": publishable_key_of(accounts, development=True),
    }


def secrets_of(home: Path) -> SecretStore:
    return SecretStore(home / "userdata" / "secrets")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneProcess]:
    """`doorward up`, whose first account is Ada's."""
    running = OneProcess(tmp_path_factory.mktemp("up"), None)
    try:
        running.start()
        asyncio.run(as_ada(running, lambda ada: ada.sign_up(running.administrator, running.mailed_code)))
        yield running
    finally:
        end(running)


@pytest.fixture(scope="session")
def sign_in(server: OneProcess) -> SignIn:
    """`sign_in(home)` stores a sign-in of Ada's, as `connect login` does."""

    def store(home: Path) -> None:
        async def work(account: Account) -> None:
            keep(await account.grant(), home, account.outbound, account)

        asyncio.run(as_ada(server, work))

    return store


_cookies: dict[str, str] = {}


async def as_ada(server: OneProcess, work: Work) -> None:
    """Do something in Ada's browser."""
    outbound = Outbound()
    try:
        await work(Account(server.accounts, outbound, _cookies))
    finally:
        await outbound.close()
