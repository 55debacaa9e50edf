"""Tickets: only they stand in the WebSocket's URL, which logs may keep; the connector's secret never does. Pure.

They are this node's: a connector's two requests go to one host name, which a load balancer brings to one node.
"""

from __future__ import annotations

import hmac
import secrets

import msgspec

from doorward.tunnel.admission import TunnelHello

TICKET_SECONDS = 30.0
_MOST = 10_000


class Ticket(msgspec.Struct, frozen=True):
    """`hello` carries the proof of who asked for it, and names the ticket as the connector's instance."""

    hello: TunnelHello
    expires_at: float

    @property
    def word(self) -> str:
        return self.hello.instance


class Tickets:
    def __init__(self) -> None:
        self._of: dict[str, Ticket] = {}

    def issue(self, hello: TunnelHello, *, now: float) -> Ticket:
        """The machine's only ticket: a newer one takes an unused older one's place. `now` in seconds, any origin."""
        self._of.pop(hello.environment_id, None)
        if len(self._of) >= _MOST:
            del self._of[next(iter(self._of))]
        ticket = Ticket(hello, now + TICKET_SECONDS)
        self._of[hello.environment_id] = ticket
        return ticket

    def redeem(self, word: str, environment_id: str, *, now: float) -> TunnelHello | None:
        """Who may connect with this ticket to this machine's name; it is worth nothing afterwards."""
        ticket = self._of.get(environment_id)
        if ticket is None or not hmac.compare_digest(ticket.word.encode(), word.encode()):
            return None
        del self._of[environment_id]
        return ticket.hello if now < ticket.expires_at else None


def new_word() -> str:
    return secrets.token_urlsafe(24)
