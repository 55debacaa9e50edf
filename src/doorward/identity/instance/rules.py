"""The settings of an instance, and which origins it may list. Pure."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import urlsplit

import msgspec

SignUpMode = Literal["public", "restricted", "waitlist"]
EnrollmentMode = Literal["manual_invitation", "automatic_invitation", "automatic_suggestion"]

MAX_ORIGINS = 100
_MAX_ORIGIN_LENGTH = 255
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[A-Za-z0-9._\[\]:-]+")


class OrganizationSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`max_allowed_memberships` is what a new organization begins with; 0 is without limit. Roles are keys."""

    enabled: bool = False
    max_allowed_memberships: int = 0
    admin_delete_enabled: bool = True
    domains_enabled: bool = False
    slug_disabled: bool = False
    domains_enrollment_modes: tuple[EnrollmentMode, ...] = ()
    creator_role: str = "org:admin"
    domains_default_role: str = "org:member"


class InstanceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Stored as JSON. `sign_up_mode` None follows the configuration file."""

    allowed_origins: tuple[str, ...] = ()
    test_mode: bool = False
    support_email: str | None = None
    sign_up_mode: SignUpMode | None = None
    allowlist: bool = False
    blocklist: bool = False
    allowlist_blocklist_disabled_on_sign_in: bool = False
    block_email_subaddresses: bool = False
    block_disposable_email_domains: bool = False
    ignore_dots_for_gmail_addresses: bool = False
    organizations: OrganizationSettings = OrganizationSettings()


def is_origin(text: str) -> bool:
    """Scheme, host and port only, of any scheme: extensions and desktop applications have their own."""
    if len(text) > _MAX_ORIGIN_LENGTH or _ORIGIN.fullmatch(text) is None:
        return False
    try:
        parts = urlsplit(text)
        return bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
