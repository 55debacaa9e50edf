"""Every kind of event. The names are Clerk's where Clerk has the event; the last three families are ours."""

from __future__ import annotations

from typing import Literal, get_args

EventKind = Literal[
    "user.created",
    "user.updated",
    "user.deleted",
    "session.created",
    "session.pending",
    "session.ended",
    "session.removed",
    "session.revoked",
    "organization.created",
    "organization.updated",
    "organization.deleted",
    "organizationMembership.created",
    "organizationMembership.updated",
    "organizationMembership.deleted",
    "organizationInvitation.created",
    "organizationInvitation.accepted",
    "organizationInvitation.revoked",
    "organizationDomain.created",
    "organizationDomain.updated",
    "organizationDomain.deleted",
    "role.created",
    "role.updated",
    "role.deleted",
    "permission.created",
    "permission.updated",
    "permission.deleted",
    "waitlistEntry.created",
    "waitlistEntry.updated",
    "email.created",
    "sms.created",
    "machine.created",
    "machine.updated",
    "machine.deleted",
    "m2mToken.created",
    "m2mToken.revoked",
    "webhook.test",
]

KINDS: tuple[EventKind, ...] = get_args(EventKind)

#: Told only to an endpoint that names them: a message says what was written to whom, and tokens are made all the time.
NAMED_ONLY: frozenset[EventKind] = frozenset({"email.created", "sms.created", "m2mToken.created"})


def require_kind(kind: str) -> None:
    """Raises ValueError for a kind that is none: a mistake of the caller, not of a request."""
    if kind not in KINDS:
        raise ValueError(f"there is no event of the kind {kind!r}")
