"""The two applications: the machine's own door, and the tunnel's.

They share endpoints but never a listener, so that what came through the tunnel can never be taken for the
machine itself.
"""

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from doorward.environment.access import Door
from doorward.environment.api import auth, connect, discovery, tokens, websocket
from doorward.environment.api.doors import address_of
from doorward.environment.api.framing import Endpoint, run
from doorward.environment.environment import Environment
from doorward.environment.pages import loopback_routes, tunnel_routes
from doorward.environment.pages.limits import RateLimit
from doorward.http1 import network_of

SHARED = (
    discovery.DESCRIPTOR,
    auth.SESSION_STATE,
    auth.WEBSOCKET_TICKET,
    tokens.TOKEN,
    *auth.DEVICE_ENDPOINTS,
    *connect.RELAY_ENDPOINTS,
)
LOOPBACK_ONLY = (*auth.LOCAL_ENDPOINTS, *connect.LOCAL_ENDPOINTS)

_PREFLIGHT = {
    "access-control-allow-methods": "GET, POST, OPTIONS",
    "access-control-allow-headers": "authorization,b3,traceparent,content-type,dpop",
    "access-control-max-age": "600",
}
_EDITOR_ORIGINS = frozenset({"t3code://app", "t3code-dev://app"})


def build_apps(environment: Environment) -> tuple[ASGIApp, ASGIApp]:
    """(loopback app, tunnel app)."""
    loopback = WireApp(environment, "loopback", (*SHARED, *LOOPBACK_ONLY))
    tunnel = WireApp(environment, "tunnel", SHARED)
    return (
        DoorApp(loopback_routes(environment), loopback),
        DoorApp(tunnel_routes(environment), tunnel),
    )


class DoorApp:
    """What one door serves: the protocol's endpoints past Starlette's layers, for which every mint would pay, then pages."""

    def __init__(self, pages: Sequence[BaseRoute], wire: "WireApp") -> None:
        self.wire = wire
        self.pages = Starlette(routes=list(pages))
        # A page's path with a slash too many is not a page: the wire answers it, with 404.
        self.pages.router.redirect_slashes = False
        self.pages.router.default = wire

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self.wire if self.wire.has(scope) else self.pages)(scope, receive, send)


class WireApp:
    """The protocol's endpoints of one door: exact method and path, or an empty 404."""

    def __init__(self, environment: Environment, door: Door, endpoints: Sequence[Endpoint]) -> None:
        self._environment = environment
        self._door: Door = door
        self.endpoints: dict[tuple[str, str], Endpoint] = {
            (endpoint.method, endpoint.path): endpoint for endpoint in endpoints
        }
        # Anybody can make a key, and each proof costs a signature check and a durable row before the credential is looked at.
        self._exchanges = RateLimit(burst=30, interval=1000)

    def has(self, scope: Scope) -> bool:
        """Whether the request is exactly for an endpoint."""
        return scope["type"] == "http" and (scope["method"], scope["path"]) in self.endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            socket = WebSocket(scope, receive, send)
            if scope["path"] == "/ws":
                await websocket.serve(socket, self._environment, self._door)
            else:
                await socket.send_denial_response(Response(status_code=404))
            return
        request = Request(scope, receive)
        response = await self._answer(request)
        self._add_cors(response, request)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=_PREFLIGHT)
        endpoint = self.endpoints.get((request.method, request.scope["path"]))
        if endpoint is None:
            return Response(status_code=404)
        if endpoint is tokens.TOKEN and self._door == "tunnel":
            visitor = network_of(address_of(request, self._door) or "")
            retry_after = self._exchanges.retry_after(visitor, self._environment.clock())
            if retry_after is not None:
                return Response(status_code=429, headers={"retry-after": str(-(-retry_after // 1000))})
        return await run(endpoint, request, self._environment, self._door)

    def _add_cors(self, response: Response, request: Request) -> None:
        """Any page may call with a token of its own, and none with our cookie; unless origins are named."""
        named = self._environment.settings.development_origins
        response.raw_headers.append((b"x-content-type-options", b"nosniff"))
        if not named:
            response.raw_headers.append((b"access-control-allow-origin", b"*"))
            return
        origin = request.headers.get("origin")
        if origin is not None and (origin in named or origin in _EDITOR_ORIGINS):
            response.headers["access-control-allow-origin"] = origin
            response.headers["access-control-allow-credentials"] = "true"
        response.headers.add_vary_header("Origin")
