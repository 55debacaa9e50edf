"""Whether a relay answers as its own OpenAPI document says: every answer of every test here is held against it."""

import functools
import json
from typing import Any

import jsonschema_rs

from doorward.relay.api.documentation import describe
from doorward.relay.http.routing import Route

#: Where the framing answers without a body beside, or in the place of, what the document shows.
_BODILESS = frozenset({400, 404, 413, 500})

_operations: dict[tuple[str, str], tuple[dict[str, Any], dict[str, Any]]] = {}


class Described:
    """An ASGI application around `app`; `faults` tells every answer that the document does not know."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    async def serve(self, app: Any, scope: Any, receive: Any, send: Any) -> None:
        started: dict[str, Any] = {}
        body = b""

        async def heard(message: Any) -> None:
            nonlocal body
            if message["type"] == "http.response.start":
                started.update(message)
            body += message.get("body", b"")
            await send(message)

        await app(scope, receive, heard)
        route = scope.get("route")
        if route is not None and started and route.path not in ("/", "/docs", "/openapi.json"):
            fault = fault_of(route, started["status"], dict(started["headers"]), body)
            if fault is not None:
                self.faults.append(f"{route.method} {route.path}: {started['status']} {fault} {body[:300]!r}")


def fault_of(route: Route[Any, Any], status: int, headers: dict[bytes, bytes], body: bytes) -> str | None:
    """What the document of `route` does not say of this answer; None where it says it all."""
    operation, components = _operation(route)
    told = operation["responses"].get(str(status))
    if told is None:
        return "is no status of the document"
    if not body:
        return None if status in _BODILESS or not told["content"] else "has no body"
    media_type = headers.get(b"content-type", b"").decode()
    if media_type not in told["content"]:
        return f"is of the type {media_type!r}"
    if media_type != "application/json":
        return None
    schema = json.dumps({**told["content"][media_type]["schema"], "components": components})
    return None if _validator(schema).is_valid(json.loads(body)) else "is of another shape"


def _operation(route: Route[Any, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    key = (route.method, route.path)
    if key not in _operations:
        document = describe([route], "https://relay.example")
        _operations[key] = (document["paths"][route.path][route.method.lower()], document["components"])
    return _operations[key]


@functools.cache
def _validator(schema: str) -> Any:
    return jsonschema_rs.validator_for(json.loads(schema))
