"""What an invitation is worth at a given moment. Pure."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import urlsplit

from doorward.identity.errors import (
    FORM_PARAM_FORMAT_INVALID,
    INVITATION_ALREADY_ACCEPTED,
    INVITATION_REVOKED,
    TICKET_EXPIRED,
    TICKET_INVALID,
    Problem,
)
from doorward.identity.invitations.store import Invitation
from doorward.identity.settings import DAY

InvitationStatus = Literal["pending", "accepted", "revoked", "expired"]

ADMINISTRATOR_LIFETIME_MS = 7 * DAY
DEFAULT_LIFETIME_DAYS = 30
MAX_URL_LENGTH = 2_048
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{0,62}")
# A link in a mail must not run script in whatever opens it.
_FORBIDDEN_SCHEMES = frozenset(["javascript", "data", "vbscript", "file", "blob", "about", "view-source"])


def status_of(invitation: Invitation, now: int) -> InvitationStatus:
    if invitation.accepted_at is not None:
        return "accepted"
    if invitation.revoked_at is not None:
        return "revoked"
    return "expired" if now >= invitation.expire_at else "pending"


def problem_of(invitation: Invitation | None, *, has_administrator: bool, now: int) -> Problem | None:
    """Why a ticket cannot be redeemed, or None."""
    if invitation is None:
        return TICKET_INVALID
    if invitation.revoked_at is not None:
        return INVITATION_REVOKED
    if invitation.accepted_at is not None:
        return INVITATION_ALREADY_ACCEPTED
    if invitation.kind == "administrator" and has_administrator:
        return TICKET_INVALID
    return TICKET_EXPIRED if now >= invitation.expire_at else None


def redirect_url_problem(url: str | None) -> Problem | None:
    """Why an invitation cannot lead there; None where it leads nowhere of its own."""
    if url is None or is_redirect_url(url):
        return None
    sentence = "redirect_url must be https, http on this machine, or an application's own scheme."
    return FORM_PARAM_FORMAT_INVALID.at("redirect_url", long_message=sentence)


def is_redirect_url(url: str) -> bool:
    """https, http on this machine, or an application's own scheme; nothing a browser would run."""
    if len(url) > MAX_URL_LENGTH or not url.isprintable() or " " in url or "\\" in url:
        return False
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if parts.scheme in _FORBIDDEN_SCHEMES or not _SCHEME.fullmatch(parts.scheme) or "://" not in url:
        return False
    if parts.username or parts.password:
        return False
    if parts.scheme == "http":
        return host == "localhost" or host.endswith(".localhost") or host in ("127.0.0.1", "::1")
    return bool(host) or parts.scheme != "https"
