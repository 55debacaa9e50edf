"""What a template's claims do wrong at the data layers they are meant for. Pure.

`claims` are evaluated for some user, so this sees what an engine would see. docs/data-layers.md explains each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from doorward.identity.templates.shortcodes import Warned

HASURA_NAMESPACES = ("claims.jwt.hasura.io", "https://hasura.io/jwt/claims")
LARGE_TOKEN_BYTES = 3072  # of claims as JSON: about 4 KiB as a token, where cookies and headers begin to end


def lint(claims: Mapping[str, Any], size: int) -> list[Warned]:
    """Everything worth a word; `size` is the claims' JSON in bytes."""
    found = [*_nulls(claims)]
    for namespace in HASURA_NAMESPACES:
        if namespace in claims:
            found += _hasura(claims[namespace], f"claims.{namespace}")
    if size > LARGE_TOKEN_BYTES:
        biggest = max(claims, key=lambda name: len(str(claims[name])), default="")
        found.append(
            Warned(
                "large_token",
                f"claims.{biggest}",
                f"The claims have {size} bytes: many servers refuse headers of such a token.",
            )
        )
    return found


def _nulls(value: object, where: str = "claims") -> list[Warned]:
    if value is None:
        return [
            Warned(
                "null_claim",
                where,
                "Triplit takes null for a match, and a rule that reads it lets rows without an owner through. Give a default with ||.",
            )
        ]
    if isinstance(value, Mapping):
        return [warned for key, member in value.items() for warned in _nulls(member, f"{where}.{key}")]
    if isinstance(value, list):
        return [warned for index, member in enumerate(value) for warned in _nulls(member, f"{where}.{index}")]
    return []


def _hasura(space: object, where: str) -> list[Warned]:
    if not isinstance(space, Mapping):
        return [Warned("hasura_claims", where, "Hasura reads an object here.")]
    found = [
        Warned("hasura_case", f"{where}.{name}", "Hasura reads the names of its claims in lower case.")
        for name in space
        if name != str(name).lower()
    ]
    default, allowed = space.get("x-hasura-default-role"), space.get("x-hasura-allowed-roles")
    if not isinstance(default, str) or not default:
        found.append(
            Warned(
                "hasura_default_role",
                f"{where}.x-hasura-default-role",
                "Hasura refuses a token without a default role as text.",
            )
        )
    if not isinstance(allowed, list) or not all(isinstance(role, str) for role in allowed):
        found.append(
            Warned(
                "hasura_allowed_roles",
                f"{where}.x-hasura-allowed-roles",
                "Hasura refuses a token without a list of roles.",
            )
        )
        return found
    if isinstance(default, str) and default not in allowed:
        found.append(
            Warned(
                "hasura_default_role",
                f"{where}.x-hasura-default-role",
                f"Hasura refuses the token: {default} is not among the allowed roles.",
            )
        )
    if len(set(allowed)) != len(allowed):
        found.append(
            Warned(
                "hasura_allowed_roles",
                f"{where}.x-hasura-allowed-roles",
                "Hasura refuses a list that names a role twice.",
            )
        )
    return found
