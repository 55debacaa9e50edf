"""What names, slugs and keys of organizations look like, and what keeps one manageable. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from doorward.identity.errors import FORM_PARAM_FORMAT_INVALID, ORGANIZATION_DOMAIN_COMMON, Problem

MANAGE_PROFILE = "org:sys_profile:manage"
DELETE_PROFILE = "org:sys_profile:delete"
READ_MEMBERS = "org:sys_memberships:read"
MANAGE_MEMBERS = "org:sys_memberships:manage"
READ_DOMAINS = "org:sys_domains:read"
MANAGE_DOMAINS = "org:sys_domains:manage"

SYSTEM_PERMISSIONS = {
    MANAGE_PROFILE: "Manage organization",
    DELETE_PROFILE: "Delete organization",
    READ_MEMBERS: "Read members",
    MANAGE_MEMBERS: "Manage members",
    READ_DOMAINS: "Read domains",
    MANAGE_DOMAINS: "Manage domains",
}
DEFAULT_ROLES = {
    "org:admin": ("Admin", tuple(SYSTEM_PERMISSIONS)),
    "org:member": ("Member", (READ_MEMBERS,)),
}
# Without these nobody could mend an organization any more.
MINIMUM_PERMISSIONS = frozenset([MANAGE_MEMBERS, READ_MEMBERS, DELETE_PROFILE])
NAME_MAX_LENGTH = 256
NAME_RULE = f"A name has 1 to {NAME_MAX_LENGTH} characters, none of them < or >, and no address of a page."
SLUG_RULE = "A slug has 1 to 256 of a-z, 0-9 and -, and neither begins nor ends with -."

_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,254}[a-z0-9])?")
_ROLE_KEY = re.compile(r"org:[a-z][a-z0-9_]{0,59}")
_PERMISSION_KEY = re.compile(r"org:(?!sys_)[a-z][a-z0-9_]{0,59}:[a-z][a-z0-9_]{0,59}")
_DOMAIN = re.compile(r"(?=.{4,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")
# Anybody gets an address there: whoever has one is no colleague.
_MAILBOX_DOMAINS = frozenset(
    [
        "aol.com",
        "fastmail.com",
        "gmail.com",
        "gmx.at",
        "gmx.ch",
        "gmx.com",
        "gmx.de",
        "gmx.net",
        "googlemail.com",
        "hey.com",
        "hotmail.com",
        "icloud.com",
        "live.com",
        "mac.com",
        "mail.com",
        "mail.ru",
        "me.com",
        "msn.com",
        "outlook.com",
        "proton.me",
        "protonmail.com",
        "qq.com",
        "t-online.de",
        "tuta.com",
        "tutanota.com",
        "web.de",
        "yahoo.co.uk",
        "yahoo.com",
        "yahoo.de",
        "yandex.com",
        "yandex.ru",
        "zoho.com",
        "163.com",
        "126.com",
    ]
)
_MARKUP = re.compile(r"[<>]|https?://|www\.", re.IGNORECASE)


def is_name(text: str) -> bool:
    """No markup and no address: the name stands in mails to people who know nobody here."""
    return (
        len(text.strip()) > 0
        and len(text) <= NAME_MAX_LENGTH
        and text.isprintable()
        and not _MARKUP.search(text)
    )


def is_slug(text: str) -> bool:
    return _SLUG.fullmatch(text) is not None


def slug_of(name: str, ending: str) -> str:
    """A slug made of the name; `ending` makes it nobody else's."""
    words = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60].strip("-")
    return f"{words}-{ending}" if words else ending


def domain_problem(name: str) -> Problem | None:
    """Why this (lower-case) name is no domain an organization can have."""
    if _DOMAIN.fullmatch(name) is None:
        return FORM_PARAM_FORMAT_INVALID.at("name", long_message="name must be a domain such as example.com.")
    if name in _MAILBOX_DOMAINS:
        return ORGANIZATION_DOMAIN_COMMON.at("name")
    return None


def is_role_key(key: str) -> bool:
    return _ROLE_KEY.fullmatch(key) is not None


def is_permission_key(key: str) -> bool:
    """Of a custom permission; system permissions are ours alone."""
    return _PERMISSION_KEY.fullmatch(key) is not None


def is_elevated(permissions: Iterable[str]) -> bool:
    return set(permissions) >= MINIMUM_PERMISSIONS
