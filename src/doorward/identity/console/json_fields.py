"""JSON that people write into forms."""

from typing import Any

import msgspec

from doorward.identity.errors import FORM_PARAM_FORMAT_INVALID, Refused


def indented(stored: str) -> str:
    """Stored JSON as people read it."""
    return msgspec.json.format(stored, indent=2) if stored else "{}"


def object_of(param: str, text: str) -> dict[str, Any]:
    """Raises Refused (422) that says where the mistake is."""
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise Refused(FORM_PARAM_FORMAT_INVALID.at(param, long_message=_told(text, str(error)))) from None
    if not isinstance(value, dict):
        raise Refused(
            FORM_PARAM_FORMAT_INVALID.at(
                param, long_message="This has to be an object: {, then names and values, then }."
            )
        )
    return value


def _told(text: str, problem: str) -> str:
    """msgspec names the byte; people look for a line."""
    _, _, place = problem.rpartition("(byte ")
    number = place.removesuffix(")")
    if not number.isdigit():
        return "This is not JSON: it ends before it is complete, or is nested too deeply."
    before = text.encode(errors="replace")[: int(number)].decode(errors="replace")
    line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
    return f"This is not JSON: look at line {line}, column {column}."
