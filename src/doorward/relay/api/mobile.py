"""What a phone tells the relay about itself, and asks about its account's agents."""

from typing import Any
from urllib.parse import parse_qsl

from doorward.relay.activity.publication import Publications
from doorward.relay.api.bodies import json_body
from doorward.relay.api.guards import DpopPrincipal, Guards
from doorward.relay.api.proofs import RequestProofs, require_scope
from doorward.relay.devices.service import Devices
from doorward.relay.extension_errors import RateLimited
from doorward.relay.http.body import BodyRefused
from doorward.relay.http.responses import SCHEMA_MISMATCH
from doorward.relay.http.routing import Call, Route
from doorward.t3_connect.messages import (
    ActivitySnapshot,
    DeviceRegistration,
    LiveActivityRegistration,
    Ok,
)
from doorward.t3_connect.scopes import MOBILE_REGISTRATION

_EXCLUDED = "excludedEnvironmentIds"
_MOST_EXCLUDED = 100


class MobileApi:
    def __init__(
        self, *, guards: Guards, proofs: RequestProofs, devices: Devices, publications: Publications
    ) -> None:
        self._guards = guards
        self._proofs = proofs
        self._devices = devices
        self._publications = publications

    def routes(self) -> list[Route[Any, Any]]:
        dpop: dict[str, Any] = {
            "required_headers": ("dpop",),
            "is_dpop": True,
            "refusals": (RateLimited,),
        }
        guard = self._guards.dpop
        return [
            Route(
                "POST",
                "/v1/mobile/devices",
                self.register,
                guard,
                "Register a phone for notifications",
                body=json_body(DeviceRegistration),
                response=(Ok,),
                **dpop,
            ),
            Route(
                "POST",
                "/v1/mobile/live-activities",
                self.register_live_activity,
                guard,
                "Register a live activity that a phone shows",
                body=json_body(LiveActivityRegistration),
                response=(Ok,),
                **dpop,
            ),
            Route(
                "DELETE",
                "/v1/mobile/devices/{deviceId}",
                self.unregister,
                guard,
                "Forget a phone",
                response=(Ok,),
                **dpop,
            ),
            Route(
                "GET",
                "/v1/mobile/agent-activity",
                self.snapshot,
                guard,
                "What the account's agents do now",
                response=(ActivitySnapshot,),
                **dpop,
            ),
        ]

    async def register(self, call: Call[DpopPrincipal, DeviceRegistration]) -> Ok:
        user_id = await self._admit(call)
        await self._devices.register(user_id, call.body, call.arrival.origin)
        return Ok(ok=True)

    async def register_live_activity(self, call: Call[DpopPrincipal, LiveActivityRegistration]) -> Ok:
        user_id = await self._admit(call)
        await self._devices.register_live_activity(user_id, call.body)
        return Ok(ok=True)

    async def unregister(self, call: Call[DpopPrincipal, None]) -> Ok:
        user_id = await self._admit(call)
        await self._devices.unregister(user_id, call.param("deviceId"), call.arrival.origin)
        return Ok(ok=True)

    async def snapshot(self, call: Call[DpopPrincipal, None]) -> ActivitySnapshot:
        excluded = _excluded(call.arrival.query)
        user_id = await self._admit(call)
        aggregate = await self._publications.snapshot(user_id, without=excluded)
        return ActivitySnapshot(aggregate=aggregate, excluded_environment_ids=excluded or None)

    async def _admit(self, call: Call[DpopPrincipal, Any]) -> str:
        """The account, once scope and proof are right. No token narrowed to one environment counts here."""
        require_scope(call.principal, MOBILE_REGISTRATION)
        await self._proofs.consume(call.arrival, call.principal, "registrations")
        return call.principal.token.user_id


def _excluded(query: str) -> tuple[str, ...]:
    """The environments to leave out. Raises BodyRefused (400 without a body) for blank ones and too many."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=_MOST_EXCLUDED)
    except ValueError as error:
        raise BodyRefused(SCHEMA_MISMATCH) from error
    named = tuple(value.strip() for name, value in pairs if name == _EXCLUDED)
    if not all(named):
        raise BodyRefused(SCHEMA_MISMATCH)
    return named
