"""Rows of `identity_rate_limits` and `identity_failures`."""

from __future__ import annotations

import msgspec

from doorward.store import Tx


def arrival_at(tx: Tx, key: str) -> int | None:
    row = tx.fetch_one("SELECT arrival_at FROM identity_rate_limits WHERE key = ?", (key,))
    return None if row is None else row[0]


def set_arrival(tx: Tx, key: str, arrival: int) -> None:
    tx.execute(
        """
        INSERT INTO identity_rate_limits (key, arrival_at) VALUES (?, ?)
        ON CONFLICT (key) DO UPDATE SET arrival_at = excluded.arrival_at
        """,
        (key, arrival),
    )


def forget_arrivals_before(tx: Tx, instant: int) -> int:
    return tx.execute("DELETE FROM identity_rate_limits WHERE arrival_at < ?", (instant,))


class Failures(msgspec.Struct, frozen=True):
    failures: int
    last_failure_at: int
    locked_until: int | None


def failures(tx: Tx, key: str) -> Failures | None:
    row = tx.fetch_one(
        "SELECT failures, last_failure_at, locked_until FROM identity_failures WHERE key = ?", (key,)
    )
    return None if row is None else Failures(*row)


def set_failures(tx: Tx, key: str, value: Failures) -> None:
    tx.execute(
        """
        INSERT INTO identity_failures (key, failures, last_failure_at, locked_until) VALUES (?, ?, ?, ?)
        ON CONFLICT (key) DO UPDATE SET failures = excluded.failures, last_failure_at = excluded.last_failure_at,
            locked_until = excluded.locked_until
        """,
        (key, value.failures, value.last_failure_at, value.locked_until),
    )


def clear_failures(tx: Tx, key: str) -> None:
    tx.execute("DELETE FROM identity_failures WHERE key = ?", (key,))
