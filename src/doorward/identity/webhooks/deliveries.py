"""Rows of `identity_webhook_events`, `identity_webhook_deliveries` and `identity_webhook_attempts`. Times in milliseconds."""

# ruff: noqa: S608  (only our own column lists are put into statements; every value is a parameter)

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

import msgspec

from doorward.store import Tx
from doorward.store.database import Dialect

CHANNEL = "identity.webhooks"

DeliveryStatus = Literal["pending", "delivered", "failed", "skipped"]


class Event(msgspec.Struct, frozen=True):
    """`data` is JSON text. `client_ip` and `user_agent` are empty where no request caused it."""

    id: str
    kind: str
    data: str
    client_ip: str
    user_agent: str
    created_at: int

    def __repr__(self) -> str:
        return f"Event({self.id!r}, {self.kind!r})"


class Delivery(msgspec.Struct, frozen=True):
    """One event on its way to one endpoint. `not_before` is when it is tried next; `attempts` since it was queued
    or replayed."""

    id: str
    event_id: str
    kind: str
    endpoint_id: str
    status: DeliveryStatus
    attempts: int
    not_before: int
    created_at: int
    finished_at: int | None


class Taken(msgspec.Struct, frozen=True):
    """A delivery under the lease of whoever took it; `attempts` counts the one that is about to be made."""

    id: str
    endpoint_id: str
    event: Event
    attempts: int
    lease: str


class Attempt(msgspec.Struct, frozen=True):
    """What came of one request. `status` is None where no answer came, and `problem` says why; `body` is cut short."""

    id: str
    delivery_id: str
    at: int
    duration_ms: int
    status: int | None
    problem: str | None
    body: str


_EVENT = "e.id, e.kind, e.data, e.client_ip, e.user_agent, e.created_at"
_DELIVERY = (
    "d.id, d.event_id, e.kind, d.endpoint_id, d.status, d.attempts, d.not_before, d.created_at, d.finished_at"
)
_ATTEMPT = "id, delivery_id, at, duration_ms, status, problem, body"
_JOINED = "identity_webhook_deliveries d JOIN identity_webhook_events e ON e.id = d.event_id"


def insert_event(tx: Tx, event: Event) -> None:
    tx.execute(
        "INSERT INTO identity_webhook_events (id, kind, data, client_ip, user_agent, created_at)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (event.id, event.kind, event.data, event.client_ip, event.user_agent, event.created_at),
    )


def insert(tx: Tx, *, delivery_id: str, event_id: str, endpoint_id: str, now: int) -> None:
    """Due at once."""
    tx.execute(
        "INSERT INTO identity_webhook_deliveries (id, event_id, endpoint_id, status, attempts, not_before, created_at)"
        " VALUES (?, ?, ?, 'pending', 0, ?, ?)",
        (delivery_id, event_id, endpoint_id, now, now),
    )
    tx.notify(CHANNEL, delivery_id)


def due(tx: Tx, *, dialect: Dialect, but: Collection[str], now: int, most: int) -> list[tuple[str, str]]:
    """(id, endpoint) of due deliveries nobody holds, the longest due first, none to an endpoint of `but`.

    On PostgreSQL workers step over what others are taking at this moment.
    """
    lock = " FOR UPDATE SKIP LOCKED" if dialect == "postgresql" else ""
    others = f" AND endpoint_id NOT IN ({', '.join('?' * len(but))})" if but else ""
    rows = tx.fetch_all(
        "SELECT id, endpoint_id FROM identity_webhook_deliveries WHERE status = 'pending' AND not_before <= ?"
        f" AND (leased_until IS NULL OR leased_until <= ?){others} ORDER BY not_before, id LIMIT ?{lock}",
        (now, now, *but, most),
    )
    return [(row[0], row[1]) for row in rows]


def lease(tx: Tx, delivery_id: str, *, lease: str, leased_until: int) -> Taken:
    """Take one that `due` found in this transaction."""
    tx.execute(
        "UPDATE identity_webhook_deliveries SET lease = ?, leased_until = ?, attempts = attempts + 1 WHERE id = ?",
        (lease, leased_until, delivery_id),
    )
    [row] = tx.fetch_all(
        f"SELECT d.endpoint_id, d.attempts, {_EVENT} FROM {_JOINED} WHERE d.id = ?", (delivery_id,)
    )
    return Taken(delivery_id, row[0], Event(*row[2:]), row[1], lease)


