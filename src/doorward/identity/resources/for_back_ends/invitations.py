"""Invitations to the application, and entries of the waitlist."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from doorward.identity.invitations import rules
from doorward.identity.invitations.store import Invitation as InvitationRecord
from doorward.identity.waitlist.store import WaitlistEntry as EntryRecord


class Invitation(msgspec.Struct, frozen=True, kw_only=True):
    """`url` holds the ticket: it is shown where the invitation is made, and never again."""

    object: str = "invitation"
    id: str
    email_address: str
    public_metadata: msgspec.Raw
    revoked: bool
    status: str
    url: str | UnsetType = UNSET
    expires_at: int
    created_at: int
    updated_at: int


class WaitlistEntry(msgspec.Struct, frozen=True, kw_only=True):
    object: str = "waitlist_entry"
    id: str
    email_address: str
    status: str
    is_locked: bool = False
    created_at: int
    updated_at: int
    invitation: Invitation | None = None


def invitation(record: InvitationRecord, now: int, url: str | UnsetType = UNSET) -> Invitation:
    status = rules.status_of(record, now)
    return Invitation(
        id=record.id,
        email_address=record.email_address or "",
        public_metadata=msgspec.Raw(record.public_metadata.encode()),
        revoked=status == "revoked",
        status=status,
        url=url,
        expires_at=record.expire_at,
        created_at=record.created_at,
        updated_at=record.updated_at,
    )


def waitlist_entry(record: EntryRecord, embedded: Invitation | None = None) -> WaitlistEntry:
    return WaitlistEntry(
        id=record.id,
        email_address=record.email_address,
        status=record.status,
        created_at=record.created_at,
        updated_at=record.updated_at,
        invitation=embedded,
    )
