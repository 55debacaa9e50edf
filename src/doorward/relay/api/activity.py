"""Publication of a thread's state by its environment."""

from typing import Any

from doorward.relay.activity.publication import Publications, Queued
from doorward.relay.api.bodies import json_body
from doorward.relay.api.guards import Guards, require_own_environment
from doorward.relay.api.refusals import PUBLISHING
from doorward.relay.credentials.store import CredentialOwner
from doorward.relay.extension_errors import RateLimited
from doorward.relay.http.routing import Call, Route
from doorward.relay.limits.service import Limits
from doorward.t3_connect.messages import DeliveryResult, PublishActivityRequest, PublishActivityResponse


class ActivityApi:
    def __init__(self, *, guards: Guards, publications: Publications, limits: Limits) -> None:
        self._guards = guards
        self._publications = publications
        self._limits = limits

    def routes(self) -> list[Route[Any, Any]]:
        return [
            Route(
                "POST",
                "/v1/environments/{environmentId}/threads/{threadId}/agent-activity",
                self.publish,
                self._guards.environment,
                "Publish what a thread's agent does",
                body=json_body(PublishActivityRequest),
                response=(PublishActivityResponse,),
                refusals=(RateLimited, *PUBLISHING),
            )
        ]

    async def publish(self, call: Call[CredentialOwner, PublishActivityRequest]) -> PublishActivityResponse:
        owner = require_own_environment(call)
        # With the account: two may link environments of one id, and neither may use up the other's.
        await self._limits.take(f"{owner.user_id} t3-env:{owner.environment_id}", "publications")
        queued = await self._publications.publish(
            owner, call.param("threadId"), call.body.state, call.body.proof
        )
        return PublishActivityResponse(ok=True, deliveries=tuple(_result(each) for each in queued))


def _result(queued: Queued) -> DeliveryResult:
    """Deliveries go on after the answer: what the push service said of them is not known yet."""
    return DeliveryResult(
        device_id=queued.device_id,
        kind=queued.kind,
        ok=True,
        queued=True,
        apns_status=None,
        apns_reason=None,
        apns_id=None,
    )
