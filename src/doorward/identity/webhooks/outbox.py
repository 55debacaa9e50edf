"""Queueing an event, inside the transaction of the change it tells of.

outbox.enqueue(tx, "organization.created", resources.organization(...), now=now)
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from doorward.identity.identifiers import new_id
from doorward.identity.webhooks import deliveries, endpoints
from doorward.identity.webhooks.json_text import json_text
from doorward.identity.webhooks.kinds import EventKind, require_kind
from doorward.store import Tx


class Cause(msgspec.Struct, frozen=True):
    """The request that led to an event, as far as its receiver is told."""

    client_ip: str = ""
    user_agent: str = ""


NO_REQUEST = Cause()


def is_wanted(tx: Tx, kind: EventKind) -> bool:
    """Whether anybody listens; for a caller whose `data` costs something to make."""
    require_kind(kind)
    return bool(endpoints.listening(tx, kind))


def enqueue(tx: Tx, kind: EventKind, data: object, *, now: int, cause: Cause = NO_REQUEST) -> str | None:
    """Queue an event for every endpoint that wants it; the event's id, or None where nobody listens.

    `data` is the Backend API's wire struct of the object as it is after the change. Nothing secret belongs in it: it is
    kept for days and sent to others. Raises ValueError for a kind that does not exist.
    """
    require_kind(kind)
    listening = endpoints.listening(tx, kind)
    return queue_for(tx, listening, kind, data, now=now, cause=cause) if listening else None


def queue_for(
    tx: Tx, listening: Sequence[str], kind: EventKind, data: object, *, now: int, cause: Cause = NO_REQUEST
) -> str:
    """Queue an event for these endpoints, whatever they asked for; its id."""
    event = deliveries.Event(new_id("msg"), kind, json_text(data), cause.client_ip, cause.user_agent, now)
    deliveries.insert_event(tx, event)
    for endpoint_id in listening:
        deliveries.insert(tx, delivery_id=new_id("whd"), event_id=event.id, endpoint_id=endpoint_id, now=now)
    return event.id
