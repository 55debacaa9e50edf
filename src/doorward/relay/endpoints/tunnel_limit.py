"""How many managed tunnels one account may have. Off unless the operator sets a number, for all or for one account."""

from doorward.relay.endpoints.provider import TunnelLimitReached
from doorward.store import Tx


def check_tunnel_limit(tx: Tx, *, user_id: str, environment_id: str, default: int | None) -> None:
    """Raises `TunnelLimitReached` when the account's other environments use up its tunnels.

    An environment that has one already may always have it anew. Part of the transaction that links: counting
    and linking together is what keeps two links at once from taking the last place twice.
    """
    row = tx.fetch_one("SELECT max_tunnels FROM relay_managed_tunnel_limits WHERE user_id = ?", (user_id,))
    limit = default if row is None else int(row[0])
    if limit is not None and _count_others(tx, user_id, environment_id) >= limit:
        raise TunnelLimitReached(limit)


def _count_others(tx: Tx, user_id: str, environment_id: str) -> int:
    row = tx.fetch_one(
        "SELECT COUNT(*) FROM relay_managed_endpoint_allocations a JOIN relay_environment_links l"
        " ON l.user_id = a.user_id AND l.environment_id = a.environment_id"
        " WHERE a.user_id = ? AND a.environment_id <> ? AND l.revoked_at IS NULL AND l.managed_tunnels_enabled = ?",
        (user_id, environment_id, True),
    )
    return 0 if row is None else int(row[0])
