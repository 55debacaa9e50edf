"""Merging and bounding what applications keep with a user. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from doorward.identity.errors import FORM_PARAM_EXCEEDS_ALLOWED_SIZE, Refused

MAX_BYTES = 8 * 1024
Metadata = Mapping[str, Any]


def merged(stored: Metadata, changes: Metadata) -> dict[str, Any]:
    """Objects are merged at every depth, everything else is replaced, and null removes its key."""
    result = dict(stored)
    for key, value in changes.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping):
            earlier = result.get(key)
            result[key] = merged(earlier if isinstance(earlier, Mapping) else {}, value)
        else:
            result[key] = value
    return result


def as_text(param: str, value: Metadata) -> str:
    """The stored form. Raises Refused (422) beyond 8 KB."""
    encoded = msgspec.json.encode(value)
    if len(encoded) > MAX_BYTES:
        raise Refused(FORM_PARAM_EXCEEDS_ALLOWED_SIZE.at(param, long_message=f"{param} has at most 8 KB."))
    return encoded.decode()
