"""Strict parsing of one head block: llhttp reads the grammar, the checks below stop what it lets through.

Both functions take the block up to and including its empty line, nothing after it. Framing is decided here, once:
every later part trusts `length`. RFC 9112 §2-6; the refusals are those that make two parsers disagree (smuggling).
"""

from __future__ import annotations

import re

import httptools
import msgspec

from doorward.http1.errors import BadRequest, BadResponse, malformed
from doorward.http1.heads import LENGTH_UNKNOWN, NO_BODY_STATUSES, Headers, RequestHead, ResponseHead

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"transfer-encoding",
        b"upgrade",
    }
)

# A sender that lists one of these in Connection asks us to drop what frames or routes the message.
_NEVER_HOP_BY_HOP = frozenset(
    {b"content-length", b"host", b"content-encoding", b"content-type", b"expect", b"trailer"}
)
# Harmless and common; dropped with the other hop-by-hop fields anyway.
_CONNECTION_OPTIONS = frozenset({b"keep-alive", b"close", b"upgrade", b"te"})
_HOST = re.compile(rb"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9._])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_LENGTH = re.compile(rb"[0-9]{1,18}")
_TARGET = re.compile(rb"/[^\x00-\x20\x7f#]*")
# Narrower than what llhttp takes: anything else goes to llhttp.
_PLAIN_REQUEST_LINE = re.compile(rb"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) (/[!\"$-~]*) HTTP/1\.1\r\n")
_REMEMBERED_BYTES = 4096
_REMEMBERED_BLOCKS = 256


class ParsedRequest(msgspec.Struct, frozen=True, gc=False):
    head: RequestHead
    keep_alive: bool
    is_http11: bool


class ParsedResponse(msgspec.Struct, frozen=True, gc=False):
    """`is_chunked` tells the two meanings of an unknown length apart: chunked, or until the connection ends."""

    head: ResponseHead
    keep_alive: bool
    is_chunked: bool


class _Collector:
    """What llhttp calls back."""

    __slots__ = ("headers", "is_complete", "reason", "target")

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.target = b""
        self.reason = b""
        self.is_complete = False

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_status(self, reason: bytes) -> None:
        self.reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        self.is_complete = True


class _Framing:
    """The fields of one message that say where its body ends and what becomes of its connection."""

    __slots__ = ("end_to_end", "has_transfer_encoding", "hosts", "length", "names", "options", "upgrade")

    def __init__(self, headers: Headers) -> None:
        self.length: int | None = None
        self.has_transfer_encoding = False
        self.upgrade = b""
        self.options: set[bytes] = set()
        self.hosts: list[bytes] = []
        self.end_to_end: list[tuple[bytes, bytes]] = []
        underscored = False
        for item in headers:
            name, value = item
            if name in HOP_BY_HOP:
                self._hop_by_hop(name, value)
                continue
            if name == b"content-length":
                if self.length is not None:
                    raise ValueError("more than one Content-Length")
                if _LENGTH.fullmatch(value) is None:
                    raise ValueError("Content-Length is not a number")
                self.length = int(value)
            elif name == b"host":
                self.hosts.append(value)
            elif b"_" in name:
                underscored = True
            self.end_to_end.append(item)
        if self.has_transfer_encoding and self.length is not None:
            raise ValueError("both Content-Length and Transfer-Encoding")
        if underscored:
            _refuse_lookalikes(headers)
        extra = self.options - _CONNECTION_OPTIONS
        if extra:
            if extra & _NEVER_HOP_BY_HOP:
                raise ValueError("Connection names a header that must not be dropped")
            self.end_to_end = [item for item in self.end_to_end if item[0] not in extra]

    def _hop_by_hop(self, name: bytes, value: bytes) -> None:
        if name == b"connection":
            self.options.update(option.strip() for option in value.lower().split(b","))
        elif name == b"transfer-encoding":
            if self.has_transfer_encoding or value.lower() != b"chunked":
                raise ValueError("Transfer-Encoding is not exactly chunked")
            self.has_transfer_encoding = True
        elif name == b"upgrade":
            self.upgrade = value


def _refuse_lookalikes(headers: Headers) -> None:
    """Gateways that map names to variables read `x_forwarded_for` and `x-forwarded-for` as one: refuse the pair."""
    seen: set[bytes] = set()
    for name, _ in headers:
        if b"_" in name:
            dashed = name.replace(b"_", b"-")
            if dashed in seen or any(other == dashed for other, _ in headers):
                raise ValueError("two header names that differ only by _ and -")
            seen.add(dashed)


def parse_request_head(block: bytes) -> ParsedRequest:
    """Raises BadRequest (400, 501, 505)."""
    collector = _Collector()
    parser = httptools.HttpRequestParser(collector)
    try:
        parser.feed_data(block)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserInvalidMethodError:
        raise BadRequest(501, "method_not_implemented", "This server does not know that method.") from None
    except httptools.HttpParserError as error:
        raise malformed(str(error).lower()) from None
    if not collector.is_complete:
        raise malformed("the head does not end")
    if block[: block.index(b"\r\n")].count(b" ") != 2:
        # llhttp forgives more, and the next hop may read another target. RFC 9112 §3.
        raise malformed("the request line is not three words with one space between them")
    version = parser.get_http_version()
    if version not in ("1.1", "1.0"):
        raise BadRequest(505, "version_not_supported", "This server speaks HTTP/1.1.")
    is_http11 = version == "1.1"
    try:
        framing = _Framing(collector.headers)
    except ValueError as error:
        raise malformed(str(error)) from None
    if framing.has_transfer_encoding and not is_http11:
        raise malformed("Transfer-Encoding in an HTTP/1.0 request")
    method = parser.get_method()
    host = _the_host(framing.hosts)
    target = _origin_form(method, collector.target, host)
    options = framing.options
    upgrade = framing.upgrade if is_http11 and b"upgrade" in options else b""
    length = LENGTH_UNKNOWN if framing.has_transfer_encoding else framing.length or 0
    if upgrade and length:
        # A body in front of raw bytes: the two hops could disagree on where one ends and the other starts.
        raise malformed("an upgrade with a body")
    head = RequestHead(method, target, framing.end_to_end, upgrade, length)
    keep_alive = (b"close" not in options) if is_http11 else (b"keep-alive" in options)
    return ParsedRequest(head, keep_alive, is_http11)


class RequestHeads:
    """Parses the heads of a listener's connections, whose clients mostly repeat their header blocks under other targets.

    A block that is one of the last to the byte means the same: it is not parsed again, and its list is shared.
    """

    __slots__ = ("_parsed",)

    def __init__(self) -> None:
        self._parsed: dict[bytes, ParsedRequest] = {}

    def parse(self, block: bytes) -> ParsedRequest:
        """Raises BadRequest (400, 501, 505)."""
        line = _PLAIN_REQUEST_LINE.match(block)
        if line is None:
            return parse_request_head(block)
        headers = block[line.end() :]
        parsed = self._parsed.get(headers)
        if parsed is None:
            parsed = parse_request_head(block)
            if len(headers) <= _REMEMBERED_BYTES:
                if len(self._parsed) >= _REMEMBERED_BLOCKS:
                    self._parsed.clear()
                self._parsed[headers] = parsed
            return parsed
        head = parsed.head
        method, target = line.groups()
        own = RequestHead(method, target, head.headers, head.upgrade, head.length)
        return ParsedRequest(own, parsed.keep_alive, parsed.is_http11)


class ResponseHeads:
    """The same for a pool's origins, whose heads repeat within a second if at all. The head itself is shared."""

    __slots__ = ("_parsed",)

    def __init__(self) -> None:
        self._parsed: dict[tuple[bytes, bool, bool], ParsedResponse] = {}

    def parse(self, block: bytes, *, method: bytes, wanted_upgrade: bool) -> ParsedResponse:
        """Raises BadResponse."""
        key = (block, method == b"HEAD", wanted_upgrade)
        parsed = self._parsed.get(key)
        if parsed is None:
            parsed = parse_response_head(block, method=method, wanted_upgrade=wanted_upgrade)
            if len(block) <= _REMEMBERED_BYTES:
                if len(self._parsed) >= _REMEMBERED_BLOCKS:
                    self._parsed.clear()
                self._parsed[key] = parsed
        return parsed


def _the_host(hosts: list[bytes]) -> bytes:
    if len(hosts) != 1:
        raise malformed("exactly one Host is needed")
    if _HOST.fullmatch(hosts[0]) is None:
        raise malformed("Host is not a host name")
    return hosts[0]


def _origin_form(method: bytes, target: bytes, host: bytes) -> bytes:
    """The target as `/path?query`; absolute form is taken when it names the very Host (RFC 9112 §3.2.2)."""
    if method == b"CONNECT":
        raise BadRequest(501, "connect_not_supported", "This server is not a forward proxy.")
    if not target.startswith(b"/"):
        if target == b"*" and method == b"OPTIONS":
            return target
        scheme, separator, rest = target.partition(b"://")
        if not separator or scheme.lower() not in (b"http", b"https"):
            raise malformed("the request target is not a path")
        cut = min((at for at in (rest.find(b"/"), rest.find(b"?")) if at >= 0), default=len(rest))
        if rest[:cut].lower() != host.lower():
            raise malformed("the request target names another host")
        target = rest[cut:] if rest[cut : cut + 1] == b"/" else b"/" + rest[cut:]
    if _TARGET.fullmatch(target) is None:
        raise malformed("the request target holds a character that must be encoded")
    return target


def parse_response_head(block: bytes, *, method: bytes, wanted_upgrade: bool) -> ParsedResponse:
    """`method` and `wanted_upgrade` are the request's: they decide whether a body follows. Raises BadResponse."""
    collector = _Collector()
    parser = httptools.HttpResponseParser(collector)
    try:
        parser.feed_data(block)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError as error:
        raise BadResponse("malformed_response", str(error)) from None
    if not collector.is_complete or parser.get_http_version() not in ("1.1", "1.0"):
        raise BadResponse("malformed_response", "not an HTTP/1.1 head")
    try:
        framing = _Framing(collector.headers)
    except ValueError as error:
        raise BadResponse("malformed_response", str(error)) from None
    status = parser.get_status_code()
    is_http11 = parser.get_http_version() == "1.1"
    options = framing.options
    keep_alive = (b"close" not in options) if is_http11 else (b"keep-alive" in options)
    upgrade = b""
    if status == 101:
        if not wanted_upgrade:
            raise BadResponse("unexpected_upgrade", "101 to a request that asked for no upgrade")
        upgrade, length = framing.upgrade, LENGTH_UNKNOWN
    elif status < 200 or status in NO_BODY_STATUSES or method == b"HEAD":
        length = 0
    elif framing.has_transfer_encoding:
        length = LENGTH_UNKNOWN
    elif framing.length is not None:
        length = framing.length
    else:
        length, keep_alive = LENGTH_UNKNOWN, False
    head = ResponseHead(status, collector.reason, framing.end_to_end, upgrade, length)
    return ParsedResponse(head, keep_alive, framing.has_transfer_encoding)
