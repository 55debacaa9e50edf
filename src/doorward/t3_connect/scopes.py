"""Scopes: the grammar both servers share, the relay's set with its policy, the environment's set."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache

_TOKEN = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")

ENVIRONMENT_CONNECT = "environment:connect"
ENVIRONMENT_STATUS = "environment:status"
MOBILE_REGISTRATION = "mobile:registration"
RELAY_SCOPES = (ENVIRONMENT_CONNECT, ENVIRONMENT_STATUS, MOBILE_REGISTRATION)

# What each public client may ask of the relay. The gate and the CLI are ours and connect like the web client.
RELAY_CLIENT_SCOPES: dict[str, frozenset[str]] = {
    "t3-mobile": frozenset(RELAY_SCOPES),
    "t3-web": frozenset((ENVIRONMENT_CONNECT, ENVIRONMENT_STATUS)),
    "doorward-cli": frozenset((ENVIRONMENT_CONNECT, ENVIRONMENT_STATUS)),
    "doorward-gate": frozenset((ENVIRONMENT_CONNECT, ENVIRONMENT_STATUS)),
}

# In this order a full grant is written out.
STANDARD_SCOPES = (
    "orchestration:read",
    "orchestration:operate",
    "terminal:operate",
    "review:write",
    "relay:read",
)
ADMINISTRATIVE_SCOPES = (*STANDARD_SCOPES, "access:read", "access:write", "relay:write")
ENVIRONMENT_SCOPES = frozenset(ADMINISTRATIVE_SCOPES)


class InvalidScope(ValueError):
    """A scope string outside the grammar, or with a scope outside the set in question."""


def parse_scope(text: str, *, within: Collection[str] | None = None) -> tuple[str, ...]:
    """The scopes of a string (RFC 6749 §3.3): single spaces, duplicates dropped, order kept.

    Raises InvalidScope for an empty string, double or other white space, a character outside the
    grammar, and a scope that is not in `within`.
    """
    scopes = tuple(dict.fromkeys(text.split(" ")))
    if not all(_TOKEN.fullmatch(scope) for scope in scopes):
        raise InvalidScope("not a scope string")
    if within is not None and not set(scopes) <= set(within):
        raise InvalidScope("a scope that is not to be had here")
    return scopes


@lru_cache(maxsize=256)
def relay_scopes(text: str, client_id: str) -> tuple[str, ...]:
    """The scopes `text` names, if the relay's policy grants every one to `client_id`. Raises InvalidScope."""
    return parse_scope(text, within=RELAY_CLIENT_SCOPES.get(client_id, frozenset()))
