"""Rows of links."""

from collections.abc import Sequence
from typing import Literal, get_args

import msgspec

from doorward.store import Row, Statement, Tx

ProviderKind = Literal["manual", "cloudflare_tunnel", "t3_relay"]

_COLUMNS = (
    "user_id, environment_id, environment_label, environment_public_key, endpoint_http_base_url,"
    " endpoint_ws_base_url, endpoint_provider_kind, created_at, made_at, made_from"
)


class LinkRow(msgspec.Struct, frozen=True, kw_only=True):
    """One active link. `created_at` is the time of the first link and survives re-links.

    `made_at` and `made_from` (ms; an address, or empty) say when it last was news to its owner: linked, renamed, with
    another key.
    """

    user_id: str
    environment_id: str
    environment_label: str
    environment_public_key: str
    http_base_url: str
    ws_base_url: str
    provider_kind: ProviderKind
    created_at: int
    made_at: int
    made_from: str

    @property
    def label(self) -> str:
        return self.environment_label.strip() or self.environment_id


class Capabilities(msgspec.Struct, frozen=True):
    """What an account asked the link for."""

    notifications_enabled: bool
    live_activities_enabled: bool
    managed_tunnels_enabled: bool


class UnknownStoredValue(Exception):
    """A row holds a value this program does not know. It is never read as some known one."""


_PROVIDER_KINDS: dict[str, ProviderKind] = {kind: kind for kind in get_args(ProviderKind)}


def provider_kind_of(stored: str) -> ProviderKind:
    """Raises `UnknownStoredValue`."""
    if stored not in _PROVIDER_KINDS:
        raise UnknownStoredValue("relay_environment_links.endpoint_provider_kind")
    return _PROVIDER_KINDS[stored]


def _row(row: Row) -> LinkRow:
    provider_kind_of(row[6])
    return LinkRow(**dict(zip(LinkRow.__struct_fields__, row, strict=True)))


def upsert(tx: Tx, link: LinkRow, capabilities: Capabilities, *, device_id: str | None, now: int) -> None:
    """Insert or replace; `created_at` stays, a revocation is lifted."""
    tx.execute(
        "INSERT INTO relay_environment_links (user_id, environment_id, environment_label, environment_public_key,"
        " endpoint_http_base_url, endpoint_ws_base_url, endpoint_provider_kind, notifications_enabled,"
        " live_activities_enabled, managed_tunnels_enabled, created_by_device_id, revoked_at, created_at, made_at,"
        " made_from, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, ?, ?, ?, ?)"
        " ON CONFLICT (user_id, environment_id) DO UPDATE SET environment_label = excluded.environment_label,"
        " environment_public_key = excluded.environment_public_key,"
        " endpoint_http_base_url = excluded.endpoint_http_base_url,"
        " endpoint_ws_base_url = excluded.endpoint_ws_base_url,"
        " endpoint_provider_kind = excluded.endpoint_provider_kind,"
        " notifications_enabled = excluded.notifications_enabled,"
        " live_activities_enabled = excluded.live_activities_enabled,"
        " managed_tunnels_enabled = excluded.managed_tunnels_enabled,"
        " created_by_device_id = excluded.created_by_device_id, made_at = excluded.made_at,"
        " made_from = excluded.made_from, revoked_at = NULL, updated_at = excluded.updated_at",
        (
            link.user_id,
            link.environment_id,
            link.environment_label,
            link.environment_public_key,
            link.http_base_url,
            link.ws_base_url,
            link.provider_kind,
            capabilities.notifications_enabled,
            capabilities.live_activities_enabled,
            capabilities.managed_tunnels_enabled,
            device_id,
            now,
            link.made_at,
            link.made_from,
            now,
        ),
    )


def all_active(user_id: str) -> Statement:
    """The account's links, oldest first, for `links_of`."""
    return Statement(
        f"SELECT {_COLUMNS} FROM relay_environment_links"  # noqa: S608
        " WHERE user_id = ? AND revoked_at IS NULL ORDER BY created_at, environment_id",
        (user_id,),
    )


def links_of(rows: Sequence[Row]) -> list[LinkRow]:
    return [_row(row) for row in rows]


def find_active(tx: Tx, *, user_id: str, environment_id: str) -> LinkRow | None:
    row = tx.fetch_one(
        f"SELECT {_COLUMNS} FROM relay_environment_links"  # noqa: S608
        " WHERE user_id = ? AND environment_id = ? AND revoked_at IS NULL",
        (user_id, environment_id),
    )
    return None if row is None else _row(row)


def revoke(tx: Tx, *, user_id: str, environment_id: str, now: int) -> bool:
    """Revoke the caller's own active link; false when there was none."""
    revoked = tx.execute(
        "UPDATE relay_environment_links SET revoked_at = ?, updated_at = ?"
        " WHERE user_id = ? AND environment_id = ? AND revoked_at IS NULL",
        (now, now, user_id, environment_id),
    )
    return revoked == 1


def has_tunnel(tx: Tx, *, user_id: str, environment_id: str) -> bool:
    """Whether the account is linked with the environment by a managed endpoint now."""
    row = tx.fetch_one(
        "SELECT 1 FROM relay_environment_links WHERE user_id = ? AND environment_id = ? AND revoked_at IS NULL"
        " AND managed_tunnels_enabled = ?",
        (user_id, environment_id, True),
    )
    return row is not None
