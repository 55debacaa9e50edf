"""OAuth applications and their access tokens as Clerk's Backend API writes them. Times in milliseconds."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from doorward.identity.backend_api.wire.shapes import Body, Page

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Scopes = Annotated[str, msgspec.Meta(max_length=1024)]
CallbackUrl = Annotated[str, msgspec.Meta(max_length=1024)]
#: Ours: Clerk decides it for the whole instance.
AccessTokenFormat = Literal["jwt", "opaque"]


class OAuthApplication(msgspec.Struct, kw_only=True):
    object: str = "oauth_application"
    id: str
    instance_id: str
    name: str
    client_id: str
    client_uri: str | None = None
    client_image_url: str | None = None
    dynamically_registered: bool = False
    consent_screen_enabled: bool
    pkce_required: bool
    public: bool
    scopes: str
    redirect_uris: list[str]
    callback_url: str
    authorize_url: str
    token_fetch_url: str
    user_info_url: str
    discovery_url: str
    token_introspection_url: str
    access_token_format: AccessTokenFormat
    created_at: int
    updated_at: int


class OAuthApplicationWithSecret(OAuthApplication, kw_only=True):
    client_secret: str | msgspec.UnsetType = msgspec.UNSET
    """Absent of a public application."""


class ListOAuthApplications(Page, frozen=True, kw_only=True):
    order_by: str = "+created_at"
    name_query: str | None = None


class CreateOAuthApplication(Body, frozen=True, kw_only=True):
    """`callback_url` is the older way to give one redirect URI."""

    name: Name
    redirect_uris: list[str] | None = None
    callback_url: CallbackUrl | None = None
    scopes: Scopes | None = None
    consent_screen_enabled: bool | None = None
    pkce_required: bool | None = None
    public: bool | None = None
    access_token_format: AccessTokenFormat | None = None


class UpdateOAuthApplication(Body, frozen=True, kw_only=True):
    name: Name | None = None
    redirect_uris: list[str] | None = None
    callback_url: CallbackUrl | None = None
    scopes: Scopes | None = None
    consent_screen_enabled: bool | None = None
    pkce_required: bool | None = None
    public: bool | None = None
    access_token_format: AccessTokenFormat | None = None


class RevokeOAuthToken(Body, frozen=True, kw_only=True):
    token: str


class OAuthAccessToken(msgspec.Struct, kw_only=True):
    """A token that counts: what was revoked or has expired is never told."""

    object: str = "clerk_idp_oauth_access_token"
    id: str
    type: str = "oauth:access_token"
    client_id: str
    subject: str
    scopes: list[str]
    revoked: bool = False
    revocation_reason: str | None = None
    expired: bool = False
    expiration: int
    created_at: int
    updated_at: int


class VerifyOAuthAccessToken(Body, frozen=True, kw_only=True):
    """`secret` is the older name; Clerk's Python SDK still uses it."""

    access_token: str | None = None
    secret: str | None = None
