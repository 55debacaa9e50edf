"""Heads in the connector's words and back. Pure.

A connector hands a request to `fetch`, which frames it anew, undoes compression and follows its own mind about a few
fields: what it would drop or contradict is left out here. What comes back is checked like any machine's head.
"""

from __future__ import annotations

from doorward.http1 import LENGTH_UNKNOWN, Headers, Peer, RequestHead, ResponseHead
from doorward.http1.answers import reason_phrase
from doorward.http1.heads import NO_BODY_STATUSES
from doorward.http1.parsing import HOP_BY_HOP
from doorward.tunnel.frames import ProtocolError
from doorward.tunnel.messages import checked_headers

_NOT_FOR_FETCH = HOP_BY_HOP | {b"accept-encoding", b"content-length", b"expect", b"host"}
_NOT_FOR_A_WEBSOCKET = _NOT_FOR_FETCH | {
    b"sec-websocket-accept",
    b"sec-websocket-extensions",
    b"sec-websocket-key",
    b"sec-websocket-protocol",
    b"sec-websocket-version",
}


def url_of(head: RequestHead, peer: Peer) -> str:
    """Absolute, as the visitor wrote it; a connector reads path and query alone."""
    return f"{peer.scheme}://{head.host}{head.target.decode('latin-1')}"


def request_headers(head: RequestHead) -> list[tuple[str, str]]:
    """For `fetch`. Compressed answers would arrive unpacked under the name of their compression."""
    kept = _text(head.headers, _NOT_FOR_FETCH)
    return [*kept, ("accept-encoding", "identity")]


def websocket_headers(head: RequestHead) -> list[tuple[str, str]]:
    return _text(head.headers, _NOT_FOR_A_WEBSOCKET)


def response_head(status: int, headers: list[tuple[str, str]], *, is_head: bool) -> ResponseHead:
    """Raises ProtocolError. `length` is what the machine says, where that can be true."""
    if status < 200:
        raise ProtocolError("a response has no final status")
    try:
        named = [(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in headers]
    except UnicodeEncodeError as error:
        raise ProtocolError("a header cannot be written") from error
    kept = checked_headers([item for item in named if item[0] not in HOP_BY_HOP])
    lengths = {value for name, value in kept if name == b"content-length"}
    is_told = len(lengths) == 1 and all(value.isdigit() and len(value) < 16 for value in lengths)
    if is_head or status in NO_BODY_STATUSES:
        length = 0
    elif is_told and not any(name == b"content-encoding" for name, _ in kept):
        length = int(lengths.pop())
    else:
        length, is_told = LENGTH_UNKNOWN, False
    if not is_told:
        kept = [item for item in kept if item[0] != b"content-length"]
    return ResponseHead(status, reason_phrase(status), kept, b"", length)


def _text(headers: Headers, left_out: frozenset[bytes]) -> list[tuple[str, str]]:
    return [
        (name.decode("latin-1"), value.decode("latin-1")) for name, value in headers if name not in left_out
    ]
