"""The tunnel between a machine that accepts no connections and the edge that does.

Owns: the frames (docs/tunnel.md), flow control, scheduling and liveness as a pure core (`endpoint`), and two
asyncio shells: `Edge`, the public listener which dispatches requests by `Host`, and `Connector`, which dials out
from the machine and hands every request to a router. Mounts `/.well-known/connect/tunnel` at the edge.

Neighbours: `relay` decides who may connect (`Authorize`, `ResolveHost`), `environment` routes what arrives.
Imports nothing of ours but `http1`.
"""

from doorward.tunnel.admission import (
    Authorize,
    Claim,
    HostOwner,
    ResolveHost,
    TunnelGrant,
    TunnelHello,
    TunnelRefusal,
    Want,
)
from doorward.tunnel.allowances import UNLIMITED, Allowance, Allowances
from doorward.tunnel.connector import Connector, ConnectorState
from doorward.tunnel.dialing import InvalidEdgeUrl
from doorward.tunnel.edge import Drain, Edge, EdgeStats
from doorward.tunnel.endpoint import Windows
from doorward.tunnel.liveness import Heartbeat
from doorward.tunnel.pinning import InvalidPins, read_pins
from doorward.tunnel.probing import Probing
from doorward.tunnel.token import ConnectorToken, InvalidConnectorToken

__all__ = [
    "UNLIMITED",
    "Allowance",
    "Allowances",
    "Authorize",
    "Claim",
    "Connector",
    "ConnectorState",
    "ConnectorToken",
    "Drain",
    "Edge",
    "EdgeStats",
    "Heartbeat",
    "HostOwner",
    "InvalidConnectorToken",
    "InvalidEdgeUrl",
    "InvalidPins",
    "Probing",
    "ResolveHost",
    "TunnelGrant",
    "TunnelHello",
    "TunnelRefusal",
    "Want",
    "Windows",
    "read_pins",
]
