"""The edge's end of one tunnel: admits the connector, then opens a stream for each request."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import time
from collections.abc import Iterable
from typing import cast

from doorward.http1 import Data, Failure, Headers, Inbound, Outbound, Peer, RequestHead, ResponseHead
from doorward.http1.heads import NO_BODY_STATUSES
from doorward.tunnel import endpoint as core
from doorward.tunnel import frames, messages
from doorward.tunnel.admission import TunnelGrant, TunnelHello
from doorward.tunnel.admitting import NotAdmitted
from doorward.tunnel.allowances import AccountUse
from doorward.tunnel.endpoint import Endpoint
from doorward.tunnel.link import Link, LinkStream
from doorward.tunnel.machine_link import LinkKeeper
from doorward.tunnel.message_frames import SERVICE_RESTART, MessageFrames
from doorward.tunnel.probing import Probe, wait_before
from doorward.tunnel.proof import InvalidProof, read_claims
from doorward.tunnel.refusals import (
    BROKEN_OFF,
    REQUEST_REFUSED,
    TUNNEL_BUSY,
    TUNNEL_LOST,
    Refused,
    refusal_of_one_more,
    streams_of,
    tunnel_lost,
)

log = logging.getLogger(__name__)

_AUTH_SECONDS = 10.0


class EdgeStream(LinkStream, eq=False, kw_only=True):
    """The answering end of a visitor's request."""

    visitor: str
    """The address."""
    inbound: Inbound | None
    head: RequestHead
    _is_heard: bool = False
    _is_answered: bool = False
    _is_raw: bool = False
    _frames: MessageFrames | None = None
    _is_restarting: bool = False

    # The asking end's side.

    def send_data(self, data: Data) -> None:
        self._send(data)

    def send_end(self, trailers: Headers) -> None:
        if self._is_raw:
            self.inbound = None
        self._end(trailers)

    def abort(self) -> None:
        self.inbound = None
        self._reset(core.CANCELLED)

    def pause_receiving(self) -> None:
        self._hold()

    def resume_receiving(self) -> None:
        self._let_go()

    # The tunnel's side.

    def choke(self) -> None:
        if self.inbound is not None:
            self.inbound.pause_sending()

    def unchoke(self) -> None:
        if self.inbound is not None:
            self.inbound.resume_sending()

    def replied(self, head: ResponseHead, is_end: bool) -> None:
        inbound = self.inbound
        if inbound is None:
            return
        if self._is_answered or (is_end and head.is_interim) or self._contradicts(head):
            self._broken(inbound)
            return
        if head.is_interim:
            self._is_heard = True
            inbound.on_interim(head)
            return
        self._is_answered = True
        self._is_raw = head.upgrade != b""
        if head.upgrade.lower() == b"websocket":
            self._frames = MessageFrames()
        inbound.on_response(head)
        if is_end:
            self._answered([])

    def answered(self, head: ResponseHead, data: Data) -> None:
        inbound = self.inbound
        if inbound is None:
            return
        if (
            self._is_answered
            or head.status < 200
            or head.status in NO_BODY_STATUSES
            or self.head.method == b"HEAD"
            or not 0 < head.length == len(data)
        ):
            # An interim head, an upgrade, an unknown length, or something wrong: one after the other tells which.
            self.replied(head, False)
            self.received(data, True)
            return
        self.inbound = None
        if not self.is_local_ended:
            # What is left of the request is not wanted any more.
            self._reset(core.DONE)
        inbound.on_whole(head, data)

    def received(self, data: Data, is_end: bool) -> None:
        inbound = self.inbound
        if inbound is not None:
            if not self._is_answered:
                self._broken(inbound)
                return
            if len(data):
                if self._frames is None:
                    inbound.on_data(data)
                else:
                    self._message(inbound, self._frames, data)
        if is_end:
            self._answered([])
        else:
            self._took(len(data))

    @property
    def is_websocket(self) -> bool:
        return self._frames is not None and self.inbound is not None

    def close_for_restart(self) -> None:
        """Tell a visitor's WebSocket to come back (1012), once the frame that is under way has ended."""
        self._is_restarting = True
        if self.inbound is not None and self._frames is not None and self._frames.is_between:
            self._say_restart(self.inbound)

    def _message(self, inbound: Inbound, frames: MessageFrames, data: Data) -> None:
        if not self._is_restarting:
            frames.feed(data)
            inbound.on_data(data)
            return
        end = frames.end_of_frame(data)
        inbound.on_data(data if end is None else data[:end])
        if end is not None:
            self._say_restart(inbound)

    def _say_restart(self, inbound: Inbound) -> None:
        self.inbound = None
        inbound.on_data(SERVICE_RESTART)
        inbound.on_end([])
        self._end([])

    def ended(self, trailers: Headers) -> None:
        inbound = self.inbound
        if inbound is not None and not self._is_answered:
            self._broken(inbound)
        else:
            self._answered(trailers)

    def was_reset(self, code: int) -> None:
        inbound, self.inbound = self.inbound, None
        if inbound is not None:
            inbound.on_failure(
                REQUEST_REFUSED if code == core.REFUSED and not self._is_answered else BROKEN_OFF
            )

    def lost(self) -> None:
        inbound, self.inbound = self.inbound, None
        if inbound is not None:
            inbound.on_failure(tunnel_lost(self.head, is_heard=self._is_heard or self._is_answered))

    def _contradicts(self, head: ResponseHead) -> bool:
        """A head whose length the visitor would read differently; a front that shares its connection with other
        visitors would then give them this machine's bytes."""
        if head.upgrade:
            return not self.head.upgrade
        if head.is_interim or self.head.method == b"HEAD" or head.status in NO_BODY_STATUSES:
            return head.length != 0
        return head.length == 0 and (head.get(b"content-length") or b"0").strip(b"0") != b""

    def _answered(self, trailers: Headers) -> None:
        inbound, self.inbound = self.inbound, None
        # What is left of the request is not wanted any more.
        self._reset(core.DONE)
        if inbound is not None:
            inbound.on_end(trailers)

    def _broken(self, inbound: Inbound) -> None:
        self.inbound = None
        self._reset(core.PROTOCOL)
        inbound.on_failure(BROKEN_OFF)


