"""A delivery of a webhook, checked: by the holder of the secret, a few minutes old at most, and as it was sent.

    event = verify_webhook(request.headers, body)         # CLERK_WEBHOOK_SIGNING_SECRET
    if event.type == "user.deleted": forget(event.data["id"])

For deliveries of Doorward's, Clerk's and everybody's who signs as Svix and Standard Webhooks do. The body is the one that
came, not one that was parsed and written again. Deliveries come at least once and in no order: skip an `id` seen before.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from doorward.verify.errors import ConfigurationError, WebhookRefused
from doorward.verify.requests import AuthRequest, auth_request
from doorward.webhook_signing import TOLERANCE_SECONDS, is_signed, key_of, timestamp_of

_FAMILIES = ("svix", "webhook")
_PARTS = ("id", "timestamp", "signature")


class WebhookEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What happened. `data` is the object after the change, in the Backend API's shape; `id` is the delivery's, the same
    when it is tried again; `timestamp` is in milliseconds."""

    type: str
    data: dict[str, Any]
    id: str = ""
    timestamp: int | None = None
    instance_id: str | None = None
    event_attributes: dict[str, Any] = {}


def verify_webhook(
    headers: Mapping[str, str] | Iterable[tuple[str, str]],
    body: bytes,
    *,
    signing_secret: str | None = None,
    clock: Callable[[], float] = time.time,
    environment: Mapping[str, str] | None = None,
) -> WebhookEvent:
    """`signing_secret` beats CLERK_WEBHOOK_SIGNING_SECRET. Raises WebhookRefused (answer 400), ConfigurationError."""
    environ = os.environ if environment is None else environment
    secret = signing_secret or environ.get("CLERK_WEBHOOK_SIGNING_SECRET", "")
    try:
        key = key_of(secret)
    except ValueError as error:
        raise ConfigurationError(
            f"{error}; set CLERK_WEBHOOK_SIGNING_SECRET or pass signing_secret, as the endpoint's page showed it"
        ) from None
    request = auth_request("POST", "", headers)
    family, now = _family_of(request), int(clock())

    def of_family(name: str) -> str | None:
        # The other family may be signed as well: the id that is given back has to be the one that was.
        return request.header(name) if name.startswith(f"{family}-") else None

    if not is_signed(key, of_family, body, now=now):
        raise _refusal(timestamp_of(of_family(f"{family}-timestamp")), now)
    try:
        event = msgspec.json.decode(body, type=WebhookEvent)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise WebhookRefused("webhook-body-invalid", f"The body is no event: {error}.") from None
    return msgspec.structs.replace(event, id=request.header(f"{family}-id") or "")


def _family_of(request: AuthRequest) -> str:
    """Whose names the three headers have. Raises WebhookRefused where none is whole."""
    for family in _FAMILIES:
        if all(request.header(f"{family}-{part}") for part in _PARTS):
            return family
    missing = [f"svix-{part}" for part in _PARTS if not request.header(f"svix-{part}")]
    raise WebhookRefused(
        "webhook-headers-missing",
        f"Headers are missing: {', '.join(missing)}.",
        action="Let proxies pass them, and let nobody but the sender post here.",
    )


def _refusal(sent_at: int | None, now: int) -> WebhookRefused:
    skew = 0 if sent_at is None else sent_at - now
    if abs(skew) > TOLERANCE_SECONDS:
        return WebhookRefused(
            "webhook-too-old",
            f"It was sent {abs(skew)} s {'ago' if skew < 0 else 'in the future'}.",
            action="Compare the clocks of both machines. An old delivery may be somebody's who recorded it.",
            skew_seconds=abs(skew),
        )
    return WebhookRefused(
        "webhook-signature-invalid",
        "The signature is not by this secret, or the body is not the one that was sent.",
        action="Check the endpoint's secret, and give the body as it came, before anything parsed it.",
    )
