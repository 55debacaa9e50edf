"""The admin listener of a node: for the operator's own programs, never for the public.

    GET /metrics                Prometheus
    GET /health/live            the process answers
    GET /health/ready           every role of this node takes requests; 503 while it starts or stops
    GET /health/ready/<role>    one role

It says what is open and how busy the node is, so its address must be loopback or of a private network.
"""

from __future__ import annotations

import asyncio
import ipaddress
from typing import TYPE_CHECKING

import msgspec
from starlette.types import Receive, Scope, Send

from doorward.server.configuration import ConfigurationInvalid, Role, split_address
from doorward.server.metrics import Metrics
from doorward.store import StoreError

if TYPE_CHECKING:
    from doorward.server.node import Node

#: A database that takes longer to read one row serves nobody.
DATABASE_SECONDS = 2.0
_JSON = "application/json"


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """`roles` says for each "ready" or why not: starting, stopping, database_unreachable, …"""

    ready: bool
    roles: dict[Role, str]


class Admin:
    """Answers before the node does, and until it is gone. `node` is set once it runs, `is_stopping` once it ends."""

    def __init__(self, roles: tuple[Role, ...]) -> None:
        self.is_stopping = False
        self._roles = roles
        self._node: Node | None = None
        self._metrics = Metrics(roles)

    def node_runs(self, node: Node) -> None:
        self._node = self._metrics.node = node

    async def readiness(self) -> Readiness:
        state = await self._state()
        return Readiness(ready=state == "ready", roles=dict.fromkeys(self._roles, state))

    async def _state(self) -> str:
        """Every role needs the database: identity and relay for all they do, the edge to know machines."""
        if self.is_stopping:
            return "stopping"
        if self._node is None:
            return "starting"
        try:
            async with asyncio.timeout(DATABASE_SECONDS):
                await self._node.database.read(lambda tx: tx.fetch_one("SELECT 1"))
        except TimeoutError:
            return "database_slow"
        except StoreError as error:
            return error.code
        return "ready"

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
            return 200, *self._metrics.page(accept)
        if path == "/health/live":
            return 200, _JSON, b'{"live":true}\n'
        role = path.removeprefix("/health/ready/")
        if path == "/health/ready" or role in self._roles:
            readiness = await self.readiness()
            return 200 if readiness.ready else 503, _JSON, msgspec.json.encode(readiness) + b"\n"
        return 404, _JSON, b"{}\n"


def admin_address(text: str) -> tuple[str, int]:
    """`host:port` of the listener. Raises ConfigurationInvalid for a name, a wildcard or a public address."""
    host, port = split_address(text)
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    if address is None or address.is_unspecified or not (address.is_private or address.is_loopback):
        raise ConfigurationInvalid(
            f"admin.listen shows how busy this node is and must not be public: {host!r} is not a loopback or "
            "private address. Write 127.0.0.1:9090, or this node's address in your private network."
        )
    return host, port
