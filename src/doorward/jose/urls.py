"""The one spelling of a request URL that a DPoP proof's `htu` is compared with (RFC 9449 §4.3)."""

from __future__ import annotations

import ipaddress
import re

_DEFAULT_PORTS = {"http": "80", "https": "443", "ws": "80", "wss": "443"}
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):[/\\]{2}([^/\\?#]*)([^?#]*)")
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=\-]+)(?::([0-9]*))?")
_ENCODED_DOT = re.compile(r"%2e", re.IGNORECASE)
# WHATWG URL's path percent-encode set, as node has it (a later edition adds the caret): controls, space, "<>`{}, all
# beyond ASCII. Written as its complement, which compiles a hundred times faster.
_ENCODED_IN_PATH = re.compile(r"[^!#-;=?-_a-z|~]")


def normalize_url(url: str) -> str:
    """`url` as browsers serialise it (WHATWG URL), without query and fragment: scheme and host in lower
    case, no default port, dot segments resolved, percent-encoding kept as sent, at least the path `/`.

    Takes http, https, ws and wss. Raises ValueError for other URLs, user information, host names that are
    not ASCII and IPv4 addresses in other than four decimal parts.
    """
    text = url.strip("".join(map(chr, range(33))))
    text = text.replace("\t", "").replace("\n", "").replace("\r", "")
    found = _URL.match(text)
    if found is None:
        raise ValueError("not an absolute URL")
    scheme, authority, path = found[1].lower(), found[2], found[3]
    if scheme not in _DEFAULT_PORTS:
        raise ValueError("not a scheme of the web")
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        raise ValueError("not a host and port")
    port = parts[2].lstrip("0") or ("0" if parts[2] else "") if parts[2] else ""
    if port and int(port) > 65535:
        raise ValueError("not a port")
    suffix = f":{port}" if port and port != _DEFAULT_PORTS[scheme] else ""
    return f"{scheme}://{_host(parts[1])}{suffix}{_path(path)}"


def _host(host: str) -> str:
    if host.startswith("["):
        address = ipaddress.IPv6Address(host[1:-1])
        mapped = address.ipv4_mapped
        if mapped is not None:
            high, low = divmod(int(mapped), 65536)
            return f"[::ffff:{high:x}:{low:x}]"
        return f"[{address.compressed}]"
    host = host.lower()
    last = host.rstrip(".").rpartition(".")[2]
    if last.isdigit() or re.fullmatch(r"0x[0-9a-f]*", last):
        return str(ipaddress.IPv4Address(host))
    return host


def _path(path: str) -> str:
    segments: list[str] = []
    parts = path.replace("\\", "/").split("/")[1:] or [""]
    for place, segment in enumerate(parts):
        is_last = place == len(parts) - 1
        dots = _ENCODED_DOT.sub(".", segment)
        if dots == "..":
            del segments[-1:]
        if dots in (".", ".."):
            if is_last:
                segments.append("")
            continue
        segments.append(segment)
    return "/" + _ENCODED_IN_PATH.sub(_percent_encoded, "/".join(segments))


def _percent_encoded(character: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in character[0].encode())
