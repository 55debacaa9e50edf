"""The gate's routes on the API host: the device page and the two calls it makes to the machine."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from doorward.environment.children.service import SessionEnded
from doorward.environment.gate.own_paths import CALLBACK
from doorward.environment.gate.rules import is_nonce_hash, safe_return_path
from doorward.environment.pages.errors import Problem, Refused
from doorward.environment.pages.limits import RateLimit, Waiting
from doorward.environment.pages.requests import address_of, answer, read_body, refusals_as_json
from doorward.environment.pages.wire import (
    CodeAnswer,
    CodeRequest,
    GateConfiguration,
    GateService,
    Status,
    WaitAnswer,
    WaitRequest,
)
from doorward.environment.sessions.authentication import AuthenticationFailed
from doorward.http1 import network_of
from doorward.jose import WORDS
from doorward.web import Pages

if TYPE_CHECKING:
    from doorward.environment.environment import Environment

LONGEST_WAIT = 25.0  # seconds; below the 30 s at which the strictest common proxies give up

_SCHEME = "DPoP "


class GatePages:
    """Mounted by the tunnel application only."""

    def __init__(self, environment: Environment, pages: Pages) -> None:
        self._environment = environment
        self._pages = pages
        # A proof costs a signature check and a row, and anybody can make a key: the address is counted before either.
        self._per_address = RateLimit(burst=30, interval=1000)
        self._per_key = RateLimit(burst=10, interval=2000)
        self._waiting_keys = Waiting(per_key=4, total=256)
        self._waiting_addresses = Waiting(per_key=32, total=256)

    def routes(self) -> list[Route]:
        return [
            Route("/gate", self.page, methods=["GET"]),
            Route("/gate/callback", self.page, methods=["GET"]),
            Route("/gate/configuration.json", refusals_as_json(self.configuration), methods=["GET"]),
            Route("/gate/words.txt", self.words, methods=["GET"]),
            Route("/gate/code", refusals_as_json(self.code), methods=["POST"]),
            Route("/gate/wait", refusals_as_json(self.wait), methods=["POST"]),
        ]

    async def page(self, request: Request) -> Response:
        return self._pages.page(request, "gate.html", {"label": self._environment.label})

    async def words(self, _: Request) -> Response:
        return PlainTextResponse("\n".join(WORDS) + "\n", headers={"cache-control": "public, max-age=86400"})

    async def configuration(self, _: Request) -> Response:
        settings = self._environment.settings
        if settings.relay_url is None or settings.accounts_origin is None:
            raise Refused(Problem.NOT_READY)
        return answer(
            GateConfiguration(
                environment_id=self._environment.environment_id,
                label=self._environment.label,
                client_id=settings.gate_client_id,
                accounts_origin=settings.accounts_origin.rstrip("/"),
                relay_origin=settings.relay_url.rstrip("/"),
                services=[
                    GateService(name=service.name, host=service.public_host, url=service.origin)
                    for service in self._environment.services.published()
                ],
                remote_administration=settings.remote_admin,
            )
        )

    async def code(self, request: Request) -> Response:
        """A code for (the session proved by DPoP, a service host of this machine, that host's nonce)."""
        self._count(self._per_address, network_of(address_of(request)))
        authorization = request.headers.get("authorization", "")
        if not authorization.startswith(_SCHEME):
            raise Refused(Problem.PROOF_REFUSED)
        try:
            session = await self._environment.authentication.verify_dpop(
                authorization.removeprefix(_SCHEME),
                _only_proof(request),
                method="POST",
                url=self._own_url(request),
            )
        except AuthenticationFailed as error:
            raise Refused(Problem.PROOF_REFUSED) from error
        asked = await read_body(request, CodeRequest)
        service = self._environment.services.by_host(asked.service)
        if service is None:
            raise Refused(Problem.UNKNOWN_SERVICE)
        if not is_nonce_hash(asked.nonce):
            raise Refused(Problem.MALFORMED)
        try:
            code = await self._environment.children.issue_code(session.id, service.public_host, asked.nonce)
        except SessionEnded as error:
            raise Refused(Problem.PROOF_REFUSED) from error
        return_path = quote(safe_return_path(asked.return_path), safe="")
        return answer(
            CodeAnswer(code=code, callback=f"{service.origin}{CALLBACK}?code={code}&return={return_path}")
        )

    async def wait(self, request: Request) -> Response:
        """What the machine decided about the key that signed this request, as soon as it changes."""
        address = network_of(address_of(request))
        self._count(self._per_address, address)
        try:
            thumbprint = await self._environment.authentication.verify_proof(
                _only_proof(request), method="POST", url=self._own_url(request)
            )
        except AuthenticationFailed as error:
            raise Refused(Problem.PROOF_REFUSED) from error
        self._count(self._per_key, thumbprint)
        asked = await read_body(request, WaitRequest)
        approvals = self._environment.approvals
        status = await approvals.status(thumbprint)
        if status in ("pending", "rejected"):  # a key nobody knows of leaves no trace
            await approvals.heard_from(thumbprint, address_of(request))
        if status != asked.seen:
            return answer(WaitAnswer(status=status))
        with (
            self._waiting_keys.place(thumbprint) as has_key,
            self._waiting_addresses.place(address) as has_address,
        ):
            if not (has_key and has_address):
                raise Refused(Problem.TOO_MANY, retry_after=5000)
            changed = approvals.wait_for_change(thumbprint, seen=asked.seen, timeout_seconds=LONGEST_WAIT)
            status = await self._unless_stopping(changed, otherwise=status)
        return answer(WaitAnswer(status=status))

    async def _unless_stopping(self, work: Coroutine[object, object, Status], *, otherwise: Status) -> Status:
        """What `work` answers, or `otherwise` when the machine is about to stop."""
        working = asyncio.create_task(work)
        stopping = asyncio.create_task(self._environment.is_stopping.wait())
        try:
            await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return working.result() if working.done() else otherwise
        finally:
            working.cancel()
            stopping.cancel()

    def _count(self, limit: RateLimit, key: str) -> None:
        retry_after = limit.retry_after(key, self._environment.clock())
        if retry_after is not None:
            raise Refused(Problem.TOO_MANY, retry_after=retry_after)

    def _own_url(self, request: Request) -> str:
        """The public URL a proof must name. Never taken from the request's headers."""
        origin = self._environment.link.api_origin()
        if origin is None:
            raise Refused(Problem.NOT_READY)
        return origin + request.url.path


def _only_proof(request: Request) -> str | None:
    proofs = request.headers.getlist("dpop")
    return proofs[0] if len(proofs) == 1 else None
