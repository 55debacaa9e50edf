"""The template language: literals, and shortcodes that read the user. Pure.

A string that is exactly one shortcode takes the value with its JSON type; inside other text it is written out. An
unknown path is null.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

MIN_LIFETIME = 30
MAX_LIFETIME = 315_360_000
MAX_CLAIMS_BYTES = 4096
MAX_DEPTH = 16
NAME = re.compile(r"[a-z0-9_-]{1,64}")

# What the token says by itself, or what only a session token may say.
RESERVED_CLAIMS = frozenset(
    [
        "azp",
        "exp",
        "iat",
        "iss",
        "jti",
        "nbf",
        "sub",
        "sid",
        "v",
        "fva",
        "sts",
        "o",
        "pla",
        "fea",
        "act",
        "org_id",
        "org_role",
        "org_slug",
        "org_permissions",
    ]
)
_SHORTCODE = re.compile(r"\{\{\s*([a-z_]+(?:\.[A-Za-z0-9_-]+)*)\s*\}\}")


def reserved_claims(claims: Mapping[str, object]) -> list[str]:
    return sorted(RESERVED_CLAIMS & claims.keys())


def render(value: object, values: Mapping[str, object], depth: int = 0) -> object:
    """`value` with its shortcodes replaced. Keys are never touched. Raises ValueError beyond 16 levels."""
    if depth > MAX_DEPTH:
        raise ValueError("a template's claims nest too deeply")
    if isinstance(value, str):
        return _render_text(value, values)
    if isinstance(value, Mapping):
        return {key: render(member, values, depth + 1) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [render(member, values, depth + 1) for member in value]
    return value


def _render_text(text: str, values: Mapping[str, object]) -> object:
    whole = _SHORTCODE.fullmatch(text)
    if whole is not None:
        return _look_up(whole[1], values)
    return _SHORTCODE.sub(lambda match: _as_text(_look_up(match[1], values)), text)


def _look_up(path: str, values: Mapping[str, object]) -> object:
    """The longest known shortcode that `path` starts with, then down into its members."""
    parts = path.split(".")
    for size in range(len(parts), 0, -1):
        name = ".".join(parts[:size])
        if name in values:
            found = values[name]
            for part in parts[size:]:
                found = found.get(part) if isinstance(found, Mapping) else None
            return found
    return None


def _as_text(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
