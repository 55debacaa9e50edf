"""API keys as Clerk's Backend API writes them. Times in milliseconds."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from doorward.identity.api_keys.rules import SUBJECT
from doorward.identity.backend_api.wire.m2m_tokens import Seconds
from doorward.identity.backend_api.wire.shapes import Body, Offset, Query

Subject = Annotated[str, msgspec.Meta(pattern=SUBJECT)]
Type = Annotated[str, msgspec.Meta(min_length=3, max_length=25)]
Name = Annotated[str, msgspec.Meta(min_length=3, max_length=255, pattern=r"^\S(?:.*\S)?$")]
Description = Annotated[str, msgspec.Meta(max_length=255)]
Scopes = Annotated[
    tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=255)], ...], msgspec.Meta(max_length=150)
]


class APIKey(msgspec.Struct, kw_only=True):
    object: str = "api_key"
    id: str
    type: str
    subject: str
    name: str
    description: str | None
    claims: msgspec.Raw
    """An object, or null."""
    scopes: list[str]
    revoked: bool
    revocation_reason: str | None
    expired: bool
    expiration: int | None
    created_by: str | None
    last_used_at: int | None
    created_at: int
    updated_at: int


class MadeAPIKey(APIKey, kw_only=True):
    secret: str


class APIKeySecret(msgspec.Struct):
    secret: str


class ListAPIKeys(Query, frozen=True, kw_only=True):
    subject: str
    type: str = "api_key"
    include_invalid: Literal["true", "false"] = "false"
    query: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 10
    offset: Offset = 0


class CreateAPIKey(Body, frozen=True, kw_only=True):
    type: Type | None = None
    name: Name
    subject: Subject
    description: Description | None = None
    claims: dict[str, Any] | None = None
    scopes: Scopes | None = None
    created_by: str | None = None
    seconds_until_expiration: Seconds | None = None


class UpdateAPIKey(Body, frozen=True, kw_only=True):
    subject: Subject | msgspec.UnsetType = msgspec.UNSET
    description: Description | msgspec.UnsetType | None = msgspec.UNSET
    claims: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET
    scopes: Scopes | msgspec.UnsetType = msgspec.UNSET
    seconds_until_expiration: Seconds | msgspec.UnsetType | None = msgspec.UNSET


class RevokeAPIKey(Body, frozen=True, kw_only=True):
    revocation_reason: Annotated[str, msgspec.Meta(max_length=1024)] | None = None


class VerifyAPIKey(Body, frozen=True, kw_only=True):
    secret: str
