"""`clerk-backend-api` as a client of the running server."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import httpx
from clerk_backend_api import Clerk
from clerk_backend_api.models import ClerkBaseError, ClerkErrors

from tests.sdk_clients.server import Server


class Python:
    """py.users.get(user_id=…) is what the SDK gives. `calls` keeps every call made: its name and what it was given.

    `by(key)` is a client of somebody else, whose calls count here as well.
    """

    def __init__(self, server: Server) -> None:
        self.calls: list[tuple[str, str]] = []
        self._server_url = f"{server.api}/v1/"
        self._http = httpx.Client(verify=server.trust(), timeout=60)
        self._clerk = self._client(server.secret_key)

    def _client(self, key: str) -> Clerk:
        return Clerk(bearer_auth=key, server_url=self._server_url, client=self._http)

    def by(self, key: str) -> Python:
        other = copy.copy(self)
        other._clerk = self._client(key)
        return other

    def end(self) -> None:
        self._http.close()

    def __getattr__(self, group: str) -> _Group:
        if group.startswith("_"):
            raise AttributeError(group)
        return _Group(group, getattr(self._clerk, group), self.calls)


class _Group:
    def __init__(self, name: str, api: Any, calls: list[tuple[str, str]]) -> None:
        self._name, self._api, self._calls = name, api, calls

    def __getattr__(self, method: str) -> Callable[..., Any]:
        call = getattr(self._api, method)

        def recorded(**members: Any) -> Any:
            self._calls.append((f"{self._name}.{method}", repr(members)))
            return call(**members)

        return recorded


def refused(call: Callable[..., Any], **members: Any) -> tuple[int, str]:
    """Status and code of a call that must be refused, by the SDK's own error for a declared status."""
    error = raised(call, **members)
    assert isinstance(error, ClerkErrors), error
    (entry,) = error.data.errors
    assert entry.message
    assert entry.long_message
    return error.status_code, entry.code


def refused_otherwise(call: Callable[..., Any], **members: Any) -> tuple[int, str]:
    """As `refused`, where the SDK has another error: one of the operation's own, or one for any status."""
    error = raised(call, **members)
    assert type(error).__name__ not in ("ClerkErrors", "ResponseValidationError"), error
    return error.status_code, json.loads(error.body)["errors"][0]["code"]


def raised(call: Callable[..., Any], **members: Any) -> ClerkBaseError:
    try:
        gave = call(**members)
    except ClerkBaseError as error:
        return error
    raise AssertionError(f"it gave {gave}")
