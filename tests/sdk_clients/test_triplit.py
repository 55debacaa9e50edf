"""A real Triplit server and real clients: our tokens sync each person's own rows, and nobody else's token does."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from doorward.identity.templates.service import Draft
from doorward.jose import generate_key, sign_jwt
from doorward.server.keys import KeyRing
from tests.identity.conftest import Browser, MakeWorld, World, make_world
from tests.sdk_clients.installed import triplit

__all__ = ["make_world"]

pytestmark = pytest.mark.anyio

SECONDS = 60.0


class Node:
    """A script as a process: what it says is JSON, a line each; what it is told, too."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            ["node", *arguments],
            cwd=triplit(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._said: queue.Queue[Any] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._said.put(json.loads(line))
        self._said.put({"ended": True})

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def wait_for(self, name: str, value: Any = ...) -> Any:
        """What is said under a name, once it is `value` where one is given."""
        deadline = time.monotonic() + SECONDS
        while True:
            said = self._said.get(timeout=max(0.1, deadline - time.monotonic()))
            if name in said and value in (..., said[name]):
                return said[name]
            assert "ended" not in said, f"it ended without saying {name}"

    def insert(self, row: dict[str, str]) -> None:
        self.tell(json.dumps({"do": "insert", "row": row}))

    def refresh(self, token: str) -> None:
        """Answer its next wish for another token."""
        self.wait_for("wants", "token")
        self.tell(json.dumps({"do": "token", "token": token}))

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


@contextmanager
def running(*arguments: str) -> Iterator[Node]:
    node = Node(*arguments)
    try:
        yield node
    finally:
        node.end()


@contextmanager
def client(url: str, *options: str) -> Iterator[Node]:
    """Ready to be told its token: that lives a minute, and a program on a busy machine may take as long to start."""
    with running("--experimental-websocket", "client.mjs", url, *options) as node:
        node.wait_for("ready")
        yield node


@contextmanager
def server(key_text: str, folder: Path) -> Iterator[str]:
    (folder / "key").write_text(key_text)
    with running("--import", "./loopback.mjs", "server.mjs", str(folder / "key")) as node:
        yield f"http://127.0.0.1:{node.wait_for('port')}"


async def token_of(browser: Browser, template: str = "", *, left: int = 60) -> str:
    """One that was made just now by the real clock, which Triplit looks at; or so that it has `left` of its sixty seconds."""
    browser.world.clock.now = int(time.time() + left - 60) * 1000
    session = await browser.session()
    path = f"/v1/client/sessions/{session['id']}/tokens"
    return str((await browser.post(f"{path}/{template}" if template else path))["jwt"])


def fetched(url: str, token: str) -> httpx.Response:
    return posted(f"{url}/fetch", {"query": {"collectionName": "notes"}}, token)


def posted(url: str, body: dict[str, Any], token: str) -> httpx.Response:
    return httpx.post(url, json=body, headers={"authorization": f"Bearer {token}"}, timeout=SECONDS)


@pytest.fixture(autouse=True, scope="module")
def packages() -> None:
    """Installed before a token begins its one minute."""
    triplit()


@pytest.fixture
async def world(make_world: MakeWorld) -> World:
    """Of today: Triplit looks at the real clock."""
    made = await make_world()
    made.clock.now = int(time.time() * 1000)
    return made


@pytest.fixture
def engine() -> str:
    """One database is enough: nothing here is about databases."""
    return "sqlite"


@pytest.mark.conformance("data-access", 1, 4, 14)
async def test_each_person_syncs_their_own_rows_and_strangers_none(world: World, tmp_path: Path) -> None:
    ada, bob = await world.signed_up("ada@example.com"), await world.signed_up("bob@example.com")
    ada_id, bob_id = await ada.user_id(), await bob.user_id()
    public = await KeyRing(world.database, tmp_path / "no-key-file", world.clock).public_key()
    stranger = sign_jwt(
        {"sub": ada_id, "exp": int(time.time()) + 600}, generate_key("RS256", kid="ins_x"), typ="JWT"
    )
    note = {"id": "1", "userId": ada_id, "text": "mine"}
    with (
        server(public.pem_line, tmp_path) as url,
        client(url) as first,
        client(url) as second,
    ):
        with client(url) as other, client(url) as forger:
            ada_token = await token_of(ada)
            for node, token in (
                (first, ada_token),
                (second, ada_token),
                (other, await token_of(bob)),
                (forger, stranger),
            ):
                node.tell(token)
            assert forger.wait_for("refused") == "UNAUTHORIZED"
            first.insert(note)
            second.wait_for("rows", [note])
            # What a rule refuses is seen by its writer alone, until the server says no.
            other.insert({"id": "2", "userId": ada_id, "text": "not mine"})
            other.wait_for("writesRefused")
            # Bob's own row arrives where Ada's never did.
            assert fetched(url, await token_of(ada)).json() == [note]
            assert fetched(url, await token_of(bob)).json() == []
        refused = fetched(url, stranger)
        assert (refused.status_code, refused.json()["name"]) == (401, "InvalidTokenSignatureError")
        assert fetched(url, await token_of(ada)).json() == [note]
        assert bob_id != ada_id


@pytest.mark.conformance("data-access", 2, 5)
async def test_our_key_as_jwk_and_a_templates_token_are_taken_too(world: World, tmp_path: Path) -> None:
    ada = await world.signed_up("ada@example.com")
    public = await KeyRing(world.database, tmp_path / "no-key-file", world.clock).public_key()
    await world.identity.templates.create(Draft(name="triplit", claims={"aud": "notes"}), actor=None)
    with server(json.dumps(public.jwk), tmp_path) as url:
        assert fetched(url, await token_of(ada, "triplit")).json() == []
        expired = fetched(url, await token_of(ada, "triplit", left=-60))
        assert (expired.status_code, '"exp" claim' in expired.text.replace("\\", "")) == (401, True)


@pytest.mark.conformance("data-access", 9, 10, 11)
async def test_a_session_outlives_its_tokens_while_they_are_refreshed_for_the_same_user(
    world: World, tmp_path: Path
) -> None:
    ada, bob = await world.signed_up("ada@example.com"), await world.signed_up("bob@example.com")
    public = await KeyRing(world.database, tmp_path / "no-key-file", world.clock).public_key()
    with (
        server(public.pem_line, tmp_path) as url,
        client(url, "1000") as session,
    ):
        # Its few seconds are for the connection and the first refresh alone.
        token = await token_of(ada, left=15)
        first_expiry = time.time() + 15
        session.tell(token)
        client_id = session.wait_for("clientId")
        session.refresh(await token_of(ada))
        while time.time() < first_expiry + 1:
            session.refresh(await token_of(ada))
        assert fetched(url, token).status_code == 401
        by_http = {"id": "1", "userId": await ada.user_id(), "text": "from elsewhere"}
        told = posted(f"{url}/insert", {"collectionName": "notes", "entity": by_http}, await token_of(ada))
        assert told.status_code == 200
        session.wait_for("rows", [by_http])
        own = by_http | {"id": "2", "text": "its own"}
        session.insert(own)
        session.wait_for("rows", [by_http, own])
        assert fetched(url, await token_of(ada)).json() == [by_http, own]
        for other, refusal in ((ada, None), (bob, "ROLES_MISMATCH")):
            answer = posted(f"{url}/update-token", {"clientId": client_id}, await token_of(other))
            assert answer.status_code == 200
            assert refusal is None or session.wait_for("refused") == refusal
