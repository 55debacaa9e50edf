"""Connect to an environment, and ask whether it is there."""

from collections.abc import Awaitable
from typing import Any

from doorward.metering import RELAY_CONNECTS
from doorward.relay.api.bodies import json_body
from doorward.relay.api.guards import DpopPrincipal, Guards
from doorward.relay.api.proofs import RequestProofs, require_scope
from doorward.relay.api.refusals import CONNECTING, PROBING, invalid_dpop
from doorward.relay.connect.errors import EndpointTimedOut, EndpointUnavailable, NotAuthorized
from doorward.relay.connect.service import Connector, Minted, Probed
from doorward.relay.connect.store import StoredTarget, stored_target, stored_target_of
from doorward.relay.connect.target import Target
from doorward.relay.extension_errors import RateLimited
from doorward.relay.http.routing import Arrival, Call, Route
from doorward.t3_connect import iso
from doorward.t3_connect.messages import (
    ConnectAuthorized,
    ConnectPending,
    ConnectRequest,
    Endpoint,
    MintPending,
    StatusResponse,
)
from doorward.t3_connect.scopes import ENVIRONMENT_CONNECT, ENVIRONMENT_STATUS


class ConnectApi:
    def __init__(self, *, guards: Guards, proofs: RequestProofs, connector: Connector) -> None:
        self._guards = guards
        self._proofs = proofs
        self._connector = connector

    def routes(self) -> list[Route[Any, Any]]:
        dpop: dict[str, Any] = {"required_headers": ("dpop",), "is_dpop": True}
        return [
            Route(
                "POST",
                "/v1/environments/{environmentId}/connect",
                self.connect,
                self._guards.dpop,
                "Ask an environment for a credential bound to the caller's key",
                body=json_body(ConnectRequest),
                response=(ConnectAuthorized, ConnectPending),
                refusals=(RateLimited, *CONNECTING),
                no_store=True,
                **dpop,
            ),
            Route(
                "POST",
                "/v1/environments/{environmentId}/status",
                self.status,
                self._guards.dpop,
                "Whether an environment answers now",
                response=(StatusResponse,),
                refusals=(RateLimited, *PROBING),
                **dpop,
            ),
        ]

    async def connect(self, call: Call[DpopPrincipal, ConnectRequest]) -> ConnectAuthorized | ConnectPending:
        token = call.principal.token
        require_scope(call.principal, ENVIRONMENT_CONNECT, environment_id=call.param("environmentId"))
        if _requested_thumbprint(call.body) != token.thumbprint:
            raise invalid_dpop()
        environment = await self._consume(call)
        minted = await _counted(
            self._connector.connect(
                environment,
                thumbprint=token.thumbprint,
                device_id=call.body.device_id,
                client=call.body.client,
                trace=call.arrival.trace,
            )
        )
        answer, endpoint = minted.answer, _endpoint(minted.target)
        if isinstance(answer, MintPending):
            return ConnectPending(
                status="pending_approval",
                environment_id=minted.target.environment_id,
                endpoint=endpoint,
                client_proof_key_thumbprint=answer.client_proof_key_thumbprint,
                approval_status=answer.approval_status,
                requested_at=answer.requested_at,
            )
        return ConnectAuthorized(
            environment_id=minted.target.environment_id,
            endpoint=endpoint,
            credential=answer.credential,
            expires_at=answer.expires_at,
        )

    async def status(self, call: Call[DpopPrincipal, None]) -> StatusResponse:
        require_scope(call.principal, ENVIRONMENT_STATUS, environment_id=call.param("environmentId"))
        environment = await self._consume(call)
        probed = await self._connector.probe(environment, trace=call.arrival.trace)
        return _status(probed, call.arrival)

    async def _consume(self, call: Call[DpopPrincipal, Any]) -> StoredTarget | None:
        """Count the request and use its proof up; what is stored of the environment."""
        asked = stored_target(
            user_id=call.principal.token.user_id, environment_id=call.param("environmentId")
        )
        [rows] = await self._proofs.consume(call.arrival, call.principal, "connects", asked)
        return stored_target_of(rows)


async def _counted(connecting: Awaitable[Minted]) -> Minted:
    """The same answer, or failure, counted by its outcome."""
    outcome = "failed"
    try:
        minted = await connecting
        outcome = minted.answer.approval_status if isinstance(minted.answer, MintPending) else "authorized"
        return minted
    except NotAuthorized:
        outcome = "not_authorized"
        raise
    except EndpointUnavailable as error:
        outcome = error.reason
        raise
    except EndpointTimedOut:
        outcome = "endpoint_timed_out"
        raise
    finally:
        RELAY_CONNECTS.add(outcome)


def _requested_thumbprint(body: ConnectRequest) -> str | None:
    """The key to be authorised, under its present or its older name; `None` when absent or contradictory."""
    named = {body.client_key_thumbprint, body.client_proof_key_thumbprint} - {None}
    return named.pop() if len(named) == 1 else None


def _endpoint(target: Target) -> Endpoint:
    return Endpoint(
        http_base_url=target.http_base_url,
        ws_base_url=target.ws_base_url,
        provider_kind=target.provider_kind,
    )


def _status(probed: Probed, arrival: Arrival) -> StatusResponse:
    endpoint = _endpoint(probed.target)
    if probed.answer is None:
        return StatusResponse(
            environment_id=probed.target.environment_id,
            endpoint=endpoint,
            status="offline",
            checked_at=iso(probed.checked_at),
            error=probed.error or "",
            trace_id=arrival.trace.trace_id,
        )
    return StatusResponse(
        environment_id=probed.target.environment_id,
        endpoint=endpoint,
        status="online",
        checked_at=probed.answer.checked_at,
        descriptor=probed.answer.descriptor,
    )
