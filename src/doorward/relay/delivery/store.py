"""Rows of the outbox. Times in milliseconds."""

from typing import Literal

import msgspec

from doorward.push import Outcome
from doorward.relay.delivery.jobs import JobPayload
from doorward.store import Tx
from doorward.store.database import Dialect

CHANNEL = "relay.deliveries"

Result = Literal["sent", "dead", "refused", "skipped", "given_up"]


class TakenDelivery(msgspec.Struct, frozen=True):
    """A delivery under the lease of whoever took it. `attempts` counts this one; `job` is not believed unread."""

    id: str
    user_id: str
    device_id: str
    kind: str
    job: str
    attempts: int
    lease: str

    def __repr__(self) -> str:
        return f"TakenDelivery({self.id!r})"


def add(
    tx: Tx,
    payload: JobPayload,
    job: str,
    *,
    environment_id: str | None,
    thread_id: str | None,
    now: int,
) -> None:
    tx.execute(
        "INSERT INTO relay_deliveries (id, user_id, device_id, environment_id, thread_id, kind, job, token_suffix,"
        " not_before, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            payload.job_id,
            payload.target.user_id,
            payload.target.device_id,
            environment_id,
            thread_id,
            payload.kind,
            job,
            payload.target.token[-8:],
            now,
            now,
        ),
    )
    tx.notify(CHANNEL, payload.job_id)


def supersede_live(tx: Tx, *, user_id: str, device_id: str, now: int) -> None:
    """Drop what a device's live activity was still to be told: the next word says all of it, and might be overtaken."""
    tx.execute(
        "UPDATE relay_deliveries SET finished_at = ?, result = 'skipped', reason = 'superseded', job = '',"
        " lease = NULL, leased_until = NULL WHERE user_id = ? AND device_id = ? AND kind <> 'push_notification'"
        " AND finished_at IS NULL AND (leased_until IS NULL OR leased_until <= ?)",
        (now, user_id, device_id, now),
    )


def take(
    tx: Tx, *, dialect: Dialect, lease: str, leased_until: int, now: int, most: int
) -> list[TakenDelivery]:
    """Lease due deliveries nobody holds; on PostgreSQL workers step over what others are taking at this moment."""
    lock = " FOR UPDATE SKIP LOCKED" if dialect == "postgresql" else ""
    rows = tx.fetch_all(
        "SELECT id, user_id, device_id, kind, job, attempts FROM relay_deliveries WHERE finished_at IS NULL AND not_before <= ?"  # noqa: S608
        f" AND (leased_until IS NULL OR leased_until <= ?) ORDER BY not_before, id LIMIT ?{lock}",
        (now, now, most),
    )
    for row in rows:
        tx.execute(
            "UPDATE relay_deliveries SET lease = ?, leased_until = ?, attempts = attempts + 1 WHERE id = ?",
            (lease, leased_until, row[0]),
        )
    return [TakenDelivery(row[0], row[1], row[2], row[3], row[4], int(row[5]) + 1, lease) for row in rows]


def finish(
    tx: Tx, delivery: TakenDelivery, *, result: Result, outcome: Outcome | None, reason: str | None, now: int
) -> bool:
    """Record the end, unless the lease went to somebody else; what was to be shown is forgotten."""
    finished = tx.execute(
        "UPDATE relay_deliveries SET finished_at = ?, result = ?, status = ?, reason = ?, message_id = ?, job = '',"
        " lease = NULL, leased_until = NULL WHERE id = ? AND lease = ? AND finished_at IS NULL",
        (
            now,
            result,
            outcome.status if outcome else None,
            reason,
            outcome.message_id if outcome else None,
            delivery.id,
            delivery.lease,
        ),
    )
    return finished == 1


def put_back(tx: Tx, delivery: TakenDelivery, *, not_before: int, outcome: Outcome) -> bool:
    """Another attempt later; what the last one met is kept for whoever asks meanwhile."""
    changed = tx.execute(
        "UPDATE relay_deliveries SET lease = NULL, leased_until = NULL, not_before = ?, status = ?, reason = ?"
        " WHERE id = ? AND lease = ? AND finished_at IS NULL",
        (not_before, outcome.status, outcome.reason, delivery.id, delivery.lease),
    )
    return changed == 1


def prune(tx: Tx, *, finished_before: int) -> int:
    return tx.execute("DELETE FROM relay_deliveries WHERE finished_at < ?", (finished_before,))
