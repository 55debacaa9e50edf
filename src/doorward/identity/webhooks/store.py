"""Rows of `identity_webhook_events` and `identity_webhook_deliveries`. Times in milliseconds."""

from __future__ import annotations

import msgspec

from doorward.identity.webhooks import rules
from doorward.identity.webhooks.kinds import EventKind
from doorward.store import Tx

CHANNEL = "identity.webhooks"


class EventRecord(msgspec.Struct, frozen=True):
    """`data` is JSON text. `client_ip` and `user_agent` are empty where no request caused it."""

    id: str
    kind: str
    data: str
    client_ip: str
    user_agent: str
    created_at: int

    def __repr__(self) -> str:
        return f"EventRecord({self.id!r}, {self.kind!r})"


def listening(tx: Tx, kind: EventKind) -> list[str]:
    """The ids of enabled endpoints that want this kind."""
    rows = tx.fetch_all(
        "SELECT id, kinds FROM identity_webhook_endpoints WHERE is_enabled = ? ORDER BY id", (True,)
    )
    return [row[0] for row in rows if rules.wants(msgspec.json.decode(row[1], type=list[str]), kind)]


def insert_event(tx: Tx, event: EventRecord) -> None:
    tx.execute(
        "INSERT INTO identity_webhook_events (id, kind, data, client_ip, user_agent, created_at)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (event.id, event.kind, event.data, event.client_ip, event.user_agent, event.created_at),
    )


def insert_delivery(tx: Tx, *, delivery_id: str, event_id: str, endpoint_id: str, now: int) -> None:
    """Due at once."""
    tx.execute(
        "INSERT INTO identity_webhook_deliveries (id, event_id, endpoint_id, status, attempts, not_before, created_at)"
        " VALUES (?, ?, ?, 'pending', 0, ?, ?)",
        (delivery_id, event_id, endpoint_id, now, now),
    )
    tx.notify(CHANNEL, delivery_id)


class EndpointRecord(msgspec.Struct, frozen=True):
    """`kinds` empty stands for all. `failing_since` is the first failure after the last success."""

    id: str
    url: str
    description: str
    kinds: tuple[str, ...]
    is_enabled: bool
    disabled_because: str | None
    failing_since: int | None
    created_at: int
    updated_at: int


def insert_endpoint(tx: Tx, endpoint: EndpointRecord) -> None:
    tx.execute(
        "INSERT INTO identity_webhook_endpoints (id, url, description, kinds, is_enabled, disabled_because,"
        " failing_since, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            endpoint.id,
            endpoint.url,
            endpoint.description,
            msgspec.json.encode(endpoint.kinds).decode(),
            endpoint.is_enabled,
            endpoint.disabled_because,
            endpoint.failing_since,
            endpoint.created_at,
            endpoint.updated_at,
        ),
    )


def events_of(tx: Tx, endpoint_id: str) -> list[EventRecord]:
    """What was queued for an endpoint, oldest first."""
    rows = tx.fetch_all(
        "SELECT e.id, e.kind, e.data, e.client_ip, e.user_agent, e.created_at FROM identity_webhook_events e"
        " JOIN identity_webhook_deliveries d ON d.event_id = e.id WHERE d.endpoint_id = ?"
        " ORDER BY e.created_at, e.kind, e.id",
        (endpoint_id,),
    )
    return [EventRecord(*row) for row in rows]
