"""The pages a machine serves itself.

| door | path | what |
|---|---|---|
| API host (`tunnel_routes`) | `/gate`, `/gate/callback` | makes the device key, signs in, connects, waits for approval, goes on to the service |
| | `/gate/configuration.json`, `/gate/words.txt` | what the page needs to know |
| | `POST /gate/code` (DPoP) | single-use code for one service host |
| | `POST /gate/wait` (proof only) | long-polls the approval of this very key |
| | `/connections…` | only with remote administration: the narrower page for an administrator device; else a page that says where to decide |
| loopback (`loopback_routes`) | `/connections/open#token=…` | one-time link becomes the machine's management session |
| | `/connections…` | approvals, mode, services, sessions, audit, live; link and unlink |
| | `/.well-known/doorward/jwks.json` | key that signs `Doorward-Assertion` |
| both | `/assets/…` | styles and modules |

The loopback pages are never mounted on the tunnel's application. `doors` says who asks, `connections` acts, `state` shows.
Neighbours: `environment.gate` (turns codes into cookies), `environment` services (all state and every decision),
`doorward.web` (how it looks).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from doorward.environment.pages.connections import ConnectionsRoutes
from doorward.environment.pages.doors import LoopbackDoor, TunnelDoor
from doorward.environment.pages.gate import GatePages
from doorward.environment.pages.linking import LinkRoutes
from doorward.environment.pages.loopback import LoopbackPages
from doorward.environment.pages.notifications import NotificationRoutes
from doorward.web import Pages

if TYPE_CHECKING:
    from doorward.environment.environment import Environment

__all__ = ["loopback_routes", "tunnel_routes"]

_PACKAGE = "doorward.environment.pages"


def tunnel_routes(environment: Environment) -> Sequence[BaseRoute]:
    """What the tunnel's application serves before the protocol's endpoints."""
    settings = environment.settings
    elsewhere = [origin.rstrip("/") for origin in (settings.relay_url, settings.accounts_origin) if origin]
    pages = Pages(_PACKAGE, connect=elsewhere)
    routes: list[BaseRoute] = [*pages.routes, *GatePages(environment, pages).routes()]
    if settings.remote_admin:
        door = TunnelDoor(environment)
        routes += ConnectionsRoutes(environment, pages, door).routes()
        routes += NotificationRoutes(environment, door).routes()
    else:
        routes.append(pages_elsewhere(environment, pages))
    return routes


def pages_elsewhere(environment: Environment, pages: Pages) -> Route:
    """Where the list of machines leads without remote administration: a page that says how to decide at the machine."""

    async def page(request: Request) -> Response:
        return pages.page(request, "elsewhere.html", {"label": environment.label})

    return Route("/connections", page, methods=["GET"])


def loopback_routes(environment: Environment) -> Sequence[BaseRoute]:
    """What the machine's own application serves before the protocol's endpoints."""
    pages = Pages(_PACKAGE)
    door = LoopbackDoor(environment)
    return [
        *pages.routes,
        *LoopbackPages(environment, pages, door).routes(),
        *ConnectionsRoutes(environment, pages, door).routes(),
        *LinkRoutes(environment, door).routes(),
        *NotificationRoutes(environment, door).routes(),
    ]
