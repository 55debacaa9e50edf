"""What frames carry: heads and notices as MessagePack arrays. Unknown trailing elements are ignored.

A head from the other end is checked again before it is used: whoever holds a connector token could otherwise write
a line break into a header and split the response on a connection that a front shares among visitors.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple, TypeVar

import msgspec

from doorward.http1 import LENGTH_UNKNOWN, Headers, Peer, RequestHead, ResponseHead
from doorward.http1.heads import Derived
from doorward.http1.parsing import HOP_BY_HOP
from doorward.tunnel.frames import ProtocolError

_TOKEN_CHARACTERS = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_METHOD = re.compile(rb"[A-Z-]{1,24}")
_TARGET = re.compile(rb"\*|/[^\x00-\x20\x7f#]*")
_UPGRADE = re.compile(rb"[!-~ ]{0,200}")

# Longer header blocks are checked each time they come.
_REMEMBERED_BYTES = 4096

T = TypeVar("T")


class OpenMessage(msgspec.Struct, array_like=True, gc=False):
    method: bytes
    target: bytes
    headers: msgspec.Raw
    upgrade: bytes
    length: int
    peer_ip: str
    is_tls: bool


class ReplyMessage(msgspec.Struct, array_like=True, gc=False):
    status: int
    reason: bytes
    headers: msgspec.Raw
    upgrade: bytes
    length: int


class NonceMessage(msgspec.Struct, array_like=True):
    """The edge's first word; `time` is its clock in Unix seconds, for a connector whose own is wrong."""

    nonce: str
    time: int


class ConfigMessage(msgspec.Struct, array_like=True):
    """The tunnel is open, for these names. `is_probed`: HEALTH follows, until it says that something came through."""

    environment_id: str
    generation: int
    hostnames: list[str]
    is_probed: bool = False


class HealthMessage(msgspec.Struct, array_like=True):
    """What became of the edge's own request through the tunnel: `reason` names the hop where it ended, or is empty."""

    reason: str = ""
    message: str = ""


class WantedMessage(msgspec.Struct, array_like=True):
    """A visitor of `hostname` reached a node of the edge that has no tunnel of this machine."""

    hostname: str


class GoAwayMessage(msgspec.Struct, array_like=True):
    """The tunnel is about to end. Come back after a random part of `spread_ms`; a final reason means do not hurry.

    With `drain_ms` the connection stays until its streams have ended, at most so long: connect elsewhere meanwhile, at
    one of `alternates` (edge URLs) when there are any.
    """

    reason: str
    message: str = ""
    spread_ms: int = 0
    is_final: bool = False
    drain_ms: int = 0
    alternates: list[str] = []


_encoder = msgspec.msgpack.Encoder()
_open_decoder = msgspec.msgpack.Decoder(OpenMessage)
_reply_decoder = msgspec.msgpack.Decoder(ReplyMessage)
_headers_decoder = msgspec.msgpack.Decoder(list[tuple[bytes, bytes]])
_packed: Derived[msgspec.Raw] = Derived()
_packed_replies: Derived[bytes] = Derived()
encode = _encoder.encode


def decode(kind: type[T], payload: bytes) -> T:
    """Raises ProtocolError."""
    try:
        return msgspec.msgpack.decode(payload, type=kind)
    except msgspec.MsgspecError as error:
        raise ProtocolError(f"a {kind.__name__} is malformed") from error


class Block(NamedTuple):
    """A header list that was checked, and what heads ask of it."""

    headers: Headers
    length: bytes | None
    """The value of `content-length`."""
    hosts: int


def encode_open(head: RequestHead, peer: Peer) -> bytes:
    known = _packed.get(id(head.headers))
    headers = pack_headers(head.headers) if known is None else known[1]
    return _encoder.encode(
        OpenMessage(head.method, head.target, headers, head.upgrade, head.length, peer.ip, peer.is_tls)
    )


def decode_open(payload: bytes) -> tuple[RequestHead, Peer]:
    """Raises ProtocolError."""
    try:
        message = _open_decoder.decode(payload)
    except msgspec.MsgspecError as error:
        raise ProtocolError("an OPEN is malformed") from error
    packed = bytes(message.headers)
    block = _remembered_block(packed) if len(packed) <= _REMEMBERED_BYTES else _block(packed)
    if message.length or message.upgrade or block.length is not None:
        _check(block, message.upgrade, message.length, is_bodiless=False)
    if _METHOD.fullmatch(message.method) is None or _TARGET.fullmatch(message.target) is None:
        raise ProtocolError("an OPEN has no valid method and target")
    if block.hosts != 1:
        raise ProtocolError("an OPEN has not exactly one host")
    head = RequestHead(message.method, message.target, block.headers, message.upgrade, message.length)
    return head, Peer(message.peer_ip, message.is_tls)


