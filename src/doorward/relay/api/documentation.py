"""The API described by itself: an OpenAPI 3.1 document from the route table, and a page that shows it.

What a success and each error look like is made from the structs that encode them, and an error's status is its struct's.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import msgspec

from doorward.relay.api.documentation_page import TITLE, page
from doorward.relay.http.responses import (
    DEADLINE,
    INTERNAL,
    NOT_FOUND,
    SCHEMA_MISMATCH,
    TOO_LARGE,
    DeadlineExceeded,
    Response,
    json_response,
    redirect,
    unsupported_media_type,
)
from doorward.relay.http.routing import Call, Route, anyone

VERSION = "1.0.0"
_REF = "#/components/schemas/{name}"
_REFUSALS = {
    400: "The request is outside its schema, which is said without a body, or its proof does not hold.",
    401: "The credential or the proof does not hold, or is not one for this.",
    403: "The account may not do this.",
    404: "A part of the path is too long or cannot be read; no body.",
    409: "The name cannot be had.",
    413: "The body is larger than 64 KiB; no body.",
    415: "The body is of another media type, which is named.",
    422: "The name is none.",
    429: "Too many requests of the account; `Retry-After` says when to come back.",
    500: "A fault of the relay; without a body where nobody foresaw it.",
    502: "The environment cannot be asked, or its answer does not hold.",
    503: "The relay gives no endpoint, or could not make it.",
    504: "The environment, or the whole request, took too long.",
}


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
    body = () if route.body is None else (route.body.schema,)
    return (*route.response, *body, *route.errors, DeadlineExceeded)


def _operation(route: Route[Any, Any], by_shape: dict[type[Any], Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {"summary": route.summary}
    if route.parameters:
        operation["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in route.parameters
        ]
    if route.body is not None:
        schema = by_shape[route.body.schema]
        operation["requestBody"] = {"required": True, "content": {route.body.media_type: {"schema": schema}}}
    if route.guard is not anyone:
        operation["security"] = [{"dpop" if route.is_dpop else "bearer": []}]
    success = {"description": "Success", "content": _content([by_shape[shape] for shape in route.response])}
    operation["responses"] = {str(route.status): success, **_refusals(route, by_shape)}
    return operation


def _refusals(route: Route[Any, Any], by_shape: dict[type[Any], Any]) -> dict[str, Any]:
    """By status: what the framing answers in the handler's place, and the route's tagged errors."""
    shapes: dict[int, list[Any]] = {answer.status: [] for answer in _framing(route)}
    shapes[DEADLINE.status].append(by_shape[DeadlineExceeded])
    for error in route.errors:
        shapes.setdefault(error.status, []).append(by_shape[error])
    described: dict[str, Any] = {
        str(status): {"description": _REFUSALS[status], "content": _content(alternatives)}
        for status, alternatives in sorted(shapes.items())
    }
    if "415" in described:
        described["415"]["content"] = {"text/plain": {"schema": {"type": "string"}}}
    return described


def _framing(route: Route[Any, Any]) -> list[Response]:
    answers = [INTERNAL, DEADLINE]
    if route.parameters:
        answers += [NOT_FOUND, SCHEMA_MISMATCH]
    if route.required_headers:
        answers.append(SCHEMA_MISMATCH)
    if route.body is not None:
        answers += [SCHEMA_MISMATCH, TOO_LARGE, unsupported_media_type("")]
    return answers


def _content(alternatives: Sequence[Any]) -> dict[str, Any]:
    return {"application/json": {"schema": {"anyOf": list(alternatives)}}} if alternatives else {}