def finish(tx: Tx, taken: Taken, *, status: DeliveryStatus, now: int) -> bool:
    """Record the end, unless the lease went to somebody else."""
    finished = tx.execute(
        "UPDATE identity_webhook_deliveries SET status = ?, finished_at = ?, lease = NULL, leased_until = NULL"
        " WHERE id = ? AND lease = ? AND status = 'pending'",
        (status, now, taken.id, taken.lease),
    )
    return finished == 1


def put_back(tx: Tx, taken: Taken, *, not_before: int) -> bool:
    """Another attempt later, unless the lease went to somebody else."""
    changed = tx.execute(
        "UPDATE identity_webhook_deliveries SET not_before = ?, lease = NULL, leased_until = NULL"
        " WHERE id = ? AND lease = ? AND status = 'pending'",
        (not_before, taken.id, taken.lease),
    )
    return changed == 1


def insert_attempt(tx: Tx, attempt: Attempt) -> None:
    tx.execute(
        f"INSERT INTO identity_webhook_attempts ({_ATTEMPT}) VALUES (?, ?, ?, ?, ?, ?, ?)",
        msgspec.structs.astuple(attempt),
    )


def replay(tx: Tx, delivery_id: str, now: int) -> bool:
    """Make a finished delivery due again, from the first attempt on; false when it is still on its way."""
    changed = tx.execute(
        "UPDATE identity_webhook_deliveries SET status = 'pending', attempts = 0, not_before = ?, finished_at = NULL"
        " WHERE id = ? AND status <> 'pending'",
        (now, delivery_id),
    )
    if changed:
        tx.notify(CHANNEL, delivery_id)
    return changed == 1


def replay_undelivered(tx: Tx, endpoint_id: str, *, since: int, now: int) -> int:
    """The same for everything of an endpoint that was queued since then and never arrived; how many."""
    changed = tx.execute(
        "UPDATE identity_webhook_deliveries SET status = 'pending', attempts = 0, not_before = ?, finished_at = NULL"
        " WHERE endpoint_id = ? AND status IN ('failed', 'skipped') AND created_at >= ?",
        (now, endpoint_id, since),
    )
    if changed:
        tx.notify(CHANNEL, endpoint_id)
    return changed


def find(tx: Tx, endpoint_id: str, delivery_id: str) -> Delivery | None:
    row = tx.fetch_one(
        f"SELECT {_DELIVERY} FROM {_JOINED} WHERE d.endpoint_id = ? AND d.id = ?", (endpoint_id, delivery_id)
    )
    return None if row is None else Delivery(*row)


def event_of(tx: Tx, delivery_id: str) -> Event:
    [row] = tx.fetch_all(f"SELECT {_EVENT} FROM {_JOINED} WHERE d.id = ?", (delivery_id,))
    return Event(*row)


def page(
    tx: Tx, endpoint_id: str, *, status: DeliveryStatus | None, limit: int, offset: int
) -> tuple[list[Delivery], int]:
    """Newest first, and how many there are in all."""
    chosen, params = "d.endpoint_id = ?", [endpoint_id]
    if status is not None:
        chosen, params = f"{chosen} AND d.status = ?", [*params, status]
    rows = tx.fetch_all(
        f"SELECT {_DELIVERY} FROM {_JOINED} WHERE {chosen} ORDER BY d.created_at DESC, d.id LIMIT ? OFFSET ?",
        (*params, limit, offset),
    )
    [(count,)] = tx.fetch_all(f"SELECT count(*) FROM identity_webhook_deliveries d WHERE {chosen}", params)
    return [Delivery(*row) for row in rows], count


def attempts_of(tx: Tx, delivery_ids: Sequence[str]) -> list[Attempt]:
    """Oldest first."""
    if not delivery_ids:
        return []
    rows = tx.fetch_all(
        f"SELECT {_ATTEMPT} FROM identity_webhook_attempts"
        f" WHERE delivery_id IN ({', '.join('?' * len(delivery_ids))}) ORDER BY at, id",
        delivery_ids,
    )
    return [Attempt(*row) for row in rows]


def forget_before(tx: Tx, instant: int) -> int:
    """Events of before, with their deliveries and attempts, unless one is still on its way."""
    return tx.execute(
        "DELETE FROM identity_webhook_events WHERE created_at < ? AND NOT EXISTS (SELECT 1 FROM"
        " identity_webhook_deliveries d WHERE d.event_id = identity_webhook_events.id AND d.status = 'pending')",
        (instant,),
    )
