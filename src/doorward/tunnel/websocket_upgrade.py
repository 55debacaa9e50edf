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
    offered = (head.get(b"sec-websocket-protocol") or b"").decode("latin-1").split(",")
    key = (head.get(b"sec-websocket-key") or b"").decode("latin-1")
    if (
        head.method != b"GET"
        or head.upgrade.lower() != b"websocket"
        or head.get(b"sec-websocket-version") != b"13"
        or SUBPROTOCOL not in (name.strip() for name in offered)
        or _KEY.fullmatch(key) is None
    ):
        return None
    # Here, since most machines never need it.
    from websockets.utils import accept_key

    return [
        (b"sec-websocket-accept", accept_key(key).encode()),
        (b"sec-websocket-protocol", SUBPROTOCOL.encode()),
    ]


def carried_by_websocket(link: Link) -> WebSocketCarrier:
    """`link` behind binary messages."""
    from doorward.tunnel.websocket_carrier import WebSocketCarrier

    return WebSocketCarrier(link, is_edge=True)
