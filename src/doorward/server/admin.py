"""The admin listener of a node or machine: for the operator's own programs, never for the public.

    GET /metrics                Prometheus
    GET /health/live            the process answers
    GET /health/ready           every role of this node takes requests; 503 while it starts or stops
    GET /health/ready/<role>    one role

It says what is open and how busy the node is, so its address must be loopback or of a private network.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec
from starlette.types import Receive, Scope, Send

from doorward.listening import bind, serving
from doorward.server.configuration import admin_address
from doorward.server.metrics import Metric, Metrics, node_gauges
from doorward.store import Database, StoreError

if TYPE_CHECKING:
    from doorward.server.node import Node

#: A database that takes longer to read one row serves nobody.
DATABASE_SECONDS = 2.0
_JSON = "application/json"


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """`roles` says for each "ready" or why not: starting, stopping, database_unreachable, …"""

    ready: bool
    roles: dict[str, str]


class Subject(Protocol):
    """What an admin listener tells of, once it runs."""

    async def state(self) -> str:
        """`ready`, or a word that says why not."""
        ...

    async def open_now(self) -> Sequence[Metric]:
        """What is open and waiting at this moment."""
        ...


class Admin:
    """Answers before its subject runs, and until it is gone: `runs` names it, `is_stopping` says that it ends."""

    def __init__(self, roles: Sequence[str]) -> None:
        self.is_stopping = False
        self._roles = roles
        self._subject: Subject | None = None
        self._metrics = Metrics(roles)

    def runs(self, subject: Subject) -> None:
        self._subject = subject

    async def readiness(self) -> Readiness:
        state = await self._state()
        return Readiness(ready=state == "ready", roles=dict.fromkeys(self._roles, state))

    async def _state(self) -> str:
        if self.is_stopping:
            return "stopping"
        return "starting" if self._subject is None else await self._subject.state()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        status, content_type, body = await self._answer(scope)
        headers = [
            (b"content-type", content_type.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _answer(self, scope: Scope) -> tuple[int, str, bytes]:
        if scope["method"] not in ("GET", "HEAD"):
            return 405, _JSON, b"{}\n"
        path = scope["path"]
        if path == "/metrics":
            accept = dict(scope["headers"]).get(b"accept", b"").decode("latin-1")
            open_now = () if self._subject is None else await self._subject.open_now()
            return 200, *self._metrics.page(accept, open_now)
        if path == "/health/live":
            return 200, _JSON, b'{"live":true}\n'
        role = path.removeprefix("/health/ready/")
        if path == "/health/ready" or role in self._roles:
            readiness = await self.readiness()
            return 200 if readiness.ready else 503, _JSON, msgspec.json.encode(readiness) + b"\n"
        return 404, _JSON, b"{}\n"


class NodeSubject:
    """A server node. Every role needs the database: identity and relay for all they do, the edge to know machines."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def state(self) -> str:
        return await database_state(self._node.database)

    async def open_now(self) -> Sequence[Metric]:
        return list(node_gauges(self._node))


async def database_state(database: Database) -> str:
    """`ready`, or why the database does not answer."""
    try:
        async with asyncio.timeout(DATABASE_SECONDS):
            await database.read(lambda tx: tx.fetch_one("SELECT 1"))
    except TimeoutError:
        return "database_slow"
    except StoreError as error:
        return error.code
    return "ready"


@contextlib.asynccontextmanager
async def admin_listener(listen: str, roles: Sequence[str]) -> AsyncIterator[Admin]:
    """An admin listener at `host:port`. Raises ConfigurationInvalid, CannotListen."""
    with contextlib.closing(bind(*admin_address(listen), option="admin.listen")) as listener:
        admin = Admin(roles)
        async with serving(admin, listener, grace=1, with_websockets=False):
            yield admin
