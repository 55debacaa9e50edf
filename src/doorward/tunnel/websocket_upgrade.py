"""The edge's answer to a connector that had to come as a WebSocket. RFC 6455 §4.2."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from doorward.http1 import Headers, RequestHead
from doorward.tunnel.link import Link
from doorward.tunnel.upgrade import SUBPROTOCOL

if TYPE_CHECKING:
    from doorward.tunnel.websocket_carrier import WebSocketCarrier

_KEY = re.compile(r"[A-Za-z0-9+/]{22}==")


def accept_websocket(head: RequestHead) -> Headers | None:
    """The 101's headers, or None when this is no WebSocket of ours."""
    accept = websocket_accept(head)
    if accept is None or SUBPROTOCOL not in offered_protocols(head):
        return None
    return [(b"sec-websocket-accept", accept), (b"sec-websocket-protocol", SUBPROTOCOL.encode())]


def websocket_accept(head: RequestHead) -> bytes | None:
    """`Sec-WebSocket-Accept` for an opening handshake; None when it is not a valid one."""
    key = (head.get(b"sec-websocket-key") or b"").decode("latin-1")
    if (
        head.method != b"GET"
        or head.upgrade.lower() != b"websocket"
        or head.get(b"sec-websocket-version") != b"13"
        or _KEY.fullmatch(key) is None
    ):
        return None
    # Here, since most machines never need it.
    from websockets.utils import accept_key

    return accept_key(key).encode()


def offered_protocols(head: RequestHead) -> list[str]:
    """The subprotocols that a client would speak, in its order."""
    offered = (head.get(b"sec-websocket-protocol") or b"").decode("latin-1").split(",")
    return [name.strip() for name in offered if name.strip()]


def carried_by_websocket(link: Link) -> WebSocketCarrier:
    """`link` behind binary messages."""
    from doorward.tunnel.websocket_carrier import WebSocketCarrier

    return WebSocketCarrier(link, is_edge=True)
