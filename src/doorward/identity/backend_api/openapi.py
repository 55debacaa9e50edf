"""The OpenAPI 3.1 document of the Backend API, made of the very types the operations decode and encode."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from doorward import __version__
from doorward.identity.answers import ErrorBody
from doorward.identity.backend_api.operations import Operation
from doorward.identity.backend_api.token_errors import TokenErrorBody
from doorward.identity.backend_api.wire.shapes import NoBody, Upload

_PARAMETER = re.compile(r"\{(\w+)\}")
_REFUSALS = {
    "400": "The request cannot be done in this state, or cannot be read.",
    "401": "The key is unknown, or of a kind that may not do this.",
    "403": "Not allowed, or not offered.",
    "404": "There is no such thing.",
    "405": "The path has no such method.",
    "409": "Something else stands in the way.",
    "413": "The body is too large.",
    "415": "The body is not JSON.",
    "422": "A parameter is wrong; `meta.param_name` names it.",
    "429": "Too many requests; `Retry-After` says when to come back.",
    "500": "A fault of the server.",
}
_COMPONENT = "#/components/schemas/{name}"


def openapi_document(operations: Iterable[Operation], base_url: str) -> dict[str, Any]:
    """`base_url` is where `/v1` begins."""
    listed = list(operations)
    types = _types_of(listed)
    schemas, components = msgspec.json.schema_components(
        types, schema_hook=_other_schema, ref_template=_COMPONENT
    )
    schema_of = dict(zip(map(id, types), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for operation in listed:
        for prefix in ("/v1", "") if operation.is_versionless else ("/v1",):
            described = _described(operation, schema_of, components, is_copy=prefix == "")
            paths.setdefault(f"{prefix}{operation.path}", {})[operation.method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {"title": "Doorward Backend API", "version": __version__},
        "servers": [{"url": base_url}],
        "security": [{"secretKey": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"secretKey": {"type": "http", "scheme": "bearer"}},
        },
    }


def _other_schema(kind: type) -> dict[str, Any]:
    """JSON that another room makes, such as a JWK."""
    return {"type": "object"}


def _types_of(operations: Sequence[Operation]) -> list[Any]:
    types: list[Any] = [ErrorBody, TokenErrorBody]
    for operation in operations:
        types += [operation.query, operation.body]
        if operation.answer is not None:
            types.append(operation.answer)
    return list({id(each): each for each in types}.values())


def _described(
    operation: Operation, schema_of: dict[int, Any], components: dict[str, Any], *, is_copy: bool
) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": "Done."}
    if operation.answer is not None:
        answer["content"] = {"application/json": {"schema": schema_of[id(operation.answer)]}}
    refusal_type = TokenErrorBody if operation.is_versionless else ErrorBody
    refusal = {"application/json": {"schema": schema_of[id(refusal_type)]}}
    described: dict[str, Any] = {
        "operationId": operation.name + ("_unversioned" if is_copy else ""),
        "summary": (operation.handler.__doc__ or "").strip().partition("\n")[0],
        "parameters": [
            *(
                {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
                for name in _PARAMETER.findall(operation.path)
            ),
            *_query_parameters(_resolved(schema_of[id(operation.query)], components)),
        ],
        "responses": {
            str(operation.status): answer,
            **{status: {"description": text, "content": refusal} for status, text in _REFUSALS.items()},
        },
    }
    if operation.body is not NoBody:
        media_type = "multipart/form-data" if operation.body is Upload else "application/json"
        content = {media_type: {"schema": schema_of[id(operation.body)]}}
        described["requestBody"] = {"content": content}
    return described


def _resolved(schema: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref", "")
    resolved: dict[str, Any] = components[reference.rpartition("/")[2]] if reference else schema
    return resolved


def _query_parameters(schema: dict[str, Any]) -> list[dict[str, Any]]:
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": value}
        for name, value in schema.get("properties", {}).items()
    ]