class EdgeLink(Link):
    """From the 101 on. `grant` is None until the connector has proved who it is."""

    def __init__(self, edge: LinkKeeper, peer: Peer) -> None:
        now = asyncio.get_running_loop().time()
        endpoint = Endpoint(
            is_edge=True, now=now, windows=edge.windows, heartbeat=edge.heartbeat, budget=edge.budget
        )
        super().__init__(endpoint, edge.heartbeat, edge.buffers)
        self.edge = edge
        self.peer = peer
        self.grant: TunnelGrant | None = None
        self.use: AccountUse | None = None
        self.requests = 0
        self.epoch = 0
        self.hosts: set[str] = set()
        self.has_moved = False
        """The machine has a connection elsewhere: this one may end."""
        self._is_retired = False
        self._nonce = secrets.token_urlsafe(24)
        self._admission: asyncio.Task[None] | None = None
        self._auth_handle: asyncio.TimerHandle | None = None
        self._handlers[core.AuthReceived] = self._auth_received
        self._handlers[core.GoAwayReceived] = self._leaving

    def open(self, head: RequestHead, peer: Peer, inbound: Inbound) -> Outbound:
        if self._transport is None or self._is_over:
            return Refused(inbound, TUNNEL_LOST)
        endpoint = self.endpoint
        if not endpoint.has_room:
            return Refused(inbound, TUNNEL_BUSY)
        self.requests += 1
        stream = EdgeStream(
            link=self,
            visitor=peer.ip,
            inbound=inbound,
            head=head,
        )
        endpoint.open(stream, head, peer)
        self.flush_soon()
        return stream

    def refusal(self, visitor: str) -> tuple[Failure, int] | None:
        """Why one more request of this address may not come now, and seconds until it may."""
        if self.use is None:
            return None
        return refusal_of_one_more(
            self.use,
            streams=len(self.endpoint.streams),
            visitor=visitor,
            of_visitor=self._streams_of,
            now=self.loop.time(),
        )

    @property
    def _exchanges(self) -> Iterable[EdgeStream]:
        return cast("Iterable[EdgeStream]", self.endpoint.streams.values())  # `open` begins no others

    def _streams_of(self, visitor: str) -> int:
        return streams_of(visitor, (stream.visitor for stream in self._exchanges))

    @property
    def open_streams(self) -> int:
        return len(self.endpoint.streams)

    def websockets(self) -> list[EdgeStream]:
        return [stream for stream in self._exchanges if stream.is_websocket]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.edge.links.add(self)
        nonce = messages.NonceMessage(self._nonce, int(time.time()))
        self.endpoint.notify(frames.NONCE, messages.encode(nonce))
        self.flush_soon()
        self._auth_handle = self.loop.call_later(
            _AUTH_SECONDS, self.go_away, "auth_timeout", "No proof arrived in time."
        )

    def closed(self, reason: str) -> None:
        if self._auth_handle is not None:
            self._auth_handle.cancel()
        if self._admission is not None and self._admission is not asyncio.current_task():
            self._admission.cancel()
        self.edge.link_closed(self, reason)

    def want_elsewhere(self, hostname: str) -> None:
        """Ask for one more connection, to the node that this name's visitors reach."""
        self.endpoint.notify(frames.WANTED, messages.encode(messages.WantedMessage(hostname)))
        self.flush_soon()

    def turn_away(
        self, reason: str, message: str, *, spread: float, drain: float, alternates: list[str]
    ) -> None:
        """Ask the machine to connect elsewhere; this connection ends after its streams. Times in seconds."""
        notice = messages.GoAwayMessage(
            reason, message, int(spread * 1000), False, max(1, int(drain * 1000)), alternates
        )
        self.endpoint.notify(frames.GOAWAY, messages.encode(notice))
        self.flush_soon()

    def retire(self) -> None:
        """A newer connection of the same connector took over: keep the open streams, if there is still somebody."""
        self._is_retired = True
        self.turn_away("moved", "A newer connection took over.", spread=0.0, drain=3600.0, alternates=[])
        self.endpoint.probe(self.loop.time())

    def _poll(self) -> None:
        if self._is_retired and not self.endpoint.streams:
            self.go_away("moved")
        else:
            super()._poll()

    def _leaving(self, event: core.GoAwayReceived) -> None:
        if event.message.drain_ms > 0:
            self.has_moved = True
        else:
            self.edge.stop_routing(self)

    def _auth_received(self, event: core.AuthReceived) -> None:
        if self._admission is None:
            self._admission = self.loop.create_task(self._admit(event.token))

    async def _admit(self, token: str) -> None:
        try:
            environment_id, claims = read_claims(
                token, audience=self.edge.origin, nonce=self._nonce, now=int(time.time())
            )
            hello = TunnelHello(
                environment_id, claims.generation, token, self.peer.ip, claims.instance or self._nonce
            )
            admitted = await self.edge.admissions.admit(hello, now=self.loop.time())
        except InvalidProof as refusal:
            self.edge.admissions.failed_proofs.count(self.peer.ip, self.loop.time())
            self.go_away(refusal.code, str(refusal), is_final=refusal.code == "wrong_audience")
            return
        except NotAdmitted as refusal:
            self.go_away(refusal.reason, str(refusal), spread_ms=refusal.spread_ms, is_final=refusal.is_final)
            return
        except Exception:
            log.exception("a tunnel could not be authorized")
            self.go_away("edge_error", "The edge could not check the tunnel's registration.", spread_ms=5000)
            return
        if not self.is_open:
            return
        if self._auth_handle is not None:
            self._auth_handle.cancel()
        self.grant, self.use, self.epoch = admitted
        self._meter = self.use.meter(self.loop.time())
        self.endpoint.unlock(self.loop.time())
        names = self.grant.hostnames
        probe = self.edge.probe if names else None
        config = messages.ConfigMessage(
            environment_id, self.grant.generation, list(names), is_probed=probe is not None
        )
        self.endpoint.notify(frames.CONFIG, messages.encode(config))
        self.flush_soon()
        self.edge.link_ready(self, self.grant)
        if probe is not None:
            await self._tell_health(probe, names[0])

    async def _tell_health(self, probe: Probe, hostname: str) -> None:
        """Tell the machine what came of a request through its tunnel, and send another until one comes through.

        When the first is sent needs no spread of its own: machines come back spread.
        """
        attempt = 0
        while self.is_open and not self._is_retired:
            health = await probe.health(hostname, origin=self.edge.origin)
            self.endpoint.notify(frames.HEALTH, messages.encode(health))
            self.flush_soon()
            if not health.reason:
                return
            await asyncio.sleep(wait_before(attempt, random.uniform))
            attempt += 1
