"""Names of an environment's services: extension X2."""

from typing import Any

from doorward.relay.api.guards import Guards, require_own_environment
from doorward.relay.api.refusals import NAMING
from doorward.relay.credentials.store import CredentialOwner
from doorward.relay.http.routing import Call, Route
from doorward.relay.services.service import NamedService, ServiceNames
from doorward.t3_connect.messages import Ok, ServiceList, ServiceRegistration

_PATH = "/v1/environments/{environmentId}/services"


class ServicesApi:
    def __init__(self, *, guards: Guards, services: ServiceNames) -> None:
        self._guards = guards
        self._services = services

    def routes(self) -> list[Route[Any, Any]]:
        guard = self._guards.environment
        return [
            Route("GET", _PATH, self.list, guard, "The environment's service names", response=(ServiceList,)),
            Route(
                "PUT",
                _PATH + "/{name}",
                self.claim,
                guard,
                "Claim a service name",
                response=(ServiceRegistration,),
                refusals=NAMING,
            ),
            Route("DELETE", _PATH + "/{name}", self.release, guard, "Free a service name", response=(Ok,)),
        ]

    async def list(self, call: Call[CredentialOwner, None]) -> ServiceList:
        named = await self._services.list(require_own_environment(call))
        return ServiceList(services=tuple(_registration(service) for service in named))

    async def claim(self, call: Call[CredentialOwner, None]) -> ServiceRegistration:
        named = await self._services.claim(
            require_own_environment(call), call.param("name"), call.arrival.origin
        )
        return _registration(named)

    async def release(self, call: Call[CredentialOwner, None]) -> Ok:
        return Ok(
            ok=await self._services.release(
                require_own_environment(call), call.param("name"), call.arrival.origin
            )
        )


def _registration(service: NamedService) -> ServiceRegistration:
    return ServiceRegistration(name=service.name, hostname=service.hostname, url=service.url)
