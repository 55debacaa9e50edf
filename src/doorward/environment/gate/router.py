"""The gate as a router: every request of the tunnel, decided."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

from doorward.environment.gate import answers
from doorward.environment.gate.assertion import AssertionMint
from doorward.environment.gate.errors import Refusal
from doorward.environment.gate.headers import (
    NONCE_COOKIE,
    HostRewrite,
    inbound_headers,
    only_cookie_value,
    outbound_headers,
    visitor_of,
)
from doorward.environment.gate.own_paths import answer_own_path, is_own_path
from doorward.environment.gate.rules import (
    approach_of,
    is_authority_of,
    is_opaque_secret,
    only_header,
    sign_in_location,
)
from doorward.environment.gate.streams import Streams
from doorward.environment.gate.upstream import ServiceUpstream
from doorward.environment.gate.visits import Visit, visit_of
from doorward.http1 import Answer, Forward, Limits, Peer, RequestHead, ResponseHead, Upstream
from doorward.http1.engine import Engine

if TYPE_CHECKING:
    from doorward.environment.environment import Environment
    from doorward.environment.services import PublishedService


class Gate:
    """`Gate(environment, api, close_tag).route` is the Router of the tunnel's connector.

    `api` is where the environment's tunnel application listens. Exchanges with a service carry the session id as their
    tag, and `close_tag` (of whatever carries them) ends them with the session: run `watch` as a task.
    """

    def __init__(self, environment: Environment, api: Upstream, close_tag: Callable[[str], object]) -> None:
        self._environment = environment
        self._api = api
        self._streams = Streams(environment, close_tag)
        self._engine: Engine | None = None
        self._assertions = AssertionMint(environment_id=environment.environment_id)

    async def watch(self, is_watching: asyncio.Event | None = None) -> None:
        """Until cancelled: end the streams of sessions that end."""
        await self._streams.watch(is_watching)

    def close(self) -> None:
        """Drop the idle connections to local services."""
        if self._engine is not None:
            self._engine.close()

    async def route(self, head: RequestHead, peer: Peer) -> Forward | Answer:
        host = (only_header(head.headers, b"host") or b"").decode("latin-1").lower()
        if self._environment.link.is_api_host(host):
            return Forward(self._api, head)
        service = self._environment.services.by_host(host)
        if service is None or not is_authority_of(host, service.origin):
            return answers.refusal(Refusal.UNKNOWN_HOST)
        if is_own_path(head.path):
            return await answer_own_path(
                self._environment,
                self._streams,
                head,
                service_host=service.public_host,
                own_origin=service.origin,
            )
        visit = await visit_of(
            self._environment, head, service_host=service.public_host, own_origin=service.origin
        )
        if isinstance(visit, Visit):
            if self._streams.has_ended(visit.session_id):
                # It ended while we were looking: whoever ended it has already closed what there was to close.
                visit = Refusal.SIGN_IN_REQUIRED
            else:
                return self._forward(head, peer, service, visit)
        return self._turn_away(head, service, visit)

    def _turn_away(self, head: RequestHead, service: PublishedService, reason: Refusal) -> Answer:
        api_origin = self._environment.link.api_origin()
        if api_origin is None:
            return answers.refusal(Refusal.NOT_READY)
        approach = approach_of(head.method, head.headers, is_upgrade=head.is_upgrade)
        if approach != "navigation" or reason is not Refusal.SIGN_IN_REQUIRED:
            return answers.refusal(reason, gate_url=f"{api_origin}/gate")
        # One nonce per browser, not per tab: two tabs that are sent to sign in both come back.
        kept = only_cookie_value(head.headers, NONCE_COOKIE)
        nonce = kept if kept is not None and is_opaque_secret(kept) else secrets.token_urlsafe(32)
        location = sign_in_location(
            api_origin,
            service_host=service.public_host,
            nonce=nonce,
            return_path=head.target.decode("latin-1"),
        )
        return answers.redirect(location, answers.nonce_cookie(nonce))

    def _forward(self, head: RequestHead, peer: Peer, service: PublishedService, visit: Visit) -> Forward:
        local = HostRewrite(f"localhost:{service.port}") if service.host_header == "local" else None
        assertion = self._assertions.assertion(
            self._environment.keys.link_key(),
            session_id=visit.session_id,
            origin=service.origin,
            account=visit.account,
            thumbprint=visit.thumbprint,
            now=self._environment.clock(),
        )
        visitor = visitor_of(
            head.headers, peer_ip=peer.ip, scheme=service.origin.partition("://")[0], host=service.public_host
        )
        sent = RequestHead(
            method=head.method,
            target=head.target,
            headers=inbound_headers(head.headers, visitor=visitor, assertion=assertion, host_rewrite=local),
            upgrade=head.upgrade,
            length=head.length,
        )

        self._streams.opened(visit.session_id, expires_at=visit.session_expires_at)

        def confine(response: ResponseHead) -> ResponseHead:
            response.headers = outbound_headers(
                response.headers, public_origin=service.origin, host_rewrite=local
            )
            return response

        upstream = ServiceUpstream(
            self._own_engine(), name=service.name, host=service.host, port=service.port
        )
        return Forward(upstream, sent, tag=visit.session_id, rewrite_response=confine)

    def _own_engine(self) -> Engine:
        # Made inside the loop that serves, which is not there yet when the gate is put together.
        if self._engine is None:
            self._engine = Engine(self.route, Limits())
        return self._engine
