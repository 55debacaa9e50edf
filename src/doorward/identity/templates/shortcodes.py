"""The template language, compiled once and evaluated per token. Pure.

    "{{user.id}}"                                  the value, with its JSON type
    "mail {{ user.primary_email_address }}!"       text; an absent value is the word null
    "{{user.public_metadata.age || 'none' || 30}}" the first operand that is neither null nor false, else the last

Operands are paths, 'text', numbers, true, false and null. A path's dots go down into metadata; one that leads nowhere is
null. Keys are never touched. What stands between braces and is none of this stays as it is written.

Whoever writes a template, and whoever fills metadata, may be hostile: compiling is linear in the template's length, and
evaluating stops at a budget of bytes and of depth.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

MAX_DEPTH = 16  # of a template
MAX_RESULT_DEPTH = 30  # of the claims; verifiers of ours read 32 levels
MAX_RESULT_BYTES = 10_240  # of the claims as JSON; with a signature that is a token of some 14,000 characters

_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*")
_TEXT = re.compile(r"'([^']*)'")
_NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{1,15})?(?![\w.])")
_SPACE = re.compile(r"\s*")
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}

# Published recipes for Clerk write metadata both ways.
_ALIASES = {"publicMetadata": "public_metadata", "unsafeMetadata": "unsafe_metadata"}
_ALIASED_OWNERS = frozenset({"user", "org", "org_membership"})


class TemplateRefused(Exception):
    """The claims nest too deeply or come out too large."""


class Literal(msgspec.Struct, frozen=True):
    value: bool | int | float | str | None


class Path(msgspec.Struct, frozen=True):
    """`written` is how the template spells it; `parts` are the names after aliases."""

    written: str
    parts: tuple[str, ...]


Operand: TypeAlias = Literal | Path


class Shortcode(msgspec.Struct, frozen=True):
    """One `{{…}}`: its operands, first to last."""

    operands: tuple[Operand, ...]


class Text(msgspec.Struct, frozen=True):
    """Text with shortcodes in it."""

    parts: tuple[str | Shortcode, ...]


# What a template compiles to: JSON whose strings may have become shortcodes or texts.
Compiled: TypeAlias = Any


class Warned(msgspec.Struct, frozen=True):
    """What an author should know. `where` is the claim, written like `claims.roles.0`."""

    code: str
    where: str
    message: str


def compile_claims(claims: object, depth: int = 0) -> Compiled:
    """Raises TemplateRefused beyond 16 levels."""
    if depth > MAX_DEPTH:
        raise TemplateRefused(f"claims nest at most {MAX_DEPTH} levels")
    if isinstance(claims, str):
        return _compile_text(claims)
    if isinstance(claims, Mapping):
        return {key: compile_claims(value, depth + 1) for key, value in claims.items()}
    if isinstance(claims, list | tuple):
        return [compile_claims(value, depth + 1) for value in claims]
    return claims


def _compile_text(text: str) -> Compiled:
    parts: list[str | Shortcode] = []
    position = 0
    while (start := text.find("{{", position)) >= 0:
        read = _read_shortcode(text, start + 2)
        if read is None:  # no shortcode: one brace is passed, as the next one may begin one
            _append(parts, text[position : start + 1])
            position = start + 1
            continue
        _append(parts, text[position:start])
        shortcode, position = read
        parts.append(shortcode)
    _append(parts, text[position:])
    if len(parts) == 1 and isinstance(parts[0], Shortcode):
        return parts[0]
    return Text(tuple(parts)) if any(isinstance(part, Shortcode) for part in parts) else text


def _append(parts: list[str | Shortcode], text: str) -> None:
    if not text:
        return
    if parts and isinstance(parts[-1], str):
        parts[-1] += text
    else:
        parts.append(text)


def _read_shortcode(text: str, position: int) -> tuple[Shortcode, int] | None:
    """The shortcode whose braces ended at `position`, and where it ends; None when it is not one."""
    operands: list[Operand] = []
    while True:
        read = _read_operand(text, _skip(text, position))
        if read is None:
            return None
        operands.append(read[0])
        position = _skip(text, read[1])
        if text.startswith("}}", position):
            return Shortcode(tuple(operands)), position + 2
        if not text.startswith("||", position):
            return None
        position += 2


def _read_operand(text: str, position: int) -> tuple[Operand, int] | None:
    if quoted := _TEXT.match(text, position):
        return Literal(quoted[1]), quoted.end()
    if number := _NUMBER.match(text, position):
        return Literal(msgspec.json.decode(_plain_number(number[0]))), number.end()
    if path := _PATH.match(text, position):
        word = path[0]
        if word in _WORDS:
            return Literal(_WORDS[word]), path.end()
        return Path(word, _canonical(word.split("."))), path.end()
    return None


def _plain_number(text: str) -> str:
    """JSON knows no leading zeros."""
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    whole, dot, fraction = digits.partition(".")
    return f"{sign}{whole.lstrip('0') or '0'}{dot}{fraction}"


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return position if match is None else match.end()


def _canonical(parts: Sequence[str]) -> tuple[str, ...]:
    if len(parts) > 1 and parts[0] in _ALIASED_OWNERS:
        return (parts[0], _ALIASES.get(parts[1], parts[1]), *parts[2:])
    return tuple(parts)


class Evaluation:
    """One token's claims. `values` are what shortcodes may read, by name (`user.id`); their members are JSON.

    `warnings` fill up on the way: a name nobody knows, metadata this user does not have.
    """

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values
        self._left = MAX_RESULT_BYTES
        self.warnings: list[Warned] = []

    def claims(self, compiled: Compiled) -> Any:
        """Raises TemplateRefused when they come out too large or too deep."""
        return self._evaluate(compiled, "claims", 0)

    def _evaluate(self, compiled: Compiled, where: str, depth: int) -> Any:
        if isinstance(compiled, dict):
            self._spend(sum(len(key) + 6 for key in compiled))
            return {
                key: self._evaluate(value, f"{where}.{key}", depth + 1) for key, value in compiled.items()
            }
        if isinstance(compiled, list):
            return [
                self._evaluate(value, f"{where}.{index}", depth + 1) for index, value in enumerate(compiled)
            ]
        if isinstance(compiled, Shortcode):
            value = self._choose(compiled, where)
            self._spend(len(msgspec.json.encode(value)))
            if depth + _depth_of(value) > MAX_RESULT_DEPTH:
                raise TemplateRefused(f"{where} nests too deeply")
            return value
        if isinstance(compiled, Text):
            return self._join(compiled, where)
        self._spend(len(msgspec.json.encode(compiled)))
        return compiled

    def _join(self, text: Text, where: str) -> str:
        written: list[str] = []
        for part in text.parts:
            written.append(part if isinstance(part, str) else _as_text(self._choose(part, where)))
            self._spend(len(written[-1].encode()))
        return "".join(written)

    def _choose(self, shortcode: Shortcode, where: str) -> Any:
        value: object = None
        for operand in shortcode.operands:
            is_last = operand is shortcode.operands[-1]
            value = (
                operand.value if isinstance(operand, Literal) else self._look_up(operand, where, warn=is_last)
            )
            if value is not None and value is not False:
                return value
        return value

    def _look_up(self, path: Path, where: str, *, warn: bool) -> object:
        """The longest known name that the path starts with, then down into its members."""
        for size in range(len(path.parts), 0, -1):
            name = ".".join(path.parts[:size])
            if name not in self._values:
                continue
            found = self._values[name]
            for part in path.parts[size:]:
                if not isinstance(found, Mapping) or part not in found:
                    if not (found is None or isinstance(found, Mapping)):
                        self._warn("unknown_path", where, f"{path.written}: {name} has no members.")
                    elif warn:
                        self._warn(
                            "absent_value", where, f"{path.written} is not set for this user: it gives null."
                        )
                    return None
                found = found[part]
            return found
        self._warn("unknown_path", where, f"{path.written} is not a shortcode: it gives null.")
        return None

    def _warn(self, code: str, where: str, message: str) -> None:
        warned = Warned(code, where, message)
        if warned not in self.warnings:
            self.warnings.append(warned)

    def _spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise TemplateRefused(f"the claims come out larger than {MAX_RESULT_BYTES} bytes")


def _depth_of(value: object) -> int:
    """Levels of nesting, counted only as far as they matter."""
    level, depth = [value], 0
    while depth <= MAX_RESULT_DEPTH:
        level = [
            member
            for parent in level
            if isinstance(parent, Mapping | list | tuple)
            for member in (parent.values() if isinstance(parent, Mapping) else parent)
        ]
        if not level:
            return depth
        depth += 1
    return depth


def _as_text(value: object) -> str:
    if isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()


def unread_braces(compiled: Compiled, where: str = "claims") -> list[Warned]:
    """Strings that still hold `{{`: what was meant as a shortcode and is none."""
    if isinstance(compiled, dict):
        return [
            warned for key, value in compiled.items() for warned in unread_braces(value, f"{where}.{key}")
        ]
    if isinstance(compiled, list):
        return [
            warned
            for index, value in enumerate(compiled)
            for warned in unread_braces(value, f"{where}.{index}")
        ]
    texts = compiled.parts if isinstance(compiled, Text) else (compiled,)
    if any(isinstance(text, str) and "{{" in text for text in texts):
        return [Warned("not_a_shortcode", where, "Braces that hold no shortcode stay as they are written.")]
    return []
