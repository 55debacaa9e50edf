"""Sessions, clients and their tokens as the Backend API shows and takes them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from doorward.identity.backend_api.wire.shapes import Body, Listed, Page, Query
from doorward.identity.resources.sessions import SessionActivity, Token

Status = Literal["abandoned", "active", "ended", "expired", "removed", "replaced", "revoked", "pending"]


class Session(msgspec.Struct):
    id: str
    user_id: str
    client_id: str
    status: str
    actor: msgspec.Raw | None
    latest_activity: SessionActivity
    last_active_at: int
    expire_at: int
    abandon_at: int
    created_at: int
    updated_at: int
    object: str = "session"
    last_active_organization_id: str | None = None
    tasks: list[str] = []


class Client(msgspec.Struct):
    id: str
    session_ids: list[str]
    sessions: list[Session]
    last_active_session_id: str | None
    last_authentication_strategy: str | None
    created_at: int
    updated_at: int
    object: str = "client"
    sign_in_id: None = None
    sign_up_id: None = None


Sessions = Listed[Session] | list[Session]
Clients = Listed[Client] | list[Client]


class SessionPage(Page, frozen=True, kw_only=True):
    client_id: str | None = None
    user_id: str | None = None
    status: Status | None = None


class CreateSession(Body, frozen=True, kw_only=True):
    user_id: str
    active_organization_id: str | None = None


class CreateToken(Body, frozen=True, kw_only=True):
    expires_in_seconds: Annotated[int, msgspec.Meta(ge=30, le=315_360_000)] | None = None


class RefreshQuery(Query, frozen=True, kw_only=True):
    suffixed_cookies: bool = False


class Cookies(msgspec.Struct, tag_field="object", tag="cookies"):
    """Set-Cookie header lines, whole."""

    cookies: list[str]


class Refresh(Body, frozen=True, kw_only=True):
    expired_token: str
    refresh_token: str
    request_origin: str
    request_headers: dict[str, Any] | None = None
    format: Literal["token", "cookie"] | None = "token"
    request_originating_ip: str | None = None

    def __repr__(self) -> str:
        return "Refresh(…)"


class GivenToken(Body, frozen=True, kw_only=True):
    token: str

    def __repr__(self) -> str:
        return "GivenToken(…)"


Refreshed = Token | Cookies
