"""What is sent, and what came of it, whoever carries it."""

from collections.abc import Mapping
from typing import Literal, Protocol

import msgspec

from doorward.outbound import OutboundError, Response

Verdict = Literal["sent", "dead", "refused", "later"]


class Alert(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A notification a person sees. `data` travels with it; one of the same `tag` replaces it."""

    title: str
    body: str
    data: dict[str, str]
    tag: str | None = None


class LiveActivity(msgspec.Struct, frozen=True, kw_only=True):
    """A change of what an iOS live activity shows. `content` is None only where `event` is `end`."""

    event: Literal["start", "update", "end"]
    content: str | None
    title: str
    body: str


Message = Alert | LiveActivity


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How one attempt ended.

    `sent`: the service took it. `dead`: this device will never be reached by this token again. `refused`: this message
    will never be taken. `later`: worth another try, after `retry_after` seconds where the service says so.
    `status` is None when the service was not reached; `reason` is its word, or ours, and holds no secret.
    """

    verdict: Verdict
    status: int | None = None
    reason: str | None = None
    message_id: str | None = None
    retry_after: int | None = None


class Sender(Protocol):
    """One service. `now` and `expires_at` are milliseconds since the epoch."""

    async def send(self, target: str, message: Message, *, now: int, expires_at: int) -> Outcome:
        """One attempt to reach the device behind `target`; never raises for what the network or service does."""
        ...


def unreached(error: OutboundError) -> Outcome:
    return Outcome(verdict="later", reason=error.code)


def retry_after_of(headers: Mapping[str, str]) -> int | None:
    """`Retry-After` in seconds (RFC 9110 §10.2.3); a date or anything else is not followed."""
    text = headers.get("retry-after", "")
    return min(int(text), 3600) if text.isascii() and text.isdigit() and len(text) < 10 else None


def by_status(response: Response, *, reason: str | None, message_id: str | None = None) -> Outcome:
    """The verdict that HTTP's own meaning of a status gives; what a service means by 400, 404 or 410 is its own."""
    verdict: Verdict = "refused"
    if 200 <= response.status < 300:
        verdict = "sent"
    elif response.status in (408, 425, 429) or response.status >= 500:
        verdict = "later"
    return Outcome(
        verdict=verdict,
        status=response.status,
        reason=reason,
        message_id=message_id,
        retry_after=retry_after_of(response.headers),
    )
