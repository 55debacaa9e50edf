"""Which ASGI application answers which host name, behind the edge's one control socket."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send


class HostDispatcher:
    """Chooses by the `Host` header (name and port, lower case); an unknown host is 421, never a default."""

    def __init__(self, applications: Mapping[str, ASGIApp]) -> None:
        self._applications = {host.lower(): app for host, app in applications.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        application = self._applications.get(hosts[0].decode("latin-1").lower()) if len(hosts) == 1 else None
        if application is not None:
            await application(scope, receive, send)
        elif scope["type"] == "http":
            await PlainTextResponse("This server does not answer for that host name.\n", 421)(
                scope, receive, send
            )
        else:
            await send({"type": "websocket.close", "code": 1008, "reason": ""})
