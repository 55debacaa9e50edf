"""The tunnel's bytes in WebSocket binary messages, for middleboxes that pass no other upgrade. RFC 6455.

The messages' boundaries mean nothing: what they hold is the same byte stream, frames cut anywhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, cast

from websockets.frames import Frame, Opcode
from websockets.protocol import CLIENT, SERVER, Protocol, State

from doorward.http1 import Data
from doorward.tunnel.link import Link

_MESSAGE_BYTES = 1024 * 1024
_GOING_AWAY = 1001
_UNSUPPORTED = 1003


class WebSocketCarrier(asyncio.Protocol, asyncio.Transport):
    """A protocol to the connection, a transport to the link. It starts after the 101."""

    def __init__(self, link: Link, *, is_edge: bool) -> None:
        super().__init__()
        self._link = link
        self._messages = Protocol(SERVER if is_edge else CLIENT, state=State.OPEN, max_size=_MESSAGE_BYTES)
        self._is_paused = False

    # The connection's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._link.connection_made(self)

    def data_received(self, data: bytes) -> None:
        messages = self._messages
        messages.receive_data(data)
        for event in messages.events_received():
            frame = cast("Frame", event)
            if frame.opcode in (Opcode.BINARY, Opcode.CONT):
                if self._link.is_open:
                    self._link.data_received(bytes(frame.data))
            elif frame.opcode is Opcode.TEXT:
                messages.fail(_UNSUPPORTED, "binary messages only")
        if messages.state is State.OPEN and self._is_paused:
            # Only pongs can be waiting here: answers to a flood of pings must not pile up in memory.
            messages.data_to_send()
            return
        self._flush()
        if messages.state is not State.OPEN:
            self._transport.close()

    def eof_received(self) -> None:
        """Close: the transport never stays half open."""

    def pause_writing(self) -> None:
        self._is_paused = True
        self._link.pause_writing()

    def resume_writing(self) -> None:
        self._is_paused = False
        self._link.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._link.connection_lost(exc)

    # The link's side.

    def write(self, data: Data) -> None:
        self.writelines((data,))

    def writelines(self, list_of_data: Iterable[Data]) -> None:
        if self._messages.state is not State.OPEN:
            return
        for data in list_of_data:
            self._messages.send_binary(data)
        self._flush()

    def close(self) -> None:
        if self._messages.state is State.OPEN:
            self._messages.send_close(_GOING_AWAY)
            self._flush()
        self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._transport.set_write_buffer_limits(high, low)

    # Inside.

    def _flush(self) -> None:
        # An empty piece asks for a half-close, which we never do: the connection is closed instead.
        pieces = [piece for piece in self._messages.data_to_send() if piece]
        if pieces and not self._transport.is_closing():
            self._transport.writelines(pieces)
