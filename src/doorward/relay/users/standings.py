"""Rows of `relay_account_standings`: what an accounts server elsewhere told of its accounts."""

from __future__ import annotations

import msgspec

from doorward.store import Statement, Tx

#: Later than any moment a sender names: a deleted account never comes back, whatever arrives late.
FOR_EVER = 2**62


class Standing(msgspec.Struct, frozen=True):
    """How an account stood at `as_of`, in the sender's milliseconds: events arrive late and out of order."""

    user_id: str
    is_barred: bool
    as_of: int


def is_barred(user_id: str) -> Statement:
    """A row for an account that is."""
    return Statement("SELECT 1 FROM relay_account_standings WHERE user_id = ? AND is_barred", (user_id,))


def put(tx: Tx, standing: Standing, now: int) -> bool:
    """Whether that is news: nothing as late or later is known, and the account stood otherwise."""
    known = tx.fetch_one(
        "SELECT is_barred, as_of FROM relay_account_standings WHERE user_id = ?", (standing.user_id,)
    )
    if known is not None and known[1] > standing.as_of:
        return False
    tx.execute(
        "INSERT INTO relay_account_standings (user_id, is_barred, as_of, received_at) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (user_id) DO UPDATE SET is_barred = excluded.is_barred, as_of = excluded.as_of,"
        " received_at = excluded.received_at",
        (standing.user_id, standing.is_barred, standing.as_of, now),
    )
    return standing.is_barred != (known is not None and bool(known[0]))


def prune(tx: Tx, *, received_before: int) -> int:
    """Forget who is not barred, once nothing older about them can still arrive."""
    return tx.execute(
        "DELETE FROM relay_account_standings WHERE NOT is_barred AND received_at < ?", (received_before,)
    )
