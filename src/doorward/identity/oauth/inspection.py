"""What a token is worth: userinfo (OpenID Connect Core §5.3), introspection (RFC 7662), revocation (RFC 7009)."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from doorward.identity.accounts import store as accounts
from doorward.identity.accounts.store import Account
from doorward.identity.audit import store as audit
from doorward.identity.errors import OAUTH_FETCH_USER_ERROR, USER_BANNED, Refused, not_found
from doorward.identity.keyed_hash import KeyedHash
from doorward.identity.oauth import clients, grants, rules
from doorward.identity.oauth.clients import OAuthClient
from doorward.identity.oauth.errors import OAuthError
from doorward.identity.oauth.grants import AccessToken, Grant
from doorward.identity.oauth.tokens import ACCESS_TOKEN_TYPE, OPAQUE_PURPOSE, REFRESH_PURPOSE, AccessClaims
from doorward.identity.settings import IdentitySettings
from doorward.identity.signing_keys.service import SigningKeys
from doorward.jose import JoseError, verify_jwt
from doorward.store import Clock, Database, Tx


class UserInfo(msgspec.Struct, frozen=True):
    account: Account
    scopes: frozenset[str]


class TokenInfo(msgspec.Struct, frozen=True):
    """A living token. Times in seconds."""

    client_id: str
    iat: int
    exp: int
    scope: str
    sub: str


class Living(msgspec.Struct, frozen=True):
    """An access token that is not expired, of a grant that is not revoked."""

    token: AccessToken
    grant: Grant


class Inspection:
    def __init__(
        self,
        settings: IdentitySettings,
        database: Database,
        clock: Clock,
        *,
        keyed_hash: KeyedHash,
        signing_keys: SigningKeys,
    ) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._hash = keyed_hash
        self._signing_keys = signing_keys

    async def user_info(self, access_token: str | None) -> UserInfo:
        """Raises Refused: 401 for a token that does not count here, 403 for a banned user.

        A token for an environment does not count here: that environment could replay it to read the profile.
        """
        find_living = self._finder(access_token)
        if find_living is None:
            raise Refused(OAUTH_FETCH_USER_ERROR)
        find = find_living

        def read(tx: Tx) -> UserInfo:
            living = find(tx)
            account = None if living is None else accounts.find_account(tx, living.grant.user_id)
            if (
                living is None
                or account is None
                or living.grant.resource not in (None, self._settings.origin)
            ):
                raise Refused(OAUTH_FETCH_USER_ERROR)
            if account.user.is_banned:
                raise Refused(USER_BANNED)
            return UserInfo(account, frozenset(living.token.scope.split()))

        return await self._database.read(read)

    async def token_info(self, client: OAuthClient, token: str) -> TokenInfo | None:
        """What a confidential client may know of its own token; None when it is not active."""
        if client.is_public:
            raise OAuthError("invalid_client", "Introspection needs a client with a secret")
        find, now = self._finder(token), self._clock()
        if find is not None:
            find_living = find

            def read(tx: Tx) -> TokenInfo | None:
                living = find_living(tx)
                if living is None or living.grant.client_id != client.client_id:
                    return None
                user = accounts.find_user(tx, living.grant.user_id)
                if user is None or user.is_banned:
                    return None
                return TokenInfo(
                    client.client_id,
                    living.token.created_at // 1000,
                    living.token.expire_at // 1000,
                    living.token.scope,
                    user.id,
                )

            return await self._database.read(read)
        token_hash = self._hash.of(REFRESH_PURPOSE, token)

        def find_refresh(tx: Tx) -> TokenInfo | None:
            refresh = grants.find_refresh_token(tx, token_hash)
            grant = None if refresh is None else grants.find_grant(tx, refresh.grant_id)
            if refresh is None or grant is None or grant.client_id != client.client_id:
                return None
            if grant.revoked_at is not None or refresh.rotated_at is not None or now >= refresh.expire_at:
                return None
            return TokenInfo(
                grant.client_id,
                refresh.created_at // 1000,
                refresh.expire_at // 1000,
                grant.scope,
                grant.user_id,
            )

        return await self._database.read(find_refresh)

    async def verify_opaque(self, token: str) -> Living:
        """What a back end may know of an opaque access token. Raises Refused (404) for one that does not count now,
        whatever is wrong with it; for JWTs too, which back ends verify by the key set."""
        find = self._finder(token) if rules.is_opaque_token(token) else None
        living = None if find is None else await self._database.read(lambda tx: _usable(tx, find(tx)))
        if living is None:
            raise Refused(not_found("No OAuth access token that counts here has this value."))
        return living

    async def revoke(self, client: OAuthClient, token: str) -> None:
        """Revoking a token revokes the whole grant. Unknown tokens are nobody's business.

        Raises OAuthError (`unsupported_token_type`) for a JWT access token, which verifiers check by themselves.
        """
        if self._claims(token) is not None:
            raise OAuthError("unsupported_token_type", "JWT access tokens expire by themselves")
        await self.revoke_grant_of(client.client_id, token, actor=None, because="revoked_by_client")

    async def revoke_grant_of(self, client_id: str, token: str, *, actor: str | None, because: str) -> bool:
        """Revoke the grant of a client's refresh or opaque access token; whether that token is one. Without `actor` it
        is the account's own doing."""
        now = self._clock()
        refresh_hash, opaque_hash = (
            self._hash.of(REFRESH_PURPOSE, token),
            self._hash.of(OPAQUE_PURPOSE, token),
        )

        def work(tx: Tx) -> bool:
            found = grants.find_refresh_token(tx, refresh_hash) or grants.find_opaque_token(tx, opaque_hash)
            grant = None if found is None else grants.find_grant(tx, found.grant_id)
            if grant is None or grant.client_id != client_id:
                return False
            if grants.revoke(tx, grant.id, because=because, now=now):
                audit.record(
                    tx, now=now, actor=actor or grant.user_id, action="oauth.revoked", object_id=grant.id
                )
            return True

        return await self._database.write(work)

    def _finder(self, token: str | None) -> Callable[[Tx], Living | None] | None:
        """How to find the access token that this is; None when it cannot be one."""
        if not token:
            return None
        now = self._clock()
        if rules.is_opaque_token(token):
            token_hash = self._hash.of(OPAQUE_PURPOSE, token)
            return lambda tx: _living(tx, grants.find_opaque_token(tx, token_hash), now)
        claims = self._claims(token)
        if claims is None:
            return None
        jti = claims.jti
        return lambda tx: _living(tx, grants.find_access_token(tx, jti), now)

    def _claims(self, token: str | None) -> AccessClaims | None:
        """The claims of an authentic, unexpired access token of ours."""
        if not token:
            return None
        try:
            return verify_jwt(
                token,
                self._signing_keys.public_keys,
                claims=AccessClaims,
                now=self._clock() // 1000,
                typ=ACCESS_TOKEN_TYPE,
                issuer=self._settings.origin,
            ).claims
        except JoseError:
            return None


def _living(tx: Tx, token: AccessToken | None, now: int) -> Living | None:
    grant = None if token is None else grants.find_grant(tx, token.grant_id)
    if token is None or grant is None or grant.revoked_at is not None or now >= token.expire_at:
        return None
    return Living(token, grant)


def _usable(tx: Tx, living: Living | None) -> Living | None:
    """Unless its account or its application is gone or barred: a ban ends tokens at once."""
    if living is None:
        return None
    user = accounts.find_user(tx, living.grant.user_id)
    is_barred = user is None or user.is_banned or clients.find(tx, living.grant.client_id) is None
    return None if is_barred else living
