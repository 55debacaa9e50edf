"""The state machine of a device's key (connect-environment §4.4). Pure: a row, an event, a time; the next row.

       request                approve               reject
(new) ────────► pending ────────────► approved ◄──────────── rejected
                   └────────────────────┴──── reject ─────────►│
revoke: any state becomes invisible; only a new request brings the key back, as pending.
"""

from typing import Literal

import msgspec

from doorward.environment.access import Role
from doorward.environment.sessions.client_details import DeviceType, bounded

ClientStatus = Literal["pending", "approved", "rejected"]

#: A signed-in account can make a new key per request; the oldest requests give way.
MAX_PENDING_PER_USER = 50


class Knock(msgspec.Struct, frozen=True, kw_only=True):
    """A device asks to be let in. Everything but the thumbprint and the account is its own, untrusted, word."""

    thumbprint: str
    cloud_user_id: str
    device_id: str | None = None
    label: str | None = None
    device_type: DeviceType = "unknown"
    os: str | None = None


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """One device's key. Revoked rows (`revoked_at`) are invisible to everything but a new request. Times in ms."""

    thumbprint: str
    cloud_user_id: str
    device_id: str | None
    status: ClientStatus
    role: Role
    label: str | None
    device_type: DeviceType
    os: str | None
    requested_at: int
    updated_at: int
    approved_at: int | None = None
    rejected_at: int | None = None
    revoked_at: int | None = None
    last_seen_at: int | None = None


def requested(row: Client | None, knock: Knock, now: int) -> Client:
    """After a request: the decision stays, unless the key was revoked or belongs to another account now."""
    if row is None or row.revoked_at is not None or row.cloud_user_id != knock.cloud_user_id:
        status: ClientStatus = "pending"
        role: Role = "standard"
        approved_at = rejected_at = last_seen_at = None
    else:
        status, role = row.status, row.role
        approved_at, rejected_at, last_seen_at = row.approved_at, row.rejected_at, row.last_seen_at
    return Client(
        thumbprint=knock.thumbprint,
        cloud_user_id=knock.cloud_user_id,
        device_id=bounded(knock.device_id),
        status=status,
        role=role,
        label=bounded(knock.label),
        device_type=knock.device_type,
        os=bounded(knock.os),
        requested_at=now,
        updated_at=now,
        approved_at=approved_at,
        rejected_at=rejected_at,
        last_seen_at=last_seen_at,
    )


def begins_to_wait(before: Client | None, after: Client) -> bool:
    """Whether a request made the key wait that did not wait before: the one moment its owner is told of it."""
    was_waiting = (
        before is not None
        and before.revoked_at is None
        and before.status == "pending"
        and before.cloud_user_id == after.cloud_user_id
    )
    return after.status == "pending" and not was_waiting


def approved(row: Client | None, now: int, role: Role | None = None) -> Client | None:
    """After an approval; None when there is nothing to approve. `role=None` keeps an approved key's role."""
    if row is None or row.revoked_at is not None:
        return None
    is_already = row.status == "approved"
    return msgspec.structs.replace(
        row,
        status="approved",
        role=role or (row.role if is_already else "standard"),
        updated_at=now,
        approved_at=now,
        rejected_at=None,
        last_seen_at=row.last_seen_at if is_already else None,
    )


def rejected(row: Client | None, now: int) -> Client | None:
    """After a rejection; None when there is nothing to reject."""
    if row is None or row.revoked_at is not None:
        return None
    return msgspec.structs.replace(
        row,
        status="rejected",
        role="standard",
        updated_at=now,
        rejected_at=now,
        approved_at=None,
        last_seen_at=None,
    )


def revoked(row: Client | None, now: int) -> Client | None:
    """After a revocation: forgotten, with its last state kept for the record; None when there is nothing."""
    if row is None or row.revoked_at is not None:
        return None
    return msgspec.structs.replace(row, revoked_at=now, updated_at=now)


def seen(row: Client, now: int) -> Client:
    """After an approved key was let in; any other key stays as it is."""
    if row.status != "approved" or row.revoked_at is not None:
        return row
    return msgspec.structs.replace(row, last_seen_at=now, updated_at=now)


def is_let_in(row: Client | None) -> bool:
    """Whether, in client-approval mode, a credential may be made for this key."""
    return row is not None and row.revoked_at is None and row.status == "approved"
