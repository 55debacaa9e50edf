"""HTTPS_PROXY and NO_PROXY, read when a client is made.

Only https goes through a proxy (as a CONNECT tunnel): plain http never leaves this machine.
"""

import os
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from doorward.outbound.addresses import is_loopback
from doorward.outbound.errors import InsecureUrl


class Proxy(NamedTuple):
    """An http or https proxy; `url` without credentials, which are `auth`."""

    url: str
    auth: tuple[str, str] | None
    exempt: tuple[str, ...]

    def serves(self, host: str) -> bool:
        """Whether `host` is reached through the proxy: not this machine, and not in NO_PROXY."""
        name = host.lower().removesuffix(".")
        return not is_loopback(name) and not any(
            entry == "*" or name == entry or name.endswith("." + entry) for entry in self.exempt
        )

    def __repr__(self) -> str:
        return f"Proxy({self.url})"


def proxy_from_environment() -> Proxy | None:
    """The proxy of HTTPS_PROXY or ALL_PROXY (lower case wins). Raises InsecureUrl when it is not an http(s) URL."""
    text = _variable("https_proxy") or _variable("all_proxy")
    if not text:
        return None
    parts = urlsplit(text if "://" in text else f"http://{text}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InsecureUrl("HTTPS_PROXY is not an http or https URL; other kinds of proxy are not supported.")
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    default = 443 if parts.scheme == "https" else 80
    auth = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    entries = (entry.strip().lower() for entry in _variable("no_proxy").split(","))
    exempt = tuple(entry if entry == "*" else entry.lstrip("*.") for entry in entries if entry)
    return Proxy(f"{parts.scheme}://{name}:{parts.port or default}", auth, exempt)


def connect_proxy_for(host: str) -> str | None:
    """The URL, with its credentials, of the proxy that a raw connection to `host` goes through. Raises InsecureUrl."""
    proxy = proxy_from_environment()
    if proxy is None or not proxy.serves(host):
        return None
    if proxy.auth is None:
        return proxy.url
    scheme, _, authority = proxy.url.partition("://")
    return f"{scheme}://{':'.join(quote(part, safe='') for part in proxy.auth)}@{authority}"


def _variable(name: str) -> str:
    return os.environ.get(name) or os.environ.get(name.upper()) or ""
