"""A request as authentication sees it: method, address and headers, from whatever framework they come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, quote_plus, unquote, urlsplit

import msgspec

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


class AuthRequest(msgspec.Struct, frozen=True):
    """`url` as the server received it; `headers` by lower-case name. Make one with `auth_request`."""

    method: str
    url: str
    headers: Mapping[str, str]

    def header(self, name: str) -> str | None:
        return self.headers.get(name) or None

    def cookies(self) -> dict[str, str]:
        """The request's cookies; of two with one name the first counts."""
        found: dict[str, str] = {}
        for pair in self.headers.get("cookie", "").split(";"):
            name, equals, value = pair.partition("=")
            name, value = name.strip(), value.strip()
            if not equals or name in found:
                continue
            found[name] = unquote(value) if "%" in value else value
        return found

    def public_url(self) -> Url:
        """The address the browser asked for, told by the proxy's headers where there is one."""
        given = read_url(self.url)
        host = first_value(self.headers.get("x-forwarded-host")) or self.header("host")
        scheme = first_value(self.headers.get("x-forwarded-proto")) or given.scheme
        if not host or not scheme:
            return given
        return msgspec.structs.replace(given, scheme=scheme.lower(), host=_host(scheme.lower(), host))


def auth_request(
    method: str, url: str, headers: Mapping[str, str] | Iterable[tuple[str, str]] = ()
) -> AuthRequest:
    """A request from its parts; names of headers in any case, of two with one name both count."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    joined: dict[str, str] = {}
    for name, value in pairs:
        name, value = name.lower(), value.strip()
        if name in joined:
            joined[name] += ("; " if name == "cookie" else ", ") + value
        else:
            joined[name] = value
    return AuthRequest(method.upper(), url, joined)


class Url(msgspec.Struct, frozen=True):
    """An address in parts; `query` are its parameters in order."""

    scheme: str
    host: str
    path: str
    query: tuple[tuple[str, str], ...]
    raw_query: str

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.host}"

    def parameter(self, name: str) -> str | None:
        return next((value for key, value in self.query if key == name), None)

    def __str__(self) -> str:
        return f"{self.origin}{self.path}" + (f"?{self.raw_query}" if self.raw_query else "")

    def without(self, *names: str) -> str:
        """The address less some parameters, the rest written as browsers write forms."""
        query = form([(key, value) for key, value in self.query if key not in names])
        return f"{self.origin}{self.path}" + (f"?{query}" if query else "")


def read_url(url: str) -> Url:
    """The parts of an absolute address. Raises ValueError."""
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    host = parts.netloc.rpartition("@")[2]
    if not scheme or not host:
        raise ValueError("not an absolute URL")
    query = tuple(parse_qsl(parts.query, keep_blank_values=True))
    return Url(scheme, _host(scheme, host), parts.path or "/", query, parts.query)


def form(pairs: Iterable[tuple[str, str]]) -> str:
    """`pairs` as application/x-www-form-urlencoded, character for character as browsers write it."""
    return "&".join(f"{_form_text(name)}={_form_text(value)}" for name, value in pairs)


def first_value(header: str | None) -> str | None:
    """The first of a comma-separated list: what the outermost proxy said."""
    return header.split(",")[0].strip() if header else None


def _form_text(text: str) -> str:
    return quote_plus(text, safe="*").replace("~", "%7E")


def _host(scheme: str, host: str) -> str:
    return host.lower().removesuffix(_DEFAULT_PORTS.get(scheme, " "))
