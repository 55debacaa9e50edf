"""One machine's M2M tokens: making, verifying and revoking them with its secret key."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal, TypeVar

import msgspec

from doorward.jose import PublicKey
from doorward.verify import reasons
from doorward.verify.authenticator import Authenticator
from doorward.verify.effects import ApiAnswer, ApiCall, Flow
from doorward.verify.errors import (
    ApiError,
    BadRequest,
    ConfigurationError,
    NotAllowed,
    SecretKeyRefused,
    TokenNotFound,
    TokenRefused,
    Unreachable,
)
from doorward.verify.machine_tokens import BearerToken, MachineTokenRefused, verify_machine_token
from doorward.verify.results import M2MAuth
from doorward.verify.transport import Send, SendAsync, send, send_async

T = TypeVar("T")
TokenFormat = Literal["opaque", "jwt"]


class M2MToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token of a machine. `token` is its text, given once, when it is made. Times are milliseconds since 1970;
    `expiration` None: it does not expire."""

    id: str
    subject: str
    scopes: tuple[str, ...] = ()
    claims: dict[str, Any] | None = None
    revoked: bool = False
    revocation_reason: str | None = None
    expired: bool = False
    expiration: float | None = None
    created_at: float | None = None
    updated_at: float | None = None
    token: str | None = None

    def __repr__(self) -> str:
        return f"M2MToken(id={self.id!r}, subject={self.subject!r})"


