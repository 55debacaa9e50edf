"""Control messages: JSON in a control frame, told apart by `type`."""

from __future__ import annotations

from typing import Annotated

import msgspec

from doorward.tunnel.frames import ProtocolError
from doorward.tunnel.t3_relay.frames import CONTROL, MAX_PAYLOAD, VERSION, Frame, pack

_Headers = list[tuple[str, str]]
INITIAL_WINDOW = 256 * 1024
"""Bytes of a response that a connector may send before it hears that some were taken."""


class Control(msgspec.Struct, frozen=True, rename="camel", tag_field="type"):
    """Base of them all."""


class ConnectorReady(Control, frozen=True, tag="connector_ready"):
    """On stream 0, from the edge: requests may come now."""

    protocol_version: int = VERSION


class RequestStart(Control, frozen=True, tag="http_request_start"):
    method: str
    url: str
    headers: _Headers


class RequestEnd(Control, frozen=True, tag="http_request_end"):
    pass


class RequestAbort(Control, frozen=True, tag="http_request_abort"):
    reason: str


class ResponseStart(Control, frozen=True, tag="http_response_start"):
    status: Annotated[int, msgspec.Meta(ge=100, le=599)]
    headers: _Headers


class ResponseEnd(Control, frozen=True, tag="http_response_end"):
    pass


class ResponseAbort(Control, frozen=True, tag="http_response_abort"):
    reason: str


class WebSocketOpen(Control, frozen=True, tag="websocket_open"):
    url: str
    headers: _Headers
    protocols: list[str]


class WebSocketAccept(Control, frozen=True, tag="websocket_accept"):
    protocol: str | msgspec.UnsetType = msgspec.UNSET


class WebSocketReject(Control, frozen=True, tag="websocket_reject"):
    status: Annotated[int, msgspec.Meta(ge=400, le=599)]
    reason: str


class WebSocketClose(Control, frozen=True, tag="websocket_close"):
    code: int
    reason: str


class WindowUpdate(Control, frozen=True, tag="window_update"):
    credit_bytes: Annotated[int, msgspec.Meta(gt=0)]


Message = (
    ConnectorReady
    | RequestStart
    | RequestEnd
    | RequestAbort
    | ResponseStart
    | ResponseEnd
    | ResponseAbort
    | WebSocketOpen
    | WebSocketAccept
    | WebSocketReject
    | WebSocketClose
    | WindowUpdate
)
_decoder: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)


class TooLong(Exception):
    """The message does not fit into one frame; only heads can be so long."""


def encode(stream: int, message: Control) -> bytes:
    """Raises TooLong."""
    payload = msgspec.json.encode(message)
    if len(payload) > MAX_PAYLOAD:
        raise TooLong
    return pack(CONTROL, stream, payload, is_end=True)


def decode(frame: Frame) -> Message:
    """Raises ProtocolError."""
    try:
        return _decoder.decode(frame.payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ProtocolError("a control message is malformed") from error
