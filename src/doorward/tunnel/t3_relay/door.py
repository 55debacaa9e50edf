"""Both requests of a connector, on its machine's own host name: POST for a ticket, then the WebSocket with it."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from urllib.parse import parse_qs

import msgspec

from doorward.http1 import Answer, Decision, Peer, RequestHead, Takeover, problem
from doorward.tunnel import proof
from doorward.tunnel.admission import ResolveHost, TunnelHello
from doorward.tunnel.admitting import NotAdmitted
from doorward.tunnel.machine_link import LinkKeeper
from doorward.tunnel.t3_relay.tickets import TICKET_SECONDS, Tickets, new_word
from doorward.tunnel.token import ConnectorToken, InvalidConnectorToken
from doorward.tunnel.websocket_upgrade import websocket_accept

T3_RELAY_PATH = b"/.well-known/t3-relay/connect"


class _TicketBody(msgspec.Struct, rename="camel"):
    ticket: str
    expires_at: str


class T3RelayDoor:
    """The connector's token is an ordinary connector token of ours, which it cannot read and shows as it is.

    So the registration behind it is the one that any connector of this machine has, and ends with it. What a signature
    proves elsewhere is proved here by showing the key: the edge signs with it at once and forgets it.
    """

    def __init__(self, edge: LinkKeeper, resolve_host: ResolveHost) -> None:
        self._edge = edge
        self._resolve_host = resolve_host
        self._tickets = Tickets()

    async def decide(self, head: RequestHead, peer: Peer, name: str) -> Decision:
        """`name` is the host name without port. A stranger learns nothing about which names are whose."""
        accept = head.get(b"accept")
        try:
            if head.method == b"POST":
                return await self._ticket(head, peer, name)
            if head.method == b"GET" and head.is_upgrade:
                return await self._connection(head, peer, name)
        except NotAdmitted as refusal:
            status = 503 if refusal.spread_ms else 401
            return problem(status, refusal.reason, str(refusal), accept=accept)
        answer = problem(
            405, "method_not_allowed", "T3 Code's connector asks for a ticket here.", accept=accept
        )
        answer.headers = [*answer.headers, (b"allow", b"POST")]
        return answer

    async def _ticket(self, head: RequestHead, peer: Peer, name: str) -> Answer:
        edge, now = self._edge, asyncio.get_running_loop().time()
        scheme, _, secret = (head.get(b"authorization") or b"").decode("latin-1").partition(" ")
        try:
            if scheme != "Bearer":
                raise InvalidConnectorToken
            token = ConnectorToken.decode(secret)
        except InvalidConnectorToken as error:
            edge.admissions.failed_proofs.count(peer.ip, now)
            raise NotAdmitted("invalid_token", "This is no connector token.") from error
        word = new_word()
        signed = proof.sign(token, audience=edge.origin, nonce=word, now=int(time.time()), instance=word)
        hello = TunnelHello(token.environment_id, token.generation, signed, peer.ip, word)
        grant = await edge.admissions.checked_grant(hello, now=now)
        if name not in grant.hostnames:
            raise NotAdmitted("wrong_host", "The connector token is for another host name.")
        ticket = self._tickets.issue(hello, now=now)
        expires = datetime.fromtimestamp(time.time() + TICKET_SECONDS, UTC)
        body = _TicketBody(ticket.word, expires.isoformat(timespec="milliseconds").replace("+00:00", "Z"))
        headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
        return Answer(201, headers, msgspec.json.encode(body))

    async def _connection(self, head: RequestHead, peer: Peer, name: str) -> Decision:
        edge, now = self._edge, asyncio.get_running_loop().time()
        words = parse_qs(head.target.partition(b"?")[2].decode("latin-1")).get("ticket", [])
        owner = await self._resolve_host(name)
        hello = (
            self._tickets.redeem(words[0], owner.environment_id, now=now)
            if owner is not None and len(words) == 1
            else None
        )
        websocket = websocket_accept(head)
        if hello is None or websocket is None:
            edge.admissions.failed_proofs.count(peer.ip, now)
            raise NotAdmitted("invalid_ticket", "The ticket is unknown, used or expired. Ask for another.")
        # Again: the link may have ended since the ticket was given.
        admitted = await edge.admissions.admit(hello, now=now)
        # Here, since most nodes never need it.
        from doorward.tunnel.t3_relay.link import T3RelayLink

        return Takeover(
            b"websocket", lambda: T3RelayLink(edge, peer, admitted), [(b"sec-websocket-accept", websocket)]
        )
