"""T3 Code's own experimental connector, `t3_relay`: a machine's tunnel without cloudflared and without our program.

    frames, control   what crosses its WebSocket: binary frames, some of them JSON
    tickets           a connector's secret against a ticket of thirty seconds, good for one connection
    door              both requests of a connector: for its ticket, then for its WebSocket
    link              one such connection, as the edge sees any machine
    streams           what such a connection and the streams in it ask of one another
    exchange          a visitor's request in it
    messages          a visitor's WebSocket in it, message by message
    heads             requests and responses in its words

Mounts `/.well-known/t3-relay/connect` on every machine's host name, where the operator says so. The protocol is that of
T3 Code's pull requests 7541 and 10716 (version 1): no flow control for uploads and WebSockets, no way to move.

Neighbours: `edge`, which routes to a link; `admitting`, which decides who may open one.
"""

from doorward.tunnel.t3_relay.door import T3_RELAY_PATH, T3RelayDoor

__all__ = ["T3_RELAY_PATH", "T3RelayDoor"]
