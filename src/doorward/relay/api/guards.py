"""Who is calling: one guard per kind of credential."""

import re
from typing import Any

import msgspec

from doorward.relay.credentials.service import Credentials
from doorward.relay.credentials.store import CredentialOwner
from doorward.relay.http.routing import Arrival, Call
from doorward.relay.tokens.access_token import AccessToken, verify_access_token
from doorward.relay.tokens.rules import InvalidToken, TokenSigner
from doorward.relay.users.service import NotAuthenticated, User, Users
from doorward.spans import traced
from doorward.store import Clock
from doorward.t3_connect.errors import AuthInvalid, RelayError, RelayInternal
from doorward.verify import KeySetUnavailable

_DPOP_SCHEME = re.compile(r"dpop +(.*)", re.IGNORECASE | re.DOTALL)
_BEARER_PREFIX = len("bearer") + 1


class DpopPrincipal(msgspec.Struct, frozen=True):
    """A verified access token and its text, which the proof must name. The proof itself is not checked yet."""

    token: AccessToken
    text: str

    def __repr__(self) -> str:
        return f"DpopPrincipal(user_id={self.token.user_id!r})"


class Guards:
    def __init__(self, users: Users, credentials: Credentials, signer: TokenSigner, clock: Clock) -> None:
        self._users = users
        self._credentials = credentials
        self._signer = signer
        self._clock = clock

    @traced("relay.auth.client.bearer")
    async def account(self, arrival: Arrival) -> User:
        try:
            return await self._users.authenticate(_bearer(arrival))
        except NotAuthenticated as error:
            raise RelayError(AuthInvalid(reason="invalid_bearer")) from error
        except KeySetUnavailable as error:
            # The token may be perfectly good: that is our failure, and no reason to sign in again.
            raise RelayError(RelayInternal(reason="upstream_unavailable")) from error

    @traced("relay.auth.dpop_client")
    async def dpop(self, arrival: Arrival) -> DpopPrincipal:
        match = _DPOP_SCHEME.fullmatch(arrival.headers.get("authorization") or "")
        if match is None:
            raise RelayError(AuthInvalid(reason="invalid_bearer"))
        text = match[1].strip()
        try:
            token = verify_access_token(self._signer, text, now=self._clock() // 1000)
        except InvalidToken as error:
            raise RelayError(AuthInvalid(reason="invalid_bearer")) from error
        await self._refuse_barred(token.user_id, AuthInvalid(reason="invalid_bearer"))
        return DpopPrincipal(token, text)

    @traced("relay.auth.environment.bearer")
    async def environment(self, arrival: Arrival) -> CredentialOwner:
        token = _bearer(arrival)
        owner = await self._credentials.authenticate(token) if token else None
        if owner is None:
            raise RelayError(AuthInvalid(reason="not_authorized"))
        await self._refuse_barred(owner.user_id, AuthInvalid(reason="not_authorized"))
        return owner

    async def _refuse_barred(self, user_id: str, refusal: AuthInvalid) -> None:
        try:
            await self._users.refuse_barred(user_id)
        except NotAuthenticated as error:
            raise RelayError(refusal) from error


def require_own_environment(call: Call[CredentialOwner, Any]) -> CredentialOwner:
    """The credential's owner, if the path is its own environment's."""
    if call.principal.environment_id != call.param("environmentId"):
        raise RelayError(AuthInvalid(reason="not_authorized"))
    return call.principal


def _bearer(arrival: Arrival) -> str:
    """The credential, whatever the scheme is called: peers of the original depend on its first seven characters
    being dropped unread. Nothing is lost, as only a verified token counts."""
    return (arrival.headers.get("authorization") or "")[_BEARER_PREFIX:].lstrip()
