"""Authenticating accounts."""

import logging
from collections.abc import Collection
from typing import Literal

import msgspec

from doorward.jose import JoseError
from doorward.outbound import Outbound, OutboundError
from doorward.relay.endpoints import store as endpoint_store
from doorward.relay.endpoints.rules import urls_of
from doorward.relay.settings import ClerkCloud, RelaySettings
from doorward.relay.users import clerk
from doorward.relay.users.barring import IsBarred, nobody_is_barred
from doorward.relay.users.rules import audiences, is_for_relay, is_recent
from doorward.spans import traced
from doorward.store import Clock, Database
from doorward.verify import AccessToken, JwksCache, verify_oauth_access_token, verify_session_token

logger = logging.getLogger("doorward.relay")


class User(msgspec.Struct, frozen=True):
    """An account, and the kind of token that spoke for it."""

    user_id: str
    mode: Literal["session", "oauth"]


class Subject(msgspec.Struct, frozen=True):
    """Whom an access token of the relay may be issued for.

    `environment_id`: the only environment it may reach. `thumbprint`: the DPoP key the subject token is itself
    bound to, which must then be the key of the new one.
    """

    user_id: str
    environment_id: str | None = None
    thumbprint: str | None = None


class NotAuthenticated(Exception):
    """No account can be told from the token. `code` is for logs."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Users:
    def __init__(
        self,
        settings: RelaySettings,
        database: Database,
        outbound: Outbound,
        clock: Clock,
        *,
        is_barred: IsBarred = nobody_is_barred,
    ) -> None:
        self._settings = settings
        self._is_barred = is_barred
        self._database = database
        self._clock = clock
        self._outbound = outbound
        self._jwks = JwksCache(settings.jwks_url, fetch=lambda url: _fetch(outbound, url))
        self._bearer_clients = frozenset(settings.oauth_client_ids) - {settings.gate_client_id}

    @traced("verify_clerk_bearer_token")
    async def authenticate(self, token: str) -> User:
        """The account of a bearer token: session first, then OAuth. Raises `NotAuthenticated`, `KeySetUnavailable`.

        A gate's token speaks for one visit to one machine, not for the account's links, and is refused.
        """
        if not token:
            raise NotAuthenticated("missing")
        try:
            return User((await self.session_subject(token)).user_id, "session")
        except NotAuthenticated:
            access = await self._access_token(token, self._bearer_clients)
        if access.thumbprint is not None or not is_for_relay(access, self._settings.issuer):
            raise NotAuthenticated("audience_mismatch")
        return User(access.user_id, "oauth")

    async def session_subject(self, token: str) -> Subject:
        """The account of a session-template JWT, which must name our audience."""
        try:
            session = await verify_session_token(
                token,
                jwks=self._jwks,
                issuer=self._settings.accounts_issuer,
                audience=self._settings.jwt_audience,
                now=self._clock() // 1000,
            )
        except JoseError as error:
            raise NotAuthenticated(error.code) from error
        if not session.user_id.strip():
            raise NotAuthenticated("missing_claim")
        await self.refuse_barred(session.user_id)
        return Subject(session.user_id)

    async def refuse_barred(self, user_id: str) -> None:
        """The one check that keeps banned and deleted accounts out, whatever they hold. Raises `NotAuthenticated`."""
        if await self._is_barred(user_id):
            raise NotAuthenticated("account_barred")

    async def client_subject(self, token: str, client_id: str) -> Subject:
        """The account of an OAuth access token that `client_id` itself was given.

        A gate's token must name, as audience, the origin of an environment its account has linked; the answer is
        narrowed to that environment, so that what one machine's page obtained opens no other machine.
        """
        if client_id not in self._settings.oauth_client_ids:
            raise NotAuthenticated("client_not_listed")
        access = await self._access_token(token, {client_id})
        if not is_recent(access, now=self._clock() // 1000):
            raise NotAuthenticated("too_old")
        if client_id != self._settings.gate_client_id:
            if not is_for_relay(access, self._settings.issuer):
                raise NotAuthenticated("audience_mismatch")
            return Subject(access.user_id, thumbprint=access.thumbprint)
        named = audiences(access)
        environment_id = await self._environment_at(access.user_id, named[0]) if len(named) == 1 else None
        if environment_id is None:
            raise NotAuthenticated("audience_mismatch")
        return Subject(access.user_id, environment_id, access.thumbprint)

    async def _access_token(self, token: str, client_ids: Collection[str]) -> AccessToken:
        if self._settings.clerk is not None and token.startswith(clerk.PREFIX):
            access = await self._opaque_token(token, self._settings.clerk, client_ids)
        else:
            access = await self._signed_token(token, client_ids)
        if not access.user_id.strip():
            raise NotAuthenticated("missing_claim")
        await self.refuse_barred(access.user_id)
        return access

    async def _signed_token(self, token: str, client_ids: Collection[str]) -> AccessToken:
        try:
            return await verify_oauth_access_token(
                token,
                jwks=self._jwks,
                issuer=self._settings.accounts_issuer,
                client_ids=client_ids,
                now=self._clock() // 1000,
            )
        except JoseError as error:
            raise NotAuthenticated(error.code) from error

    async def _opaque_token(self, token: str, cloud: ClerkCloud, client_ids: Collection[str]) -> AccessToken:
        access = await clerk.verify_opaque_token(token, cloud, outbound=self._outbound)
        if access is None:
            raise NotAuthenticated("token_refused")
        if access.client_id not in client_ids:
            raise NotAuthenticated("client_not_listed")
        return access

    async def _environment_at(self, user_id: str, origin: str) -> str | None:
        """The environment whose API host has this origin, among the account's own links."""
        [rows] = await self._database.ask(endpoint_store.linked_of_user(user_id))
        for row in endpoint_store.allocations_of(rows):
            if row.is_ready and urls_of(row.hostname, self._settings).http == f"{origin}/":
                return row.environment_id
        return None


async def _fetch(outbound: Outbound, url: str) -> bytes:
    """The key set's bytes. Raises `OSError`, as the key cache expects of a failed fetch."""
    try:
        response = await outbound.request("GET", url, headers={"accept": "application/json"}, timeout=5.0)
    except OutboundError as error:
        logger.warning("The accounts server's key set cannot be fetched: %s", error)
        raise OSError(str(error)) from error
    if response.status != 200:
        logger.warning("The accounts server's key set was answered with status %d.", response.status)
        raise OSError(f"status {response.status}")
    return response.body
