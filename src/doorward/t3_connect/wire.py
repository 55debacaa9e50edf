"""How T3 Connect writes values: trimmed strings, absent members, times, JSON and form bodies.

Three kinds of optional member, each with its own type here:

    T | None = None             may be absent or null, both mean absent (HTTP bodies only)
    T | UnsetType = UNSET       may be absent, null is refused (inside JWTs always this one)
    T | None                    always present, may be null

Defaults are left out when encoding. `Tstr` is a string that is trimmed as ECMAScript trims, both ways,
and must not be empty afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

import msgspec
from msgspec import UNSET, UnsetType

T = TypeVar("T")

Tstr = Annotated[str, msgspec.Meta(extra={"tstr": True})]

# What String.prototype.trim removes; Python's strip() differs in U+FEFF, U+0085 and four controls.
_ECMASCRIPT_SPACE = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})")


class SchemaMismatch(Exception):
    """A body that does not have the declared shape: the answer is 400 with an empty body."""


class Wire(msgspec.Struct, rename="camel", omit_defaults=True, frozen=True, kw_only=True):
    """Base of every JSON object on the wire. Unknown members are dropped on decode."""

    def __post_init__(self) -> None:
        for name in _TRIMMED.get(type(self)) or _trimmed_fields(type(self)):
            value = getattr(self, name)
            if isinstance(value, str):
                text = value.strip(_ECMASCRIPT_SPACE)
                if not text:
                    raise ValueError(f"{name} is blank")
                if text is not value:
                    msgspec.structs.force_setattr(self, name, text)


class Form(Wire, rename=None, frozen=True, kw_only=True):
    """Base of OAuth's form and metadata objects, whose members are written as in the RFCs."""


def trim(text: str) -> str:
    return text.strip(_ECMASCRIPT_SPACE)


def known(value: T | UnsetType | None) -> T | None:
    """The value of an optional member, None when it is absent."""
    return None if isinstance(value, UnsetType) else value


def unset_if_none(value: T | None) -> T | UnsetType:
    """The other way round, for members that must be absent rather than null."""
    return UNSET if value is None else value


def decode_json(shape: type[T], body: bytes) -> T:
    """The JSON `body` as `shape`. Raises SchemaMismatch."""
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise SchemaMismatch(f"not a {_name(shape)}") from None


def decode_form(shape: type[T], pairs: Iterable[tuple[str, str]]) -> T:
    """Form fields as `shape`. Raises SchemaMismatch, also for a field given twice (RFC 6749 §3.2)."""
    fields: dict[str, str] = {}
    for name, value in pairs:
        if name in fields:
            raise SchemaMismatch(f"{name} is given twice")
        fields[name] = value
    try:
        return msgspec.convert(fields, shape)
    except msgspec.ValidationError:
        raise SchemaMismatch(f"not a {_name(shape)}") from None


def encode_json(value: object) -> bytes:
    """Compact JSON, members in declared order."""
    return msgspec.json.encode(value)


def iso(ms: int) -> str:
    """Milliseconds since the epoch as `YYYY-MM-DDTHH:mm:ss.sssZ`."""
    moment = _EPOCH + timedelta(milliseconds=ms)
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def parse_iso(text: str) -> int:
    """Milliseconds since the epoch of an ISO 8601 time with a zone. Raises ValueError."""
    if not _ISO.fullmatch(text):
        raise ValueError("not an ISO 8601 time with a zone")
    return (datetime.fromisoformat(text) - _EPOCH) // timedelta(milliseconds=1)


def _name(shape: Any) -> str:
    return getattr(shape, "__name__", "member of the union")


_TRIMMED: dict[type[Wire], tuple[str, ...]] = {}


def _trimmed_fields(cls: type[Wire]) -> tuple[str, ...]:
    """Looked for once, at the first object: the hints of a class are not there while it is made."""
    if cls not in _TRIMMED:
        hints = get_type_hints(cls, include_extras=True)
        _TRIMMED[cls] = tuple(name for name in cls.__struct_fields__ if _is_tstr(hints[name]))
    return _TRIMMED[cls]


def _is_tstr(hint: Any) -> bool:
    return hint == Tstr or any(member == Tstr for member in get_args(hint))
