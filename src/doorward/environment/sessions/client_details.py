"""What a client says about itself, and what its user agent gives away. Pure. All of it is untrusted text."""

import re
from typing import Literal

import msgspec

DeviceType = Literal["desktop", "mobile", "tablet", "bot", "unknown"]

# Shown in lists and carried in events: long enough for any honest name.
MAX_CHARACTERS = 200

_DEVICE_TYPES: tuple[tuple[re.Pattern[str], DeviceType], ...] = (
    (re.compile(r"bot|crawler|spider|slurp|curl|wget"), "bot"),
    (re.compile(r"ipad|tablet"), "tablet"),
    (re.compile(r"iphone|android.+mobile|mobile"), "mobile"),
)
_SYSTEMS = (
    (re.compile(r"iphone|ipad|ipod"), "iOS"),
    (re.compile(r"android"), "Android"),
    (re.compile(r"mac os x|macintosh"), "macOS"),
    (re.compile(r"windows nt"), "Windows"),
    (re.compile(r"linux"), "Linux"),
)
_BROWSERS = (
    (re.compile(r"edg/"), "Edge"),
    (re.compile(r"opr/"), "Opera"),
    (re.compile(r"firefox/"), "Firefox"),
    (re.compile(r"electron/"), "Electron"),
    (re.compile(r"chrome/|crios/"), "Chrome"),
    (re.compile(r"safari/"), "Safari"),
)


class ClientDetails(msgspec.Struct, frozen=True, kw_only=True):
    label: str | None = None
    ip_address: str | None = None
    user_agent: str | None = None
    device_type: DeviceType = "unknown"
    os: str | None = None
    browser: str | None = None


class Presented(msgspec.Struct, frozen=True, kw_only=True):
    """What the client chose to tell us; it wins over what we guess."""

    label: str | None = None
    device_type: DeviceType | None = None
    os: str | None = None


def describe_client(
    *,
    user_agent: str | None,
    ip_address: str | None,
    presented: Presented | None = None,
    grant_label: str | None = None,
) -> ClientDetails:
    """Presented words win over sniffed ones; the label on the pairing credential wins over both."""
    said = presented or Presented()
    agent = (user_agent or "").lower()
    return ClientDetails(
        label=bounded(grant_label or said.label),
        ip_address=bounded(ip_address.removeprefix("::ffff:") if ip_address else None),
        user_agent=bounded(user_agent),
        device_type=said.device_type or _device_type(agent),
        os=bounded(said.os) or _first(_SYSTEMS, agent),
        browser=_first(_BROWSERS, agent),
    )


def bounded(text: str | None) -> str | None:
    """Trimmed and cut to 200 characters; None when nothing is left."""
    return ((text or "").strip()[:MAX_CHARACTERS].strip()) or None


def _device_type(agent: str) -> DeviceType:
    if not agent:
        return "unknown"
    for pattern, device_type in _DEVICE_TYPES:
        if pattern.search(agent):
            return device_type
    return "desktop"


def _first(table: tuple[tuple[re.Pattern[str], str], ...], agent: str) -> str | None:
    for pattern, name in table:
        if pattern.search(agent):
            return name
    return None
