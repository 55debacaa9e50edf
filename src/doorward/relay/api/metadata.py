"""Health and OAuth metadata (RFC 8414, RFC 9728)."""

from typing import Any

from msgspec import UNSET

from doorward.relay.http.routing import Call, Route, anyone
from doorward.relay.settings import RelaySettings
from doorward.store import Database, StoreError
from doorward.t3_connect.errors import RelayError, RelayInternal
from doorward.t3_connect.messages import (
    GRANT_TYPE_TOKEN_EXCHANGE,
    AuthorizationServerMetadata,
    ProtectedResourceMetadata,
    RelayHealth,
)
from doorward.t3_connect.scopes import RELAY_SCOPES

TOKEN_PATH = "/v1/client/dpop-token"  # noqa: S105 - a path
DPOP_ALGORITHMS = ("ES256",)


class MetadataApi:
    def __init__(self, settings: RelaySettings, database: Database) -> None:
        self._issuer = settings.issuer
        self._provider = settings.provider
        self._database = database

    def routes(self) -> list[Route[Any, Any]]:
        return [
            Route(
                "GET",
                "/health",
                self.health,
                anyone,
                "Whether the relay and its database answer",
                response=(RelayHealth,),
            ),
            Route(
                "GET",
                "/.well-known/oauth-authorization-server",
                self.authorization_server,
                anyone,
                "OAuth authorization server metadata",
                response=(AuthorizationServerMetadata,),
            ),
            Route(
                "GET",
                "/.well-known/oauth-protected-resource",
                self.protected_resource,
                anyone,
                "OAuth protected resource metadata",
                response=(ProtectedResourceMetadata,),
            ),
        ]

    async def health(self, _call: Call[None, None]) -> RelayHealth:
        try:
            await self._database.read(lambda tx: tx.fetch_one("SELECT 1"))
        except StoreError as error:
            raise RelayError(RelayInternal(reason="database_unavailable")) from error
        return RelayHealth(ok=True, service="relay")

    async def authorization_server(self, _call: Call[None, None]) -> AuthorizationServerMetadata:
        return AuthorizationServerMetadata(
            issuer=self._issuer,
            token_endpoint=self._issuer + TOKEN_PATH,
            grant_types_supported=(GRANT_TYPE_TOKEN_EXCHANGE,),
            token_endpoint_auth_methods_supported=("none",),
            dpop_signing_alg_values_supported=DPOP_ALGORITHMS,
            scopes_supported=RELAY_SCOPES,
            doorward_managed_endpoints=UNSET if self._provider == "cloudflare" else self._provider,
        )

    async def protected_resource(self, _call: Call[None, None]) -> ProtectedResourceMetadata:
        return ProtectedResourceMetadata(
            resource=self._issuer,
            authorization_servers=(self._issuer,),
            scopes_supported=RELAY_SCOPES,
            dpop_bound_access_tokens_required=True,
            dpop_signing_alg_values_supported=DPOP_ALGORITHMS,
        )
