"""Writing heads and body pieces anew for the next hop. RFC 9112 §2-7.

Nothing a peer sent is passed on as it stood: names are lower case, spacing is ours, framing is decided from `length`.
"""

from __future__ import annotations

from collections.abc import Sequence

from doorward.http1.answers import reason_phrase
from doorward.http1.exchange import Data
from doorward.http1.heads import LENGTH_UNKNOWN, Derived, Headers, RequestHead, ResponseHead

LAST_CHUNK = b"0\r\n\r\n"
_STATUS_LINES = {
    status: b"HTTP/1.1 %d %s\r\n" % (status, reason_phrase(status))
    for status in range(100, 600)
    if reason_phrase(status)
}


_lines: Derived[bytes] = Derived()
_plain_blocks: Derived[bytes] = Derived()


def header_lines(headers: Headers) -> bytes:
    known = _lines.get(id(headers))
    if known is not None:
        return known[1]
    return _lines.keep(headers, b"".join([b"%b: %b\r\n" % item for item in headers]))


def request_head(head: RequestHead) -> bytes:
    if head.upgrade:
        framing = b"connection: upgrade\r\nupgrade: %b\r\n\r\n" % head.upgrade
    elif head.length == LENGTH_UNKNOWN:
        framing = b"transfer-encoding: chunked\r\n\r\n"
    else:
        framing = b"\r\n"
    return b"%b %b HTTP/1.1\r\n%b%b" % (head.method, head.target, header_lines(head.headers), framing)


def response_head(head: ResponseHead, *, is_chunked: bool, keep_alive: bool) -> bytes:
    if is_chunked or not keep_alive:
        return _response_head(head, is_chunked=is_chunked, keep_alive=keep_alive)
    known = _plain_blocks.get(id(head))
    if known is not None:
        return known[1]
    return _plain_blocks.keep(head, _response_head(head, is_chunked=False, keep_alive=True))


def _response_head(head: ResponseHead, *, is_chunked: bool, keep_alive: bool) -> bytes:
    status = head.status
    line = _STATUS_LINES.get(status)
    if line is None or (head.reason and not line.endswith(b" %b\r\n" % head.reason)):
        line = b"HTTP/1.1 %d %b\r\n" % (status, head.reason)
    if head.upgrade:
        framing = b"connection: upgrade\r\nupgrade: %b\r\n\r\n" % head.upgrade
    else:
        framing = b"transfer-encoding: chunked\r\n" if is_chunked else b""
        framing += b"\r\n" if keep_alive or status < 200 else b"connection: close\r\n\r\n"
    return b"%b%b%b" % (line, header_lines(head.headers), framing)


def chunk(data: Data) -> Sequence[Data]:
    return (b"%x\r\n" % len(data), data, b"\r\n")


def last_chunk(trailers: Headers) -> bytes:
    if not trailers:
        return LAST_CHUNK
    return b"0\r\n" + header_lines(trailers) + b"\r\n"
