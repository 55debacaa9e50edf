"""A delivery job: what is sent to which token until when, signed. Pure; `now` in milliseconds."""

import hashlib
import hmac
import uuid
from typing import Literal

import msgspec

from doorward.jose import b64url_encode, canonical_json
from doorward.push import Alert
from doorward.relay.devices.store import Platform
from doorward.t3_connect import iso, parse_iso
from doorward.t3_connect.messages import Aggregate, ApsEnvironment, DeliveryKind

LIFETIME_MS = 10 * 60_000
RefusalReason = Literal[
    "malformed", "dates_unreadable", "dates_inverted", "window_too_long", "expired", "signature_invalid"
]


class JobRefused(Exception):
    """A job that is not sent. `reason` is stable; its text holds nothing of the job."""

    def __init__(self, reason: RefusalReason) -> None:
        super().__init__(reason)
        self.reason: RefusalReason = reason


class Target(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One token of one device. `token` is a capability of that device."""

    user_id: str
    device_id: str
    platform: Platform
    token: str
    bundle_id: str | None = None
    aps_environment: ApsEnvironment | None = None

    def __repr__(self) -> str:
        return f"Target(device_id={self.device_id!r}, platform={self.platform!r})"


class JobDraft(msgspec.Struct, frozen=True, kw_only=True):
    """What to send: an aggregate for a live activity (none ends it without a last state), or a notification."""

    kind: DeliveryKind
    target: Target
    aggregate: Aggregate | None = None
    notification: Alert | None = None


class JobPayload(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    version: Literal[1]
    job_id: str
    kind: DeliveryKind
    target: Target
    aggregate: Aggregate | None
    notification: Alert | None
    created_at: str
    expires_at: str

    @property
    def expires_at_ms(self) -> int:
        return parse_iso(self.expires_at)


class SignedJob(msgspec.Struct, frozen=True, kw_only=True):
    algorithm: Literal["hmac-sha256"]
    payload: JobPayload
    signature: str


def live_event_of(kind: DeliveryKind) -> Literal["start", "update", "end"] | None:
    """What a live activity is told by a job of this kind; None for a notification."""
    match kind:
        case "live_activity_start":
            return "start"
        case "live_activity_update":
            return "update"
        case "live_activity_end":
            return "end"
        case "push_notification":
            return None


def new_payload(draft: JobDraft, *, now: int) -> JobPayload:
    return JobPayload(
        version=1,
        job_id=str(uuid.uuid4()),
        kind=draft.kind,
        target=draft.target,
        aggregate=draft.aggregate,
        notification=draft.notification,
        created_at=iso(now),
        expires_at=iso(now + LIFETIME_MS),
    )


def sign_job(payload: JobPayload, secret: bytes) -> str:
    """The job's JSON."""
    job = SignedJob(algorithm="hmac-sha256", payload=payload, signature=_signature(payload, secret))
    return msgspec.json.encode(job).decode()


def verify_job(text: str, secret: bytes, *, now: int) -> JobPayload:
    """The payload. Raises JobRefused; the signature is checked last, as only then every member is what it says."""
    try:
        job = msgspec.json.decode(text, type=SignedJob)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise JobRefused("malformed") from error
    payload = job.payload
    if not _has_its_shape(payload):
        raise JobRefused("malformed")
    try:
        created_at, expires_at = parse_iso(payload.created_at), parse_iso(payload.expires_at)
    except ValueError as error:
        raise JobRefused("dates_unreadable") from error
    if expires_at <= created_at:
        raise JobRefused("dates_inverted")
    if expires_at - created_at > LIFETIME_MS:
        raise JobRefused("window_too_long")
    if expires_at <= now:
        raise JobRefused("expired")
    if not hmac.compare_digest(job.signature.encode(), _signature(payload, secret).encode()):
        raise JobRefused("signature_invalid")
    return payload


def _has_its_shape(payload: JobPayload) -> bool:
    """Start and update show an aggregate, an end may, a notification is one; none is two things."""
    match payload.kind:
        case "push_notification":
            return payload.notification is not None and payload.aggregate is None
        case "live_activity_end":
            return payload.notification is None
        case _:
            return payload.aggregate is not None and payload.notification is None


def _signature(payload: JobPayload, secret: bytes) -> str:
    signed = canonical_json(msgspec.to_builtins(payload))
    return b64url_encode(hmac.new(secret, signed, hashlib.sha256).digest())