class Machine:
    """This machine, speaking for itself: every call with its secret key, and every call twice, in a thread and,
    with `_async`, in a coroutine.

        billing = Machine()                                   # CLERK_MACHINE_SECRET_KEY, CLERK_API_URL
        made = billing.create_token(seconds_until_expiration=300)
        caller = inventory.verify_token(made.token)           # on the other machine

    `machine_secret_key` beats CLERK_MACHINE_SECRET_KEY. `jwt_key` or `jwks_url` are for tokens in JWT format, which
    are then verified without a call: a revoked one is good until it expires, so keep those short.
    """

    def __init__(
        self,
        *,
        machine_secret_key: str | None = None,
        api_url: str | None = None,
        jwt_key: str | PublicKey | None = None,
        jwks_url: str | None = None,
        audience: str | Collection[str] | None = None,
        clock_skew: float = 5.0,
        send: Send = send,
        send_async: SendAsync = send_async,
        clock: Callable[[], float] = time.time,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        environ = os.environ if environment is None else environment
        key = machine_secret_key or environ.get("CLERK_MACHINE_SECRET_KEY", "")
        if not key.startswith("ak_"):
            raise ConfigurationError(
                "a machine's secret key begins with ak_; set CLERK_MACHINE_SECRET_KEY or pass machine_secret_key"
            )
        # The instance's key stays out of this object's reach: a machine must not act as the whole instance.
        own = {name: value for name, value in environ.items() if name in ("CLERK_API_URL", "CLERK_JWT_KEY")}
        self._shell = Authenticator(
            machine_secret_key=key,
            api_url=api_url,
            jwt_key=jwt_key,
            jwks_url=jwks_url,
            audience=audience,
            clock_skew=clock_skew,
            accepts_token="m2m_token",
            send=send,
            send_async=send_async,
            clock=clock,
            environment=own,
        )
        self._key = key
        self._clock = clock

    def __repr__(self) -> str:
        return f"Machine(api_url={self._shell.settings.api_url!r})"

    def create_token(
        self,
        *,
        claims: Mapping[str, Any] | None = None,
        seconds_until_expiration: float | None = None,
        token_format: TokenFormat = "opaque",
        min_remaining_ttl_seconds: float | None = None,
    ) -> M2MToken:
        """A new token of this machine. With `min_remaining_ttl_seconds`, one made before that lives that much longer
        may be given again. Raises ApiError."""
        return self._shell.run(
            self._create(claims, seconds_until_expiration, token_format, min_remaining_ttl_seconds)
        )

    async def create_token_async(
        self,
        *,
        claims: Mapping[str, Any] | None = None,
        seconds_until_expiration: float | None = None,
        token_format: TokenFormat = "opaque",
        min_remaining_ttl_seconds: float | None = None,
    ) -> M2MToken:
        """As `create_token`, in a coroutine."""
        return await self._shell.run_async(
            self._create(claims, seconds_until_expiration, token_format, min_remaining_ttl_seconds)
        )

    def verify_token(self, token: str) -> M2MAuth:
        """The machine `token` speaks for, if it may speak to this one. Raises TokenRefused, ApiError."""
        return self._shell.run(self._verify(token))

    async def verify_token_async(self, token: str) -> M2MAuth:
        """As `verify_token`, in a coroutine."""
        return await self._shell.run_async(self._verify(token))

    def revoke_token(self, token_id: str, *, revocation_reason: str | None = None) -> M2MToken:
        """End an opaque token of this machine, at once and everywhere. Raises ApiError."""
        return self._shell.run(self._revoke(token_id, revocation_reason))

    async def revoke_token_async(self, token_id: str, *, revocation_reason: str | None = None) -> M2MToken:
        """As `revoke_token`, in a coroutine."""
        return await self._shell.run_async(self._revoke(token_id, revocation_reason))

    def list_tokens(
        self, subject: str, *, revoked: bool = False, expired: bool = False, limit: int = 10, offset: int = 0
    ) -> tuple[M2MToken, ...]:
        """The tokens of `subject`, which must be this machine, newest first and without their texts. Raises ApiError."""
        return self._shell.run(self._list(subject, revoked, expired, limit, offset))

    async def list_tokens_async(
        self, subject: str, *, revoked: bool = False, expired: bool = False, limit: int = 10, offset: int = 0
    ) -> tuple[M2MToken, ...]:
        """As `list_tokens`, in a coroutine."""
        return await self._shell.run_async(self._list(subject, revoked, expired, limit, offset))

    def _create(
        self,
        claims: Mapping[str, Any] | None,
        seconds: float | None,
        token_format: TokenFormat,
        min_remaining: float | None,
    ) -> Flow[M2MToken]:
        body: dict[str, Any] = {
            "claims": claims,
            "seconds_until_expiration": seconds,
            "token_format": token_format,
        }
        if min_remaining is not None:
            body["min_remaining_ttl_seconds"] = min_remaining
        answer = yield from self._call("POST", "/m2m_tokens", body=body)
        return _as(answer.body, M2MToken)

    def _verify(self, token: str) -> Flow[M2MAuth]:
        bearer = BearerToken(token)
        if bearer.machine_type != "m2m_token":
            raise TokenRefused(
                reasons.TOKEN_TYPE_MISMATCH, "This is no machine's token (mt_, or a JWT of mch_)."
            )
        try:
            found = yield from verify_machine_token(bearer, self._shell.settings, self._clock())
        except MachineTokenRefused as refusal:
            raise _error_of(refusal.status, refusal.code, refusal.message) from None
        assert isinstance(found, M2MAuth)
        return found

    def _revoke(self, token_id: str, reason: str | None) -> Flow[M2MToken]:
        if not token_id or not token_id.isascii() or not token_id.replace("_", "").isalnum():
            raise BadRequest("the id of a token is due, such as mt_…; not the token itself")
        answer = yield from self._call(
            "POST", f"/m2m_tokens/{token_id}/revoke", body={"revocation_reason": reason}
        )
        return _as(answer.body, M2MToken)

    def _list(
        self, subject: str, revoked: bool, expired: bool, limit: int, offset: int
    ) -> Flow[tuple[M2MToken, ...]]:
        query = {"subject": subject, "limit": str(limit), "offset": str(offset)}
        query |= {name: "true" for name, is_asked in (("revoked", revoked), ("expired", expired)) if is_asked}
        answer = yield from self._call("GET", "/m2m_tokens", query=query)
        body = answer.body if isinstance(answer.body, dict) else {}
        listed = body.get("m2m_tokens", body.get("data"))
        return tuple(_as(each, M2MToken) for each in (listed if isinstance(listed, list) else []))

    def _call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Flow[ApiAnswer]:
        answer: ApiAnswer = yield ApiCall(
            method=method, path=path, body=body, query=query or {}, bearer=self._key
        )
        if not answer.is_success:
            code, message = answer.first_error()
            raise _error_of(answer.status, code, message)
        return answer


_BY_STATUS: dict[int, type[ApiError]] = {
    400: BadRequest,
    401: SecretKeyRefused,
    403: NotAllowed,
    404: TokenNotFound,
    422: BadRequest,
}


def _error_of(status: int | None, code: str | None, message: str | None) -> ApiError | TokenRefused:
    """The error for an answer; its sentence ends with what to do about it."""
    if status is None and code in (reasons.TOKEN_INVALID, reasons.TOKEN_VERIFICATION_FAILED):
        return TokenRefused(code, message or "The token is not valid.")
    kind = Unreachable if status is None else _BY_STATUS.get(status, ApiError)
    said = message or ("The accounts server does not answer." if status is None else f"It answered {status}.")
    text = f"{said.rstrip('.')}. {kind.action}" if kind.action else said
    return kind(text, status=status, code=kind.code if kind is not ApiError else code)


def _as(body: Any, shape: type[T]) -> T:
    try:
        return msgspec.convert(body, shape)
    except msgspec.ValidationError:
        raise Unreachable(
            "The answer is not what the Backend API answers. Check `api_url` (CLERK_API_URL)."
        ) from None
