"""Linking and unlinking from the machine's own page. Never mounted on the tunnel's application."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from doorward.environment.access import Action, require
from doorward.environment.keys import SecretStoreFailed
from doorward.environment.link.errors import LinkRefused
from doorward.environment.pages.doors import Asker, LoopbackDoor, for_asker
from doorward.environment.pages.errors import Problem, Refused
from doorward.environment.pages.requests import answer
from doorward.environment.pages.state import lacks_relay_client
from doorward.environment.pages.wire import Done, UnlinkAnswer

if TYPE_CHECKING:
    from doorward.environment.environment import Environment


class LinkRoutes:
    """One change of the link at a time, however many pages are open: the second is refused, not queued."""

    def __init__(self, environment: Environment, door: LoopbackDoor) -> None:
        self._environment = environment
        self._door = door
        self._changing = asyncio.Lock()

    def routes(self) -> list[Route]:
        return [
            Route("/connections/link", for_asker(self._door, self.link), methods=["POST"]),
            Route("/connections/relay-client", for_asker(self._door, self.install), methods=["POST"]),
            Route("/connections/unlink", for_asker(self._door, self.unlink), methods=["POST"]),
        ]

    async def link(self, _: Request, asker: Asker) -> Response:
        """Want the link; the agent brings it about, and the page's stream tells how far it is."""
        if not self._environment.tokens.is_stored():
            raise Refused(Problem.MACHINE_NOT_SIGNED_IN)
        self._require_idle()
        if lacks_relay_client(self._environment):
            raise Refused(Problem.RELAY_CLIENT_MISSING)
        async with self._changing:
            try:
                await self._environment.link.ask_for(asker.actor)
            except SecretStoreFailed as error:
                raise Refused(Problem.FAILED) from error
        self._environment.reconciler.trigger()
        return answer(Done())

    async def install(self, _: Request, asker: Asker) -> Response:
        """Install cloudflared, then want the link; answers at once, the page's stream tells how far it is."""
        require(asker.actor, Action.LINK)
        if not self._environment.tokens.is_stored():
            raise Refused(Problem.MACHINE_NOT_SIGNED_IN)
        self._require_idle()

        async def then() -> None:
            await self._environment.link.ask_for(asker.actor)
            self._environment.reconciler.trigger()

        self._environment.installation.start(then)
        return answer(Done())

    async def unlink(self, _: Request, asker: Asker) -> Response:
        """Here first: a relay that does not answer keeps its record, and nobody gets in by it."""
        self._require_idle()
        async with self._changing:
            try:
                outcome = await self._environment.unlink_everywhere(asker.actor)
            except (LinkRefused, SecretStoreFailed) as error:
                raise Refused(Problem.FAILED) from error
        return answer(UnlinkAnswer(relay=outcome))

    def _require_idle(self) -> None:
        if self._changing.locked() or self._environment.installation.is_running:
            raise Refused(Problem.UNDER_WAY)
