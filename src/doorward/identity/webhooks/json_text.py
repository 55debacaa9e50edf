"""JSON as `JSON.stringify` writes it (ECMA-262 §25.5.2).

A signature covers the very bytes of a body. Servers that let a framework parse the body first write it anew to check
the signature, which works only if both ways of writing agree to the byte.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

_LARGEST_INDEX = 2**32 - 2
_EXACT = 2**53


def json_text(value: object) -> str:
    """`value` (structs, built-in values, `msgspec.Raw`) in the text JavaScript would make of it.

    Whole numbers beyond 2^53 come out rounded, as any JavaScript reader rounds them.
    """
    # By way of text, since a Raw is opened by no other.
    return _text(msgspec.json.decode(msgspec.json.encode(value)))


def _text(value: Any) -> str:
    if isinstance(value, dict):
        members = (f"{_text(name)}:{_text(member)}" for name, member in _in_order(value))
        return "{" + ",".join(members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_text, value)) + "]"
    if isinstance(value, float) or (isinstance(value, int) and abs(value) > _EXACT):
        return _number(float(value))
    return msgspec.json.encode(value).decode()


def _in_order(members: dict[str, Any]) -> list[tuple[str, Any]]:
    """JavaScript's order of an object's members: array indices by number, then the others as they came."""
    indices = sorted((name for name in members if _is_index(name)), key=int)
    return [(name, members[name]) for name in (*indices, *(name for name in members if not _is_index(name)))]


def _is_index(name: str) -> bool:
    is_number = name.isascii() and name.isdecimal() and len(name) <= 10
    return is_number and (name == "0" or name[0] != "0") and int(name) <= _LARGEST_INDEX


def _number(value: float) -> str:
    """ECMA-262 §6.1.6.1.20: the shortest digits, without an exponent between 1e-6 and 1e21."""
    if not math.isfinite(value):
        return "null"
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = f"{abs(value)!r}e0".partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    # The value is 0.<digits> times ten to the power of `point`.
    point = len(whole) + int(exponent.removesuffix("e0")) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    count = len(digits)
    if count <= point <= 21:
        return sign + digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    rest = f".{digits[1:]}" if count > 1 else ""
    return f"{sign}{digits[0]}{rest}e{point - 1:+d}"
