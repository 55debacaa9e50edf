"""Rows of rate windows."""

from doorward.store import Tx


def count(tx: Tx, *, subject: str, bucket: str, window_start: int) -> int:
    """Count one request; returns how many there were in this window, this one included."""
    row = tx.fetch_one(
        "INSERT INTO relay_rate_windows (subject, bucket, window_start, requests) VALUES (?, ?, ?, 1)"
        " ON CONFLICT (subject, bucket, window_start) DO UPDATE SET requests = relay_rate_windows.requests + 1"
        " RETURNING requests",
        (subject, bucket, window_start),
    )
    if row is None:
        raise LookupError("The window that was just counted is gone.")
    return int(row[0])


def prune(tx: Tx, *, before: int) -> int:
    return tx.execute("DELETE FROM relay_rate_windows WHERE window_start < ?", (before,))
