"""Webhook endpoints and the log of what was sent to them. Times in milliseconds."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from doorward.identity.backend_api.wire.shapes import Body, Page
from doorward.identity.webhooks.deliveries import Attempt, Delivery, DeliveryStatus
from doorward.identity.webhooks.endpoints import Endpoint
from doorward.identity.webhooks.service import LoggedDelivery

Kinds = Annotated[tuple[str, ...], msgspec.Meta(max_length=100)]


class WebhookEndpoint(msgspec.Struct, kw_only=True):
    """No `kinds` is all of them. `disabled_because` is `asked`, or why nothing could be delivered any more."""

    object: str = "webhook_endpoint"
    id: str
    url: str
    description: str
    kinds: list[str]
    enabled: bool
    disabled_because: str | None
    failing_since: int | None
    created_at: int
    updated_at: int


class MadeWebhookEndpoint(WebhookEndpoint, kw_only=True):
    """`secret` is shown here, and never again."""

    secret: str


class DeliveryAttempt(msgspec.Struct, kw_only=True):
    """`status` is null where no answer came, and `problem` says why."""

    at: int
    duration_ms: int
    status: int | None
    problem: str | None
    body: str


class WebhookDelivery(msgspec.Struct, kw_only=True):
    object: str = "webhook_delivery"
    id: str
    event_id: str
    kind: str
    endpoint_id: str
    status: DeliveryStatus
    attempts: list[DeliveryAttempt]
    not_before: int
    created_at: int
    finished_at: int | None


class SentTest(msgspec.Struct):
    event_id: str
    object: str = "webhook_test"


class Replayed(msgspec.Struct):
    """How many deliveries are on their way again."""

    count: int
    object: str = "webhook_replay"


class NewWebhookEndpoint(Body, frozen=True, kw_only=True):
    url: str
    description: str | None = None
    kinds: Kinds | None = None
    secret: str | None = None

    def __repr__(self) -> str:
        return "NewWebhookEndpoint(…)"


class ChangeWebhookEndpoint(Body, frozen=True, kw_only=True):
    """Null and absent alike: as it is."""

    url: str | None = None
    description: str | None = None
    kinds: Kinds | None = None
    enabled: bool | None = None


class Deliveries(Page, frozen=True, kw_only=True):
    status: DeliveryStatus | None = None


class ReplaySince(Body, frozen=True, kw_only=True):
    """Everything that was queued since then and never arrived."""

    since: Annotated[int, msgspec.Meta(ge=0, le=2**53)]


def endpoint(one: Endpoint) -> WebhookEndpoint:
    return WebhookEndpoint(**members(one))


def members(one: Endpoint) -> dict[str, Any]:
    """What every form of an endpoint tells."""
    return {
        "id": one.id,
        "url": one.url,
        "description": one.description,
        "kinds": list(one.kinds),
        "enabled": one.is_enabled,
        "disabled_because": one.disabled_because,
        "failing_since": one.failing_since,
        "created_at": one.created_at,
        "updated_at": one.updated_at,
    }


def delivery(one: Delivery, attempts: list[Attempt]) -> WebhookDelivery:
    return WebhookDelivery(
        id=one.id,
        event_id=one.event_id,
        kind=one.kind,
        endpoint_id=one.endpoint_id,
        status=one.status,
        attempts=[
            DeliveryAttempt(
                at=each.at,
                duration_ms=each.duration_ms,
                status=each.status,
                problem=each.problem,
                body=each.body,
            )
            for each in attempts
        ],
        not_before=one.not_before,
        created_at=one.created_at,
        finished_at=one.finished_at,
    )


def logged(one: LoggedDelivery) -> WebhookDelivery:
    return delivery(one.delivery, one.attempts)
