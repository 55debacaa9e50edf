"""What an account does with its links: list, challenge, link, unlink."""

from collections.abc import Callable
from typing import Any

from doorward.relay.api.bodies import json_body
from doorward.relay.api.endpoints import endpoint_of, runtime_of
from doorward.relay.api.guards import Guards
from doorward.relay.api.refusals import LINKING
from doorward.relay.extension_errors import RateLimited
from doorward.relay.http.routing import Call, Route
from doorward.relay.limits.service import Limits
from doorward.relay.links.directory import ListedEnvironment
from doorward.relay.links.service import Links, LinkWish
from doorward.relay.links.store import Capabilities
from doorward.relay.services.service import ServiceNames
from doorward.relay.settings import RelaySettings
from doorward.relay.users.service import User
from doorward.store import StoreError
from doorward.t3_connect import iso, known, unset_if_none
from doorward.t3_connect.errors import RelayError, RelayInternal
from doorward.t3_connect.messages import (
    EnvironmentEntry,
    EnvironmentList,
    LinkChallengeRequest,
    LinkChallengeResponse,
    LinkRequest,
    LinkResponse,
    Ok,
    ServiceEntry,
)

IsConnected = Callable[[str], bool | None]
"""Whether a tunnel (by its id) is open now; `None` when nobody here knows."""


class ClientApi:
    def __init__(
        self,
        settings: RelaySettings,
        *,
        guards: Guards,
        links: Links,
        services: ServiceNames,
        limits: Limits,
        cloud_mint_public_key: str,
        is_connected: IsConnected,
    ) -> None:
        self._settings = settings
        self._guards = guards
        self._links = links
        self._services = services
        self._limits = limits
        self._cloud_mint_public_key = cloud_mint_public_key
        self._is_connected = is_connected

    def routes(self) -> list[Route[Any, Any]]:
        account = self._guards.account
        return [
            Route(
                "GET",
                "/v1/environments",
                self.list_environments,
                account,
                "The account's linked environments",
                response=(EnvironmentList,),
            ),
            Route(
                "POST",
                "/v1/client/environment-link-challenges",
                self.challenge,
                account,
                "A challenge for an environment to sign",
                body=json_body(LinkChallengeRequest),
                response=(LinkChallengeResponse,),
                refusals=(RateLimited,),
                no_store=True,
            ),
            Route(
                "POST",
                "/v1/client/environment-links",
                self.link,
                account,
                "Link the environment that signed a proof",
                body=json_body(LinkRequest),
                response=(LinkResponse,),
                refusals=(RateLimited, *LINKING),
                no_store=True,
            ),
            Route(
                "DELETE",
                "/v1/client/environment-links/{environmentId}",
                self.unlink,
                account,
                "End a link",
                response=(Ok,),
            ),
        ]

    async def list_environments(self, call: Call[User, None]) -> EnvironmentList:
        listed = await self._links.list(call.principal.user_id)
        return EnvironmentList(environments=tuple(self._entry(entry) for entry in listed))

    def _entry(self, listed: ListedEnvironment) -> EnvironmentEntry:
        link = listed.link
        connected = None if listed.tunnel_id is None else self._is_connected(listed.tunnel_id)
        return EnvironmentEntry(
            environment_id=link.environment_id,
            label=link.label,
            endpoint=endpoint_of(link),
            linked_at=iso(link.created_at),
            services=tuple(
                ServiceEntry(name=name, url=self._services.describe(name, link.user_id).url)
                for name in listed.service_names
            ),
            connected=unset_if_none(connected),
            made_at=iso(link.made_at),
            made_from=link.made_from,
        )

    async def challenge(self, call: Call[User, LinkChallengeRequest]) -> LinkChallengeResponse:
        await self._limits.take(call.principal.user_id, "link_challenges")
        try:
            issued = self._links.issue_challenge(
                call.principal.user_id,
                _capabilities(call.body),
                supported=known(call.body.supported_managed_endpoint_providers) or (),
            )
        except Exception as error:
            raise RelayError(RelayInternal(reason="internal_error")) from error
        return LinkChallengeResponse(
            challenge=issued.token,
            expires_at=iso(issued.expires_at),
            managed_endpoint_provider=unset_if_none(issued.provider),
        )

    async def link(self, call: Call[User, LinkRequest]) -> LinkResponse:
        await self._limits.take(call.principal.user_id, "links")
        wish = LinkWish(
            user_id=call.principal.user_id,
            proof=call.body.proof,
            capabilities=_capabilities(call.body),
            device_id=call.body.device_id,
            provider=known(call.body.managed_endpoint_provider),
        )
        linked = await self._links.link(wish, call.arrival.origin)
        return LinkResponse(
            ok=True,
            cloud_user_id=call.principal.user_id,
            environment_id=linked.link.environment_id,
            endpoint=endpoint_of(linked.link),
            endpoint_runtime=None if linked.provisioned is None else runtime_of(linked.provisioned),
            relay_issuer=self._settings.origin,
            environment_credential=linked.credential,
            cloud_mint_public_key=self._cloud_mint_public_key,
        )

    async def unlink(self, call: Call[User, None]) -> Ok:
        try:
            ended = await self._links.unlink(
                user_id=call.principal.user_id,
                environment_id=call.param("environmentId"),
                origin=call.arrival.origin,
            )
        except StoreError as error:
            raise RelayError(RelayInternal(reason="internal_error")) from error
        return Ok(ok=ended)


def _capabilities(body: LinkChallengeRequest | LinkRequest) -> Capabilities:
    return Capabilities(
        body.notifications_enabled, body.live_activities_enabled, body.managed_tunnels_enabled
    )
