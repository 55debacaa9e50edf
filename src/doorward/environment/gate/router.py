"""The gate as a router: every request of the tunnel, decided."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import msgspec

from doorward.environment.gate import answers
from doorward.environment.gate.admissions import Admission, Admissions
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
from doorward.environment.gate.own_paths import OWN_PATHS_START, answer_own_path, is_own_path
from doorward.environment.gate.rules import (
    approach_of,
    is_authority_of,
    is_opaque_secret,
    only_header,
    sign_in_location,
)
from doorward.environment.gate.streams import Streams
from doorward.environment.gate.visits import Visit, bears_proof, visit_by_cookie, visit_by_proof
from doorward.http1 import (
    Answer,
    Decision,
    Failure,
    Forward,
    Peer,
    RequestHead,
    ResponseHead,
    TcpUpstream,
    Upstream,
)
from doorward.http1.heads import Derived
from doorward.store import StoreError

if TYPE_CHECKING:
    from doorward.environment.environment import Environment
    from doorward.environment.services import PublishedService

log = logging.getLogger(__name__)


class Gate:
    """`Gate(environment, api, close_tag).route` is the Router of the tunnel's connector.

    `api` is the environment's tunnel application, `api_sockets` where it listens for WebSockets. Exchanges with a service carry a tag, by which
    `close_tag` (of whatever carries them) ends them with their session, for which `watch` runs as a task, and with their service.
    """

    def __init__(
        self,
        environment: Environment,
        *,
        api: Upstream,
        api_sockets: Upstream,
        close_tag: Callable[[str], object],
    ) -> None:
        self._environment = environment
        self._api = api
        self._api_sockets = api_sockets
        self._streams = Streams(environment, close_tag)
        environment.services.when_moved(self._streams.end_service)
        self._admissions = Admissions(environment)
        self._assertions = AssertionMint(environment_id=environment.environment_id)

    async def watch(self, is_watching: asyncio.Event | None = None) -> None:
        """Until cancelled: end the streams of sessions that end."""
        await self._streams.watch(is_watching)

    def route(self, head: RequestHead, peer: Peer) -> Decision | Awaitable[Decision]:
        admission = self._admissions.find(head, peer)
        if (
            admission is None
            or head.target.startswith(OWN_PATHS_START)
            or self._streams.has_ended(admission.session_id)
        ):
            host = (only_header(head.headers, b"host") or b"").decode("latin-1").lower()
            if self._environment.link.is_api_host(host):
                return Forward(self._api_sockets if head.is_upgrade else self._api, head)
            return self._judge(head, peer, host)
        return admission.forward(head)

    async def _judge(self, head: RequestHead, peer: Peer, host: str) -> Decision:
        try:
            return await self._look_up(head, peer, host)
        except StoreError as error:
            # A full disk, as a rule. Who cannot be looked up is not let in, and one line says why.
            log.error("a visitor cannot be checked: %s", error)  # noqa: TRY400
            return answers.refusal(Refusal.CANNOT_CHECK)

    async def _look_up(self, head: RequestHead, peer: Peer, host: str) -> Decision:
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
        grounds = self._admissions.grounds()
        by_proof = bears_proof(head)
        if by_proof:
            visit = await visit_by_proof(self._environment, head, own_origin=service.origin)
        else:
            visit = await visit_by_cookie(
                self._environment, head, service_host=service.public_host, own_origin=service.origin
            )
        if isinstance(visit, Refusal):
            return self._turn_away(head, service, visit)
        if self._streams.has_ended(visit.session_id):
            # It ended while we were looking: whoever ended it has already closed what there was to close.
            return self._turn_away(head, service, Refusal.SIGN_IN_REQUIRED)
        if self._environment.services.generation != grounds.services_generation:
            # The service may lead elsewhere since we began to look, and what there was to close is closed.
            found = self._environment.services.by_host(host)
            if found is None or found.origin != service.origin:
                return answers.refusal(Refusal.UNKNOWN_HOST)
            service = found
        admission = self._admit(head, peer, service, visit)
        if not by_proof:
            self._admissions.keep(head, grounds, admission)
        return admission.forward(head)

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

    def _admit(self, head: RequestHead, peer: Peer, service: PublishedService, visit: Visit) -> Admission:
        now = self._environment.clock()
        local = HostRewrite(f"localhost:{service.port}") if service.host_header == "local" else None
        assertion = self._assertions.assertion(
            self._environment.keys.link_key(),
            session_id=visit.session_id,
            origin=service.origin,
            account=visit.account,
            thumbprint=visit.thumbprint,
            now=now,
        )
        visitor = visitor_of(
            head.headers, peer_ip=peer.ip, scheme=service.origin.partition("://")[0], host=service.public_host
        )
        confined: Derived[ResponseHead] = Derived(4)

        def confine(response: ResponseHead) -> ResponseHead:
            known = confined.get(id(response))
            if known is not None:
                return known[1]
            headers = outbound_headers(response.headers, public_origin=service.origin, host_rewrite=local)
            return confined.keep(response, msgspec.structs.replace(response, headers=headers))

        return Admission(
            peer=peer,
            method=head.method,
            upgrade=head.upgrade,
            session_id=visit.session_id,
            tag=self._streams.opened(visit.session_id, service.origin, expires_at=visit.session_expires_at),
            expires_at=min(visit.expires_at, visit.session_expires_at, assertion.until),
            sent=inbound_headers(
                head.headers, visitor=visitor, assertion=assertion.token, host_rewrite=local
            ),
            upstream=TcpUpstream(service.host, service.port),
            confine=confine,
            explain=lambda failure: _explained(failure, service),
        )


def _explained(failure: Failure, service: PublishedService) -> Failure:
    """Which program is expected where. Only somebody who was let in reads this."""
    return msgspec.structs.replace(
        failure,
        message=f"{failure.message} You are let in, but {service.name} does not answer on port {service.port}"
        " of this machine. Start it there, then reload.",
    )
