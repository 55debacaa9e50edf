"""The API described by itself: an OpenAPI 3.1 document from the route table, and a page that shows it."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import msgspec

from doorward.relay.api.documentation_page import TITLE, page
from doorward.relay.http.responses import Response, json_response, redirect
from doorward.relay.http.routing import Call, Route, anyone

VERSION = "1.0.0"
_REF = "#/components/schemas/{name}"


class DocumentationApi:
    """Built once, when first asked for: the table does not change while the relay runs, and few ask."""

    def __init__(self, routes: Sequence[Route[Any, Any]], *, issuer: str) -> None:
        self._routes = tuple(routes)
        self._issuer = issuer

    @cached_property
    def _document(self) -> Response:
        return json_response(describe(self._routes, self._issuer))

    @cached_property
    def _page(self) -> Response:
        return page(self._routes)

    def routes(self) -> list[Route[Any, Any]]:
        return [
            Route("GET", "/", self.root, anyone, "The way to this page"),
            Route("GET", "/docs", self.page, anyone, "This page"),
            Route("GET", "/openapi.json", self.document, anyone, "The API as OpenAPI 3.1"),
        ]

    async def root(self, _call: Call[None, None]) -> Response:
        return redirect("/docs")

    async def page(self, _call: Call[None, None]) -> Response:
        return self._page

    async def document(self, _call: Call[None, None]) -> Response:
        return self._document


def describe(routes: Sequence[Route[Any, Any]], issuer: str) -> dict[str, Any]:
    """The OpenAPI document. Its schemas are made from the structs that encode and decode."""
    shapes = [shape for route in routes for shape in _shapes(route)]
    schemas, components = msgspec.json.schema_components(shapes, ref_template=_REF)
    by_shape = dict(zip(shapes, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, by_shape)
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": VERSION},
        "servers": [{"url": issuer}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "Bearer"},
                "dpop": {"type": "http", "scheme": "DPoP"},
            },
        },
    }


def _shapes(route: Route[Any, Any]) -> tuple[type[Any], ...]:
    return route.response if route.body is None else (*route.response, route.body.schema)


def _operation(route: Route[Any, Any], by_shape: dict[type[Any], Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {"summary": route.summary}
    names = [segment[1:-1].decode() for segment in route.segments if segment.startswith(b"{")]
    if names:
        operation["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
        ]
    if route.body is not None:
        schema = by_shape[route.body.schema]
        operation["requestBody"] = {"required": True, "content": {route.body.media_type: {"schema": schema}}}
    if route.guard is not anyone:
        operation["security"] = [{"dpop" if route.is_dpop else "bearer": []}]
    alternatives = [by_shape[shape] for shape in route.response]
    content = {"application/json": {"schema": {"anyOf": alternatives}}} if alternatives else {}
    operation["responses"] = {"200": {"description": "Success", "content": content}}
    return operation