def encode_reply(head: ResponseHead) -> bytes:
    known = _packed_replies.get(id(head))
    if known is not None:
        return known[1]
    message = ReplyMessage(head.status, head.reason, pack_headers(head.headers), head.upgrade, head.length)
    return _packed_replies.keep(head, _encoder.encode(message))


def decode_reply(payload: bytes) -> ResponseHead:
    """Equal bytes give the same head again. Raises ProtocolError."""
    return _remembered_reply(payload) if len(payload) <= _REMEMBERED_BYTES else _reply(payload)


def _reply(payload: bytes) -> ResponseHead:
    try:
        message = _reply_decoder.decode(payload)
    except msgspec.MsgspecError as error:
        raise ProtocolError("a REPLY is malformed") from error
    block = unpack_headers(bytes(message.headers))
    _check(block, message.upgrade, message.length, is_bodiless=message.length == 0)
    if (
        not 100 <= message.status <= 599
        or len(message.reason) > 200
        or _CONTROL.search(message.reason) is not None
    ):
        raise ProtocolError("a REPLY has no valid status")
    if bool(message.upgrade) != (message.status == 101):
        raise ProtocolError("a REPLY upgrades without 101")
    return ResponseHead(message.status, message.reason, block.headers, message.upgrade, message.length)


def encode_trailers(trailers: Headers) -> bytes:
    return _encoder.encode(trailers) if trailers else b""


def decode_trailers(payload: bytes) -> Headers:
    """Raises ProtocolError."""
    if not payload:
        return []
    block = unpack_headers(payload)
    _check(block, b"", LENGTH_UNKNOWN, is_bodiless=False)
    return block.headers


def pack_headers(headers: Headers) -> msgspec.Raw:
    known = _packed.get(id(headers))
    return _packed.keep(headers, msgspec.Raw(_encoder.encode(headers))) if known is None else known[1]


def unpack_headers(packed: bytes) -> Block:
    """The checked headers; equal bytes give the same list again. Raises ProtocolError."""
    return _remembered_block(packed) if len(packed) <= _REMEMBERED_BYTES else _block(packed)


def _block(packed: bytes) -> Block:
    try:
        headers = _headers_decoder.decode(packed)
    except msgspec.MsgspecError as error:
        raise ProtocolError("headers are malformed") from error
    checked_headers(headers)
    lengths = [value for name, value in headers if name == b"content-length"]
    if len(lengths) > 1:
        raise ProtocolError("content-length contradicts the length")
    hosts = sum(name == b"host" for name, _ in headers)
    return Block(headers, lengths[0] if lengths else None, hosts)


def checked_headers(headers: Headers) -> Headers:
    """The same: names are lower-case tokens and cross hops, values have no control characters. Raises ProtocolError."""
    names = [name for name, _ in headers]
    if not _accepted_names.issuperset(names):
        for name in names:
            _accept_name(name)
    if _CONTROL.search(b"".join([value for _, value in headers])) is not None:
        raise ProtocolError("a header value has control characters")
    return headers


_remembered_block = lru_cache(maxsize=512)(_block)
_remembered_reply = lru_cache(maxsize=512)(_reply)


def _check(block: Block, upgrade: bytes, length: int, *, is_bodiless: bool) -> None:
    """Nothing frames the message but `length`. A response without a body may still tell a length (HEAD, 304)."""
    if block.length is not None:
        if not is_bodiless and block.length != b"%d" % length:
            raise ProtocolError("content-length contradicts the length")
    elif length > 0:
        raise ProtocolError("a length without content-length")
    if length < LENGTH_UNKNOWN or _UPGRADE.fullmatch(upgrade) is None:
        raise ProtocolError("a head has no valid length or upgrade")


_accepted_names: set[bytes] = set()


def _accept_name(name: bytes) -> None:
    """Heads repeat a few dozen names: each is judged once, as long as there are not too many to remember."""
    if not name or name.translate(None, _TOKEN_CHARACTERS):
        raise ProtocolError("a header name is not a token")
    if name in HOP_BY_HOP:
        raise ProtocolError("a hop-by-hop header crossed the tunnel")
    if len(_accepted_names) < 1000 and len(name) < 64:
        _accepted_names.add(name)
