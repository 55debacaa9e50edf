"""Which service names may be claimed, and by whom. Pure."""

import re
from typing import Literal

import msgspec

HOLD_MS = 90 * 24 * 3600 * 1000
"""A freed name stays with its account this long, so that nobody inherits another's bookmarks and cookies."""

MOST_NAMES = 100
"""How many names one account may hold, freed ones that are still kept for it included: the zone is everybody's."""

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
# The shape of API hosts (`<stage>-<16 hex>`): a service there could pass itself off as another machine's gate.
_API_HOST_LABEL = re.compile(r"(?:.*-)?[0-9a-f]{16}")

# Names by which a service could pass for the operator, and names that mail, DNS and browsers treat specially.
_RESERVED = """
    abuse account accounts admin administrator api auth autoconfig autodiscover billing clerk connect console control
    doorward edge env environment environments ftp gate gateway hostmaster id identity imap internal isatap localdomain
    localhost login logout mail mailer-daemon machine machines mx noc noreply ns ns1 ns2 ns3 ns4 oauth official openid
    password pay payment payments pop pop3 postmaster proxy register relay root secure security sign-in sign-out sign-up
    signin signout signup smtp sso staff support system t3 tunnel webmail webmaster well-known wpad www
"""
RESERVED_NAMES = frozenset(_RESERVED.split())


class ServiceNameRow(msgspec.Struct, frozen=True):
    """The stored claim on a name. `released_at` is milliseconds since the epoch, `None` while in use."""

    name: str
    user_id: str
    environment_id: str
    released_at: int | None


def check_name(name: str) -> Literal["name_invalid", "name_reserved"] | None:
    """What is wrong with a wished-for name, or `None`."""
    if not _LABEL.fullmatch(name) or name.startswith("xn--") or _API_HOST_LABEL.fullmatch(name):
        return "name_invalid"
    return "name_reserved" if name in RESERVED_NAMES else None


def may_claim(row: ServiceNameRow | None, *, user_id: str, environment_id: str, now: int) -> bool:
    """Whether this environment may take (or already has) the name.

    A name in use belongs to one environment. A freed one is its account's until the hold ends.
    """
    if row is None:
        return True
    if row.released_at is None:
        return row.user_id == user_id and row.environment_id == environment_id
    return row.user_id == user_id or row.released_at + HOLD_MS <= now
