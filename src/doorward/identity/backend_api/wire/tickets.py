"""Sign-in tokens, actor tokens and testing tokens. Only the answer that makes one holds `token` and `url`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from doorward.identity.backend_api.wire.shapes import Body

TicketStatus = Literal["pending", "accepted", "revoked"]
SIGN_IN_SECONDS = 30 * 86_400
_Seconds = Annotated[int, msgspec.Meta(ge=1, le=315_360_000)]


class SignInToken(msgspec.Struct, omit_defaults=True):
    id: str
    status: TicketStatus
    user_id: str
    created_at: int
    updated_at: int
    object: Literal["sign_in_token"] = msgspec.field(default_factory=lambda: "sign_in_token")
    token: str | None = None
    url: str | None = None


class ActorToken(msgspec.Struct, omit_defaults=True):
    id: str
    status: TicketStatus
    user_id: str
    actor: msgspec.Raw
    created_at: int
    updated_at: int
    object: Literal["actor_token"] = msgspec.field(default_factory=lambda: "actor_token")
    token: str | None = None
    url: str | None = None


class TestingToken(msgspec.Struct):
    """`expires_at` is in seconds, alone of all resources."""

    token: str
    expires_at: int
    object: str = "testing_token"


class CreateSignInToken(Body, frozen=True, kw_only=True):
    user_id: str
    org_id: str | None = None
    expires_in_seconds: _Seconds | None = SIGN_IN_SECONDS


class CreateActorToken(Body, frozen=True, kw_only=True):
    user_id: str
    actor: dict[str, Any]
    expires_in_seconds: _Seconds = 3600
    session_max_duration_in_seconds: _Seconds = 1800
