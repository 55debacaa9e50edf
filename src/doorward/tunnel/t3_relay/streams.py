"""What a connection and the visitors' streams in it ask of one another."""

from __future__ import annotations

from typing import Protocol

from doorward.tunnel.t3_relay import control
from doorward.tunnel.t3_relay.frames import Frame


class T3Stream(Protocol):
    """A visitor's request or WebSocket, as the connection feeds it."""

    visitor: str

    @property
    def is_websocket(self) -> bool: ...
    def told(self, message: control.Message) -> None: ...
    def received(self, frame: Frame) -> None: ...
    def lost(self) -> None: ...
    def choke(self) -> None: ...
    def unchoke(self) -> None: ...


class StreamCarrier(Protocol):
    """The connection, as its streams see it."""

    def attach(self, stream: T3Stream, start: control.Control) -> int:
        """The id of a new stream, whose first message is sent. Raises control.TooLong."""

    def detach(self, stream_id: int) -> None: ...
    def say(self, stream_id: int, message: control.Control) -> None: ...
    def write(self, frame: bytes) -> None: ...
