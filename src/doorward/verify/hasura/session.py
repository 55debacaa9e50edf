"""The role and the variables of one request, and their types where a rule reads them."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

import msgspec

from doorward.verify.hasura.errors import HasuraRefused

ROLE = "x-hasura-role"


class Identity(msgspec.Struct, frozen=True):
    """Who asks: the roles they may take, and variables that are the same for each. `variables` names are lower case.

    `emulates`: any role may be taken, and headers become variables (v1 only).
    """

    default_role: str
    allowed_roles: tuple[str, ...]
    variables: Mapping[str, Any]
    emulates: bool = False


class HasuraSession(msgspec.Struct, frozen=True):
    """`variables` always hold `x-hasura-role`, the role itself."""

    role: str
    variables: Mapping[str, Any]

    def variable(self, name: str, kind: str) -> Any:
        """A variable as a rule reads it against a field of `kind` (`Int`, `[String]`, a custom scalar's name).

        Raises HasuraRefused: a missing variable is an error of the request, not null and not "no rows"; so is another
        type, the text "5" for an Int among them.
        """
        if name.lower() not in self.variables:
            raise HasuraRefused(
                "variable_missing", f"The session has no variable {name}, which a rule reads."
            )
        value = self.variables[name.lower()]
        if not _is_of(value, kind):
            raise HasuraRefused("variable_type", f"Session variable {name} is not of type {kind}.")
        return value


def session_of(identity: Identity, headers: Mapping[str, str]) -> HasuraSession:
    """`headers` have lower-case names. A request only narrows to a role that the identity may take: no other header of it
    counts. Raises HasuraRefused (401)."""
    role = headers.get(ROLE, identity.default_role)
    if identity.emulates:
        return HasuraSession(role, {**headers, ROLE: role})
    if role not in identity.allowed_roles:
        raise HasuraRefused("role_not_allowed", f"The token does not allow the role {role}.")
    return HasuraSession(role, {**identity.variables, ROLE: role})


def _is_of(value: Any, kind: str) -> bool:
    if kind.startswith("[") and kind.endswith("]"):
        return isinstance(value, list) and all(_is_of(member, kind[1:-1].rstrip("!")) for member in value)
    match kind.rstrip("!"):
        case "Int":
            return type(value) is int
        case "Float":
            return type(value) is int or (type(value) is float and isfinite(value))
        case "Boolean":
            return type(value) is bool
        case "String" | "ID":
            return type(value) is str
        case _:
            return True  # a custom scalar takes JSON as it is
