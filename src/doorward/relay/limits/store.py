"""Rows of rate windows."""

from doorward.store import Statement, Tx


def count(*, subject: str, bucket: str, window_start: int) -> Statement:
    """Count one request; one row: how many there were in this window, this one included."""
    return Statement(
        "INSERT INTO relay_rate_windows (subject, bucket, window_start, requests) VALUES (?, ?, ?, 1)"
        " ON CONFLICT (subject, bucket, window_start) DO UPDATE SET requests = relay_rate_windows.requests + 1"
        " RETURNING requests",
        (subject, bucket, window_start),
    )


def within(*, subject: str, bucket: str, window_start: int, allowed: int) -> Statement:
    """A row if what was counted is no more than `allowed`: the condition of another statement."""
    return Statement(
        "SELECT 1 FROM relay_rate_windows"
        " WHERE subject = ? AND bucket = ? AND window_start = ? AND requests <= ?",
        (subject, bucket, window_start, allowed),
    )


def prune(tx: Tx, *, before: int) -> int:
    return tx.execute("DELETE FROM relay_rate_windows WHERE window_start < ?", (before,))
