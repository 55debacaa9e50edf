"""JSON as tokens need it: no duplicate members, bounded depth, and one canonical spelling.

Two parsers that disagree about `{"sub":"a","sub":"b"}` are a way in, so both are refused here.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from doorward.jose.errors import MalformedToken

MAX_DEPTH = 32

_decode = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.Encoder().encode
_encode_sorted = msgspec.json.Encoder(order="deterministic").encode


def decode_object(raw: bytes) -> dict[str, Any]:
    """The object that is `raw`. Raises MalformedToken for anything but a JSON object in UTF-8 with unique members,
    at most MAX_DEPTH levels deep."""
    try:
        value = _decode(raw)
        if len(raw) - len(raw.translate(None, b"{[")) > MAX_DEPTH:  # less could not nest deeper
            _refuse_deep(value)
        # What re-encodes to itself holds no duplicate, which is how every usual library writes it.
        # Only the rest pays for the slow parser.
        if _encode(value) != raw:
            json.loads(raw, object_pairs_hook=_unique_members)
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise MalformedToken("not a JSON object with unique members") from None
    return value


def canonical_json(value: object) -> bytes:
    """Sorted keys, no white space (the T3 relay's stable form). Struct fields that are UNSET are left out."""
    return _encode_sorted(msgspec.to_builtins(value))


def _unique_members(pairs: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("duplicate member")


def _refuse_deep(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for parent in level
            if isinstance(parent, (dict, list))
            for child in (parent.values() if isinstance(parent, dict) else parent)
        ]
        if not level:
            return
    if any(isinstance(value, (dict, list)) for value in level):
        raise MalformedToken("nested too deeply")
