"""Where a ban or a deletion at identity reaches the relay, which asks at every request: one read of an index.

The edge holds tunnels open for days and therefore listens instead (`edge_node`).
"""

from __future__ import annotations

from doorward.identity.accounts import store as accounts
from doorward.identity.instance import store as instance
from doorward.relay import IsBarred
from doorward.store import Database, Statement


def barred_by_either(first: IsBarred, second: IsBarred) -> IsBarred:
    async def is_barred(user_id: str) -> bool:
        return await first(user_id) or await second(user_id)

    return is_barred


def barred_by_identity(database: Database) -> IsBarred:
    """Reads identity's own row. An account without one was deleted, if it is kept in this database at all: a relay may
    have a database of its own, and then knows what it is told by webhook, if at all."""

    async def is_barred(user_id: str) -> bool:
        [[(is_barred,)]] = await database.ask(_is_barred(user_id))
        return bool(is_barred)

    return is_barred


def _is_barred(user_id: str) -> Statement:
    banned = accounts.is_banned(user_id)
    return Statement(f"SELECT COALESCE(({banned.sql}), {instance.IS_PLANTED})", banned.params)
