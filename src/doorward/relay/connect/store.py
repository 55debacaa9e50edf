"""What is stored of an environment that somebody wants to reach: the link and the allocation beside it, in one row."""

from collections.abc import Sequence

import msgspec

from doorward.relay.endpoints.store import IS_READY
from doorward.relay.links.store import ProviderKind, provider_kind_of
from doorward.store import Row, Statement


class StoredTarget(msgspec.Struct, frozen=True):
    """An active link. `hostname` is None where nothing is allocated for it."""

    user_id: str
    environment_id: str
    environment_public_key: str
    http_base_url: str
    ws_base_url: str
    provider_kind: ProviderKind
    hostname: str | None
    is_ready: bool


_STORED_TARGET = (
    "SELECT user_id, environment_id, environment_public_key, endpoint_http_base_url, endpoint_ws_base_url,"  # noqa: S608
    f" endpoint_provider_kind, hostname, {IS_READY} FROM relay_environment_links"
    " LEFT JOIN relay_managed_endpoint_allocations USING (user_id, environment_id)"
    " WHERE user_id = ? AND environment_id = ? AND revoked_at IS NULL"
)


def stored_target(*, user_id: str, environment_id: str) -> Statement:
    """For `stored_target_of`: at most one row."""
    return Statement(_STORED_TARGET, (user_id, environment_id))


def stored_target_of(rows: Sequence[Row]) -> StoredTarget | None:
    if not rows:
        return None
    [(user_id, environment_id, key, http_base_url, ws_base_url, kind, hostname, is_ready)] = rows
    return StoredTarget(
        user_id,
        environment_id,
        key,
        http_base_url,
        ws_base_url,
        provider_kind_of(kind),
        hostname,
        bool(is_ready),
    )
