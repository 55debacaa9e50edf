"""Rows of `identity_webhook_endpoints` and `identity_webhook_secrets`. Times in milliseconds."""

# ruff: noqa: S608  (only our own column lists are put into statements; every value is a parameter)

from __future__ import annotations

from typing import Literal

import msgspec

from doorward.identity.webhooks import rules
from doorward.identity.webhooks.kinds import EventKind
from doorward.store import Tx

DisabledBecause = Literal["asked", "failing", "gone"]


class Endpoint(msgspec.Struct, frozen=True):
    """Where events go. `kinds` empty stands for all; `failing_since` is the first failure after the last success."""

    id: str
    url: str
    description: str
    kinds: tuple[str, ...]
    is_enabled: bool
    disabled_because: DisabledBecause | None
    failing_since: int | None
    created_at: int
    updated_at: int


class Secret(msgspec.Struct, frozen=True):
    """One of an endpoint's secrets, sealed. Without `expire_at` it is the current one."""

    id: str
    endpoint_id: str
    sealed: bytes
    created_at: int
    expire_at: int | None

    def __repr__(self) -> str:
        return f"Secret({self.id!r})"


_ENDPOINT = "id, url, description, kinds, is_enabled, disabled_because, failing_since, created_at, updated_at"
_SEALED = "id, endpoint_id, sealed, created_at, expire_at"


def _endpoint(row: tuple[object, ...]) -> Endpoint:
    values = list(row)
    values[3] = msgspec.json.decode(str(row[3]), type=tuple[str, ...])
    values[4] = bool(row[4])
    return Endpoint(*values)  # type: ignore[arg-type]  # the columns above are the fields, in order


def insert(tx: Tx, endpoint: Endpoint) -> None:
    tx.execute(
        f"INSERT INTO identity_webhook_endpoints ({_ENDPOINT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            endpoint.id,
            endpoint.url,
            endpoint.description,
            msgspec.json.encode(endpoint.kinds).decode(),
            endpoint.is_enabled,
            endpoint.disabled_because,
            endpoint.failing_since,
            endpoint.created_at,
            endpoint.updated_at,
        ),
    )


def change(tx: Tx, endpoint: Endpoint) -> None:
    """Everything but its id and its beginning."""
    tx.execute(
        "UPDATE identity_webhook_endpoints SET url = ?, description = ?, kinds = ?, is_enabled = ?, disabled_because = ?,"
        " failing_since = ?, updated_at = ? WHERE id = ?",
        (
            endpoint.url,
            endpoint.description,
            msgspec.json.encode(endpoint.kinds).decode(),
            endpoint.is_enabled,
            endpoint.disabled_because,
            endpoint.failing_since,
            endpoint.updated_at,
            endpoint.id,
        ),
    )


def find(tx: Tx, endpoint_id: str) -> Endpoint | None:
    row = tx.fetch_one(f"SELECT {_ENDPOINT} FROM identity_webhook_endpoints WHERE id = ?", (endpoint_id,))
    return None if row is None else _endpoint(row)


def everything(tx: Tx) -> list[Endpoint]:
    """Newest first."""
    rows = tx.fetch_all(f"SELECT {_ENDPOINT} FROM identity_webhook_endpoints ORDER BY created_at DESC, id")
    return [_endpoint(row) for row in rows]


def listening(tx: Tx, kind: EventKind) -> list[str]:
    """The ids of enabled endpoints that want this kind."""
    rows = tx.fetch_all(
        f"SELECT {_ENDPOINT} FROM identity_webhook_endpoints WHERE is_enabled = ? ORDER BY id", (True,)
    )
    return [endpoint.id for endpoint in map(_endpoint, rows) if rules.wants(endpoint.kinds, kind)]


def delete(tx: Tx, endpoint_id: str) -> bool:
    """With its secrets; what is queued for it stays for the deliverer to skip."""
    return tx.execute("DELETE FROM identity_webhook_endpoints WHERE id = ?", (endpoint_id,)) == 1


def set_failing_since(tx: Tx, endpoint_id: str, since: int | None) -> None:
    """Written only where it changes: every other transaction reads these rows."""
    tx.execute(
        "UPDATE identity_webhook_endpoints SET failing_since = ? WHERE id = ? AND (failing_since IS NULL) <> ?",
        (since, endpoint_id, since is None),
    )


def insert_secret(tx: Tx, secret: Secret) -> None:
    tx.execute(
        f"INSERT INTO identity_webhook_secrets ({_SEALED}) VALUES (?, ?, ?, ?, ?)",
        (secret.id, secret.endpoint_id, secret.sealed, secret.created_at, secret.expire_at),
    )


def secrets_of(tx: Tx, endpoint_id: str, now: int) -> list[Secret]:
    """Those that sign now: the current one first, then replaced ones that are still good."""
    rows = tx.fetch_all(
        f"SELECT {_SEALED} FROM identity_webhook_secrets WHERE endpoint_id = ? AND (expire_at IS NULL OR expire_at > ?)"
        " ORDER BY created_at DESC, id",
        (endpoint_id, now),
    )
    secrets = [Secret(row[0], row[1], bytes(row[2]), row[3], row[4]) for row in rows]
    return sorted(secrets, key=lambda secret: secret.expire_at is not None)


def end_current_secret(tx: Tx, endpoint_id: str, *, expire_at: int) -> None:
    tx.execute(
        "UPDATE identity_webhook_secrets SET expire_at = ? WHERE endpoint_id = ? AND expire_at IS NULL",
        (expire_at, endpoint_id),
    )


def forget_expired_secrets(tx: Tx, now: int) -> int:
    return tx.execute("DELETE FROM identity_webhook_secrets WHERE expire_at <= ?", (now,))
