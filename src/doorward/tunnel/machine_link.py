"""What the edge and a machine's connection ask of one another, whatever protocol the connection speaks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from doorward.http1 import Failure, Opener
from doorward.http1.receive_buffers import ReceiveBuffers
from doorward.tunnel.admission import TunnelGrant
from doorward.tunnel.admitting import Admissions
from doorward.tunnel.allowances import AccountUse
from doorward.tunnel.endpoint import Windows
from doorward.tunnel.liveness import Heartbeat
from doorward.tunnel.probing import Probe
from doorward.tunnel.window_budget import WindowBudget


class VisitorWebSocket(Protocol):
    """A visitor's WebSocket inside a tunnel."""

    def close_for_restart(self) -> None:
        """Tell the visitor to come back at once (1012)."""


class MachineLink(Opener, Protocol):
    """`grant` is None until the connector has proved who it is."""

    grant: TunnelGrant | None
    use: AccountUse | None
    epoch: int
    hosts: set[str]
    has_moved: bool
    """The machine has a connection elsewhere: this one may end."""
    requests: int
    bytes_received: int
    bytes_sent: int

    @property
    def is_open(self) -> bool: ...
    @property
    def open_streams(self) -> int: ...

    def websockets(self) -> Sequence[VisitorWebSocket]: ...
    def refusal(self, visitor: str) -> tuple[Failure, int] | None:
        """Why one more request of this address may not come now, and seconds until it may."""

    def want_elsewhere(self, hostname: str) -> None:
        """Ask for one more connection, to the node that this name's visitors reach."""

    def turn_away(
        self, reason: str, message: str, *, spread: float, drain: float, alternates: list[str]
    ) -> None:
        """Ask the machine to connect elsewhere; this connection ends after its streams. Times in seconds."""

    def retire(self) -> None:
        """A newer connection of the same connector took over: keep the open streams, if there is still somebody."""

    def go_away(self, reason: str, message: str = "", *, spread_ms: int = 0, is_final: bool = False) -> None:
        """Say why, then close."""

    def abort(self, reason: str) -> None: ...


class LinkKeeper(Protocol):
    """The edge, as its machines' connections see it."""

    origin: str
    """A connector's proof must name it."""
    admissions: Admissions
    windows: Windows
    heartbeat: Heartbeat
    buffers: ReceiveBuffers
    budget: WindowBudget
    probe: Probe | None
    """Machines are told whether something comes through their tunnels, where there is one."""
    links: set[MachineLink]
    """Every connection, from its start on."""

    def link_ready(self, link: MachineLink, grant: TunnelGrant) -> None:
        """The connector was admitted: requests may come."""

    def stop_routing(self, link: MachineLink) -> None:
        """New requests do not go through this link any more; open ones end as they will."""

    def link_closed(self, link: MachineLink, reason: str) -> None: ...
