"""The Connections page and its routes, the same behind both doors; the access table decides what each may do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from doorward.environment.access import NotAllowed
from doorward.environment.link.service import CHANNEL as LINK_CHANNEL
from doorward.environment.pages.doors import Asker, Door, for_asker
from doorward.environment.pages.errors import Problem, Refused
from doorward.environment.pages.requests import answer, read_body
from doorward.environment.pages.state import (
    AUDIT_PAGE,
    audit_answer,
    connections_state,
    may_see_audit,
    rights_of,
)
from doorward.environment.pages.wire import (
    DecisionRequest,
    Done,
    EndSessionRequest,
    ModeRequest,
    Right,
)
from doorward.environment.services import CHANNEL as SERVICES_CHANNEL
from doorward.environment.stream import CHANNEL
from doorward.store import DatabaseClosed
from doorward.web import Pages
from doorward.web.notifier import WORKER_POLICY

if TYPE_CHECKING:
    from doorward.environment.environment import Environment

LOOK_AGAIN = 5.0  # seconds; what no event tells (the tunnel's state, a session's end) is seen this soon
_GATHER = 0.05  # seconds; one decision makes several events


class ConnectionsRoutes:
    """`door` says who asks. Every route but the page itself needs an asker."""

    def __init__(self, environment: Environment, pages: Pages, door: Door) -> None:
        self._environment = environment
        self._pages = pages
        self._door = door

    def routes(self) -> list[Route]:
        return [
            Route("/connections", self.page, methods=["GET"]),
            Route("/connections/events", for_asker(self._door, self.events), methods=["GET"]),
            Route("/connections/audit", for_asker(self._door, self.older_audit), methods=["GET"]),
            Route("/connections/decisions", for_asker(self._door, self.decide), methods=["POST"]),
            Route("/connections/mode", for_asker(self._door, self.set_mode), methods=["POST"]),
            Route("/connections/sessions/end", for_asker(self._door, self.end_session), methods=["POST"]),
            Route("/connections/sign-out", for_asker(self._door, self.sign_out), methods=["POST"]),
        ]

    async def page(self, request: Request) -> Response:
        """The frame, the same for everybody: it holds nothing of the machine but its label."""
        elsewhere = self._door.page_redirect(request)
        if elsewhere is not None:
            return elsewhere
        context = {"label": self._environment.label, "door": self._door.name}
        return self._pages.page(request, "connections.html", context, worker_policy=WORKER_POLICY)

    async def events(self, request: Request, asker: Asker) -> Response:
        """Server-sent events: the whole state at once, and again whenever it changed."""
        first = msgspec.json.encode(await connections_state(self._environment, asker))
        return StreamingResponse(
            self._changes(asker, first),
            headers={"cache-control": "no-store, no-transform", "x-accel-buffering": "no"},
            media_type="text/event-stream",
        )

    async def _changes(self, asker: Asker, first: bytes) -> AsyncIterator[bytes]:
        subscribe = self._environment.database.subscribe
        async with (
            subscribe(CHANNEL) as payloads,
            subscribe(LINK_CHANNEL) as link_changes,
            subscribe(SERVICES_CHANNEL) as service_changes,
        ):
            stopping = self._environment.is_stopping
            sent = b""
            latest: bytes | None = first
            changed = asyncio.Event()
            changed.set()  # something may have happened between the first look and the subscription

            async def listen(events: AsyncIterator[str]) -> None:
                async for _ in events:
                    changed.set()

            async def listen_for_the_end() -> None:
                await stopping.wait()
                changed.set()

            listening = [
                asyncio.create_task(work)
                for work in (
                    listen(payloads),
                    listen(link_changes),
                    listen(service_changes),
                    listen_for_the_end(),
                )
            ]
            try:
                while not stopping.is_set():
                    if latest is None:
                        yield b"event: ended\ndata: {}\n\n"
                        return
                    yield b": alive\n\n" if latest == sent else b"event: state\ndata: " + latest + b"\n\n"
                    sent = latest
                    await _wait(changed, LOOK_AGAIN)
                    await asyncio.sleep(_GATHER)
                    changed.clear()
                    try:
                        latest = await self._state_now(asker)
                    except DatabaseClosed:  # the machine stops; the page connects again
                        return
            finally:
                for task in listening:
                    task.cancel()

    async def _state_now(self, asker: Asker) -> bytes | None:
        """None once the session has ended, or may not look any more."""
        try:
            state = await connections_state(self._environment, asker)
            # Asked last: a session that is alive now was alive when it was listed.
            if await self._environment.sessions.find(asker.session.id) is None:
                return None
            return msgspec.json.encode(state)
        except NotAllowed:
            return None

    async def older_audit(self, request: Request, asker: Asker) -> Response:
        """What was decided before the entry `before`."""
        before = request.query_params.get("before")
        if not may_see_audit(asker.actor):
            raise Refused(Problem.NOT_ALLOWED)
        if not before:
            raise Refused(Problem.MALFORMED)
        return answer(audit_answer(await self._environment.audit.page(size=AUDIT_PAGE, before=before)))

    async def decide(self, request: Request, asker: Asker) -> Response:
        asked = await read_body(request, DecisionRequest)
        approvals, actor = self._environment.approvals, asker.actor
        match asked.decision:
            case "approve":
                changed = await approvals.approve(actor, asked.thumbprint) is not None
            case "approve-administrator":
                self._require("approve-administrator", asker)
                changed = await approvals.approve(actor, asked.thumbprint, role="administrator") is not None
            case "reject":
                changed = await approvals.reject(actor, asked.thumbprint) is not None
            case "revoke":
                changed = await approvals.revoke(actor, asked.thumbprint)
        if not changed:
            raise Refused(Problem.UNKNOWN_DEVICE)
        return answer(Done())

    def _require(self, right: Right, asker: Asker) -> None:
        if right not in rights_of(asker.actor, is_remote_admin_on=self._environment.settings.remote_admin):
            raise Refused(Problem.NOT_ALLOWED)

    async def set_mode(self, request: Request, asker: Asker) -> Response:
        asked = await read_body(request, ModeRequest)
        await self._environment.approvals.set_mode(asker.actor, asked.mode)
        return answer(Done())

    async def end_session(self, request: Request, asker: Asker) -> Response:
        asked = await read_body(request, EndSessionRequest)
        ended = await self._environment.sessions.end(asked.session_id, by=asker.actor)
        return answer(Done(ok=ended))

    async def sign_out(self, request: Request, asker: Asker) -> Response:
        await self._environment.sessions.end(asker.session.id, by=asker.actor)
        return answer(Done())


async def _wait(changed: asyncio.Event, timeout_seconds: float) -> None:
    try:
        async with asyncio.timeout(timeout_seconds):
            await changed.wait()
    except TimeoutError:
        pass
