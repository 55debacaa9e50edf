"""Every route of every application, as it is assembled."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from starlette.applications import Starlette
from starlette.routing import Mount, Route

from doorward.identity import Identity
from doorward.identity.backend_api.dispatch import DOCUMENT
from doorward.relay import Relay

CHANGING = ("POST", "PUT", "PATCH", "DELETE")


class Way(NamedTuple):
    """A method and a path whose parameters are filled in."""

    method: str
    path: str

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def identity_ways(identity: Identity) -> list[Way]:
    return sorted(
        Way(method, _filled(path)) for path, methods in identity_routes(identity) for method in methods
    )


def identity_routes(identity: Identity) -> list[tuple[str, set[str]]]:
    """Paths as they are declared, with their methods."""
    origin: Any = identity.app
    backend = ((resource.path, set(resource.operations)) for resource in origin.backend.resources)
    return [*_starlette_routes(origin.frontend._inner), *backend, (DOCUMENT, {"GET"})]


def relay_ways(relay: Relay) -> list[Way]:
    app: Any = relay.app
    return sorted(Way(route.method, _filled(route.path)) for route in app._router.routes)


def environment_ways(app: Any) -> list[Way]:
    """Of either door: its pages, and the protocol's endpoints behind them."""
    return sorted({*_starlette_ways(app.pages), *(Way(*key) for key in app.wire.endpoints)})


def _starlette_ways(app: Starlette) -> Iterable[Way]:
    for path, methods in _starlette_routes(app):
        yield from (Way(method, _filled(path)) for method in methods)


def _starlette_routes(app: Starlette) -> Iterable[tuple[str, set[str]]]:
    for route in app.routes:
        if isinstance(route, Route):
            yield route.path, route.methods or set()
        else:
            # Files. Anything else that is mounted would hide its routes from these tests.
            assert isinstance(route, Mount) and not getattr(route, "routes", None), route


def _filled(path: str) -> str:
    """`/a/{b}/{c:path}` with values."""
    parts = path.split("/")
    return "/".join("x1" if part.startswith("{") else part for part in parts)
