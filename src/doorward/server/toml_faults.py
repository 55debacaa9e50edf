"""What is wrong with a doorward.toml, in the words of whoever wrote it: its keys, and what they take."""

from __future__ import annotations

import re
import tomllib

import msgspec
from msgspec import inspect

_PLACE = re.compile(r"(?P<fault>.*?)(?: - at `\$\.?(?P<place>[^`]*)`)?", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(.+)`")
_MISSING = re.compile(r"Object missing required field `(.+)`")
_CHOICE = re.compile(r"Invalid enum value (.+)")
_KIND = re.compile(r"Expected `([^`]+)`, got `([^`]+)`")
_BOUND = re.compile(r"Expected `(?:int|float)` (>=|>|<=|<) (\S+)")
_KINDS = {
    "str": "text in quotes",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "a section",
}
_BOUNDS = {">=": "at least", ">": "above", "<=": "at most", "<": "below"}
_NAME = re.compile(r"[^.\[\]]+|\[[^\]]*\]")
_TWICE = re.compile(r"Cannot overwrite a value|Cannot declare .* twice")


def toml_fault(error: tomllib.TOMLDecodeError) -> str:
    """Without its full stop, as all here are."""
    said = _TWICE.sub("a key or section stands there twice", str(error))
    return f"it is not TOML: {said}"


def type_fault(error: msgspec.ValidationError, kind: type) -> str:
    """Which key of `kind`, a struct, is wrong, and what it takes."""
    found = _PLACE.fullmatch(str(error))
    assert found is not None
    fault, place = found["fault"], found["place"] or ""
    if unknown := _UNKNOWN.fullmatch(fault):
        return f"{_below(place, unknown[1])} is no setting: it is misspelt, or stands in another section"
    if missing := _MISSING.fullmatch(fault):
        return f"{_below(place, missing[1])} is missing"
    if choice := _CHOICE.fullmatch(fault):
        return f"{place} is {choice[1]}; it takes {', '.join(_choices(kind, place))}"
    if kinds := _KIND.fullmatch(fault):
        wanted = [_KINDS.get(name, name) for name in kinds[1].split(" | ") if name != "null"]
        return f"{place} has to be {' or '.join(wanted)}; it is {_KINDS.get(kinds[2], kinds[2])}"
    if bound := _BOUND.fullmatch(fault):
        return f"{place} has to be {_BOUNDS[bound[1]]} {bound[2]}"
    return f"{place}: {fault}" if place else fault


def _below(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _choices(kind: type, place: str) -> list[str]:
    """The words that a key takes."""
    found = inspect.type_info(kind)
    for name in _NAME.findall(place):
        found = _within(found, name)
    return [str(value) for value in found.values] if isinstance(found, inspect.LiteralType) else []


def _within(kind: inspect.Type, name: str) -> inspect.Type:
    """What a member of it is; whatever cannot be absent of what may be."""
    if isinstance(kind, inspect.UnionType):
        kind = next(one for one in kind.types if not isinstance(one, inspect.NoneType))
    if isinstance(kind, inspect.StructType):
        return next(field.type for field in kind.fields if field.encode_name == name)
    if isinstance(kind, inspect.DictType):
        return kind.value_type
    return kind.item_type if isinstance(kind, inspect.VarTupleType | inspect.ListType) else kind
