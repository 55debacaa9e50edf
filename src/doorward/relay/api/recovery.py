"""Tunnels that come and go while their link stays."""

from typing import Any

from doorward.relay.api.bodies import json_body
from doorward.relay.api.endpoints import endpoint_of, runtime_of
from doorward.relay.api.guards import Guards
from doorward.relay.credentials.store import CredentialOwner
from doorward.relay.extension_errors import RateLimited
from doorward.relay.http.routing import Call, Route
from doorward.relay.limits.service import Limits
from doorward.relay.recovery.rules import RecoveryWish
from doorward.relay.recovery.service import TunnelRecovery
from doorward.relay.users.service import User
from doorward.t3_connect.messages import (
    Ok,
    TunnelRecoveryRequest,
    TunnelRecoveryStatus,
    TunnelRequest,
    TunnelResponse,
)

_TUNNEL = "/v1/environments/{environmentId}/tunnel"


class RecoveryApi:
    def __init__(self, *, guards: Guards, limits: Limits, recovery: TunnelRecovery) -> None:
        self._guards = guards
        self._limits = limits
        self._recovery = recovery

    def routes(self) -> list[Route[Any, Any]]:
        return [
            Route(
                "DELETE",
                "/v1/client/environment-links/{environmentId}/tunnel",
                self.release,
                self._guards.account,
                "End an environment's tunnel, but not its link",
                response=(Ok,),
                refusals=(RateLimited,),
            ),
            Route(
                "POST",
                _TUNNEL + "/recovery",
                self.register,
                self._guards.environment,
                "Whether the environment's tunnel is still the right one",
                body=json_body(TunnelRecoveryRequest),
                response=(TunnelRecoveryStatus,),
                refusals=(RateLimited,),
                no_store=True,
            ),
            Route(
                "POST",
                _TUNNEL,
                self.recover,
                self._guards.environment,
                "A fresh connector token for the environment's names",
                body=json_body(TunnelRequest),
                response=(TunnelResponse,),
                refusals=(RateLimited,),
                no_store=True,
            ),
        ]

    async def release(self, call: Call[User, None]) -> Ok:
        await self._limits.take(call.principal.user_id, "links")
        released = await self._recovery.release(
            user_id=call.principal.user_id,
            environment_id=call.param("environmentId"),
            origin=call.arrival.origin,
        )
        return Ok(ok=released)

    async def register(self, call: Call[CredentialOwner, TunnelRecoveryRequest]) -> TunnelRecoveryStatus:
        await self._limits.take(call.principal.user_id, "links")
        status = await self._recovery.register(
            call.principal, _wish(call.param("environmentId"), call.body, call.body.tunnel_id)
        )
        return TunnelRecoveryStatus(status=status)

    async def recover(self, call: Call[CredentialOwner, TunnelRequest]) -> TunnelResponse:
        await self._limits.take(call.principal.user_id, "links")
        wish = _wish(call.param("environmentId"), call.body)
        link, provisioned = await self._recovery.recover(call.principal, wish, call.arrival.origin)
        return TunnelResponse(endpoint=endpoint_of(link), endpoint_runtime=runtime_of(provisioned))


def _wish(
    environment_id: str, body: TunnelRequest | TunnelRecoveryRequest, tunnel_id: str | None = None
) -> RecoveryWish:
    return RecoveryWish(
        environment_id=environment_id,
        cloud_user_id=body.cloud_user_id,
        origin=body.origin,
        proof=body.proof,
        tunnel_id=tunnel_id,
    )
