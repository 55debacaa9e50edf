"""JWKS (RFC 7517) and the discovery documents (OpenID Connect Discovery, RFC 8414). Public, cacheable, any origin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from doorward.identity.oauth.clients import DEVICE_CODE
from doorward.identity.signing_keys.rules import JWKS_MAX_AGE

if TYPE_CHECKING:
    from doorward.identity.services import Identity

_DISCOVERY_MAX_AGE = 3600


class ProviderMetadata(msgspec.Struct, omit_defaults=True):
    """Members of both documents, in Clerk's order; optional ones are left out when None."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    revocation_endpoint: str
    jwks_uri: str
    device_authorization_endpoint: str
    scopes_supported: list[str]
    response_types_supported: list[str]
    response_modes_supported: list[str]
    grant_types_supported: list[str]
    token_endpoint_auth_methods_supported: list[str]
    code_challenge_methods_supported: list[str]
    authorization_response_iss_parameter_supported: bool
    introspection_endpoint: str | None = None
    userinfo_endpoint: str | None = None
    subject_types_supported: list[str] | None = None
    id_token_signing_alg_values_supported: list[str] | None = None
    claims_supported: list[str] | None = None
    prompt_values_supported: list[str] | None = None
    ui_locales_supported: list[str] | None = None
    backchannel_logout_supported: bool | None = None
    frontchannel_logout_supported: bool | None = None


def _metadata(origin: str) -> ProviderMetadata:
    return ProviderMetadata(
        issuer=origin,
        authorization_endpoint=f"{origin}/oauth/authorize",
        token_endpoint=f"{origin}/oauth/token",
        revocation_endpoint=f"{origin}/oauth/token/revoke",
        jwks_uri=f"{origin}/.well-known/jwks.json",
        device_authorization_endpoint=f"{origin}/oauth/device_authorization",
        scopes_supported=["openid", "profile", "email", "offline_access"],
        response_types_supported=["code"],
        response_modes_supported=["query"],
        grant_types_supported=["authorization_code", "refresh_token", DEVICE_CODE],
        token_endpoint_auth_methods_supported=["client_secret_basic", "client_secret_post", "none"],
        code_challenge_methods_supported=["S256"],
        authorization_response_iss_parameter_supported=True,
    )


def openid_configuration(origin: str) -> ProviderMetadata:
    metadata = _metadata(origin)
    metadata.introspection_endpoint = f"{origin}/oauth/token_info"
    metadata.userinfo_endpoint = f"{origin}/oauth/userinfo"
    metadata.subject_types_supported = ["public"]
    metadata.id_token_signing_alg_values_supported = ["RS256"]
    metadata.prompt_values_supported = ["none", "login", "consent"]
    metadata.claims_supported = [
        "sub",
        "iss",
        "aud",
        "exp",
        "iat",
        "auth_time",
        "nonce",
        "at_hash",
        "sid",
        "email",
        "email_verified",
        "name",
        "given_name",
        "family_name",
        "picture",
    ]
    metadata.backchannel_logout_supported = False
    metadata.frontchannel_logout_supported = False
    return metadata


def authorization_server(origin: str) -> ProviderMetadata:
    metadata = _metadata(origin)
    metadata.ui_locales_supported = ["en"]
    return metadata


def routes(identity: Identity) -> list[Route]:
    origin = identity.settings.origin

    async def jwks(request: Request) -> Response:
        return _public(identity.signing_keys.key_set, JWKS_MAX_AGE)

    async def openid(request: Request) -> Response:
        return _public(openid_configuration(origin), _DISCOVERY_MAX_AGE)

    async def oauth(request: Request) -> Response:
        return _public(authorization_server(origin), _DISCOVERY_MAX_AGE)

    return [
        Route("/.well-known/jwks.json", jwks),
        Route("/.well-known/openid-configuration", openid),
        Route("/.well-known/oauth-authorization-server", oauth),
    ]


def _public(body: msgspec.Struct, max_age: int) -> Response:
    return Response(
        msgspec.json.encode(body),
        headers={"Cache-Control": f"public, max-age={max_age}", "Access-Control-Allow-Origin": "*"},
        media_type="application/json",
    )
