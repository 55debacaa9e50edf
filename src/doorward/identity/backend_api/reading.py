"""Queries and bodies into the types an operation declares, and what is wrong with them in Clerk's words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from doorward.identity.backend_api.wire.shapes import NoBody
from doorward.identity.errors import (
    FORM_PARAM_INVALID_TIME,
    FORM_PARAM_NIL,
    FORM_PARAM_TYPE_INVALID,
    FORM_PARAM_UNKNOWN,
    FORM_PARAM_VALUE_INVALID,
    REQUEST_BODY_INVALID,
    UNSUPPORTED_CONTENT_TYPE,
    Problem,
    Refused,
    missing,
)

T = TypeVar("T")

_MISSING = re.compile(r"Object missing required field `([^`]+)`")
_UNKNOWN = re.compile(r"Object contains unknown field `([^`]+)`")
_EXPECTED = re.compile(r"Expected `([^`]+)`, got `([^`]+)`")
_WHERE = re.compile(r" - at `\$\.?([^`]*)`$")
# Clerk's Python SDK writes whole numbers as 10.0 into query strings.
_WHOLE = re.compile(r"(-?\d+)\.0+")


def read_query(pairs: Sequence[tuple[str, str]], expected: type[T]) -> T:
    """Repeated names are a list where one is expected, else the first counts. Raises Refused (422)."""
    hints = _hints_of(expected)  # type: ignore[arg-type]  # a class is hashable
    given: dict[str, Any] = {}
    for name, text in pairs:
        hint = hints.get(name)
        if hint is None:
            continue
        whole = _WHOLE.fullmatch(text)
        value = whole[1] if whole else text
        if _is_list(hint):
            given.setdefault(name, []).append(value)
        else:
            given.setdefault(name, value)
    try:
        return msgspec.convert(given, expected, strict=False)
    except msgspec.ValidationError as error:
        problem = problem_of(error)
        if problem.code == FORM_PARAM_TYPE_INVALID.code:
            # Text that is no number: every value of a query is text, so its type cannot be what is wrong.
            problem = FORM_PARAM_VALUE_INVALID.at(problem.param, long_message=problem.text)
        raise Refused(problem) from error


@lru_cache
def _hints_of(expected: type) -> dict[str, Any]:
    return get_type_hints(expected)


def read_body(body: bytes, content_type: str, expected: Any) -> Any:
    """An empty body is `{}`. Raises Refused (400, 415, 422)."""
    if expected is NoBody:
        return expected()
    if not body.strip():
        body = b"{}"
    elif content_type.partition(";")[0].strip().lower() != "application/json":
        raise Refused(UNSUPPORTED_CONTENT_TYPE)
    try:
        return msgspec.json.decode(body, type=expected)
    except msgspec.ValidationError as error:
        raise Refused(problem_of(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(REQUEST_BODY_INVALID) from error


def read_instant(param: str, text: str | None) -> int | None:
    """RFC 3339 into milliseconds. Raises Refused (422)."""
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise Refused(FORM_PARAM_INVALID_TIME.at(param)) from error
    if instant.tzinfo is None or not 1970 <= instant.year < 2100:
        raise Refused(FORM_PARAM_INVALID_TIME.at(param))
    return int(instant.timestamp() * 1000)


def problem_of(error: msgspec.ValidationError) -> Problem:
    """msgspec's sentence as one of Clerk's problems, naming the member."""
    text = str(error)
    place = _WHERE.search(text)
    where = place[1] if place else ""
    sentence = _WHERE.sub("", text)
    if match := _MISSING.search(text):
        return missing(_joined(where, match[1]))
    if match := _UNKNOWN.search(text):
        name = _joined(where, match[1])
        return FORM_PARAM_UNKNOWN.at(name, long_message=f"{name} is not a valid parameter for this request.")
    if match := _EXPECTED.search(text):
        problem = FORM_PARAM_NIL if match[2] == "null" else FORM_PARAM_TYPE_INVALID
        if not where and match[1] == "object":
            return REQUEST_BODY_INVALID
        return problem.at(where or None, long_message=f"{where or 'The value'}: {_lowered(sentence)}.")
    return FORM_PARAM_VALUE_INVALID.at(
        where or None, long_message=f"{where or 'The value'}: {_lowered(sentence)}."
    )


def _joined(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _lowered(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def _is_list(hint: Any) -> bool:
    if get_origin(hint) in (list, tuple):
        return True
    return any(_is_list(part) for part in get_args(hint) if part is not Ellipsis)
