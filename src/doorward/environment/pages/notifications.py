"""Subscribing a browser to "a new device asks to be let in", and the service worker that shows it.

Only a session that may decide can subscribe: whoever is told of a request learns a device's name. The worker's script
itself is the same for everybody and holds nothing of the machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from doorward.environment.pages.doors import Asker, Door, for_asker
from doorward.environment.pages.errors import Problem, Refused
from doorward.environment.pages.requests import answer, read_body
from doorward.environment.pages.wire import Done, NotificationKey, SubscribeRequest, UnsubscribeRequest
from doorward.push import Subscription, SubscriptionInvalid
from doorward.web.notifier import notifier

if TYPE_CHECKING:
    from doorward.environment.environment import Environment

# Its folder is its scope: the worker is told nothing of requests anywhere else on this origin.
WORKER_PATH = "/connections/notifier.js"


class NotificationRoutes:
    def __init__(self, environment: Environment, door: Door) -> None:
        self._environment = environment
        self._door = door

    def routes(self) -> list[Route]:
        return [
            Route(WORKER_PATH, self.worker, methods=["GET"]),
            Route("/connections/notifications", for_asker(self._door, self.key), methods=["GET"]),
            Route("/connections/notifications", for_asker(self._door, self.subscribe), methods=["POST"]),
            Route(
                "/connections/notifications/end", for_asker(self._door, self.unsubscribe), methods=["POST"]
            ),
        ]

    async def worker(self, _: Request) -> Response:
        return notifier()

    async def key(self, _: Request, asker: Asker) -> Response:
        key = self._environment.notifications.application_server_key(asker.actor)
        return answer(NotificationKey(application_server_key=key))

    async def subscribe(self, request: Request, asker: Asker) -> Response:
        asked = await read_body(request, SubscribeRequest)
        try:
            subscription = Subscription.of(
                endpoint=asked.endpoint, p256dh=asked.keys.p256dh, auth=asked.keys.auth
            )
        except SubscriptionInvalid as error:
            raise Refused(Problem.MALFORMED) from error
        await self._environment.notifications.subscribe(asker.actor, asker.session, subscription)
        return answer(Done())

    async def unsubscribe(self, request: Request, asker: Asker) -> Response:
        asked = await read_body(request, UnsubscribeRequest)
        return answer(Done(ok=await self._environment.notifications.unsubscribe(asker.actor, asked.endpoint)))
