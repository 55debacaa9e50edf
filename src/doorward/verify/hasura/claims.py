"""From a token's claims to roles and session variables. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET

from doorward.verify.hasura.auth_config import (
    ALLOWED_ROLES,
    DEFAULT_ROLE,
    ClaimEntry,
    ClaimsConfig,
    Namespace,
)
from doorward.verify.hasura.errors import HasuraRefused
from doorward.verify.hasura.pointers import MISSING, look_up
from doorward.verify.hasura.session import ROLE, Identity


def identity_of(
    claims: Mapping[str, Any], config: ClaimsConfig, *, emulation_role: str | None = None
) -> Identity:
    """Raises HasuraRefused."""
    if config.namespace is not UNSET:
        found = _of_namespace(claims, config.namespace)
    else:
        assert config.locations is not UNSET
        found = _of_locations(claims, config.locations)
    return _identity(found, emulation_role)


def _of_namespace(claims: Mapping[str, Any], namespace: Namespace) -> dict[str, Any]:
    space = look_up(claims, namespace.steps)
    if space is MISSING:
        raise HasuraRefused("claims_not_found", f"The token has nothing at {namespace.location}.")
    if namespace.claims_format == "StringifiedJson":
        if not isinstance(space, str):
            raise HasuraRefused(
                "claims_invalid", f"The claims at {namespace.location} are no text, as StringifiedJson wants."
            )
        try:
            space = msgspec.json.decode(space.encode())
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            raise HasuraRefused(
                "claims_unreadable", f"The text at {namespace.location} is not JSON."
            ) from None
    if not isinstance(space, dict):
        raise HasuraRefused("claims_unreadable", f"The claims at {namespace.location} are not an object.")
    return space


def _of_locations(claims: Mapping[str, Any], locations: Mapping[str, ClaimEntry]) -> dict[str, Any]:
    """A null that is there counts as found: the default does not replace it."""
    found = {}
    for name, entry in locations.items():
        value = _located(claims, entry)
        if value is not UNSET:
            found[name] = value
    return found


def _located(claims: Mapping[str, Any], entry: ClaimEntry) -> Any:
    if entry.path is UNSET:
        return entry.literal
    found = look_up(claims, entry.path.steps)
    return entry.path.default if found is MISSING else found


def _identity(found: Mapping[str, Any], emulation_role: str | None) -> Identity:
    """The names of the two role claims are read in lower case only, as the engine's source does."""
    for name in (DEFAULT_ROLE, ALLOWED_ROLES):
        if name not in found:
            raise HasuraRefused("claims_invalid", f"The claims lack {name}.")
    default, allowed = found[DEFAULT_ROLE], found[ALLOWED_ROLES]
    if not isinstance(default, str):
        raise HasuraRefused("claims_invalid", f"{DEFAULT_ROLE} is not text.")
    if not isinstance(allowed, list) or not all(isinstance(role, str) for role in allowed):
        raise HasuraRefused("claims_invalid", f"{ALLOWED_ROLES} is not a list of texts.")
    if len(set(allowed)) != len(allowed):
        raise HasuraRefused("duplicate_role", f"{ALLOWED_ROLES} names a role twice.")
    if default not in allowed:
        raise HasuraRefused("default_role_not_allowed", f"{DEFAULT_ROLE} is not among {ALLOWED_ROLES}.")
    others = {
        name.lower(): value for name, value in found.items() if name not in (DEFAULT_ROLE, ALLOWED_ROLES)
    }
    emulates = emulation_role is not None and found.get(ROLE) == emulation_role
    return Identity(default, tuple(allowed), others, emulates)
