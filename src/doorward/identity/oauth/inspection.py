"""What a token is worth: userinfo (OpenID Connect Core §5.3), introspection (RFC 7662), revocation (RFC 7009)."""

from __future__ import annotations

import msgspec

from doorward.identity.accounts import store as accounts
from doorward.identity.accounts.store import Account
from doorward.identity.audit import store as audit
from doorward.identity.errors import OAUTH_FETCH_USER_ERROR, USER_BANNED, Refused
from doorward.identity.keyed_hash import KeyedHash
from doorward.identity.oauth import grants
from doorward.identity.oauth.clients import OAuthClient
from doorward.identity.oauth.errors import OAuthError
from doorward.identity.oauth.tokens import ACCESS_TOKEN_TYPE, REFRESH_PURPOSE, AccessClaims
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
        claims = self._claims(access_token)
        if claims is None or (claims.aud is not None and self._settings.origin not in claims.aud):
            raise Refused(OAUTH_FETCH_USER_ERROR)
        found = claims

        def find(tx: Tx) -> Account:
            account = accounts.find_account(tx, found.sub)
            if account is not None and account.user.is_banned:
                raise Refused(USER_BANNED)
            grant = grants.grant_of_access_token(tx, found.jti)
            if account is None or grant is None or grant.revoked_at is not None:
                raise Refused(OAUTH_FETCH_USER_ERROR)
            return account

        return UserInfo(await self._database.read(find), frozenset(claims.scope.split()))

    async def token_info(self, client: OAuthClient, token: str) -> TokenInfo | None:
        """What a confidential client may know of its own token; None when it is not active."""
        if client.is_public:
            raise OAuthError("invalid_client", "Introspection needs a client with a secret")
        claims, now = self._claims(token), self._clock()
        if claims is not None:
            found = claims

            def is_active(tx: Tx) -> bool:
                grant = grants.grant_of_access_token(tx, found.jti)
                user = accounts.find_user(tx, found.sub)
                return (
                    grant is not None
                    and grant.revoked_at is None
                    and grant.client_id == client.client_id
                    and user is not None
                    and not user.is_banned
                )

            if not await self._database.read(is_active):
                return None
            return TokenInfo(claims.client_id, claims.iat, claims.exp, claims.scope, claims.sub)
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

    async def revoke(self, client: OAuthClient, token: str) -> None:
        """Revoking a refresh token revokes the whole grant. Unknown tokens are nobody's business.

        Raises OAuthError (`unsupported_token_type`) for a JWT access token, which verifiers check by themselves.
        """
        if self._claims(token) is not None:
            raise OAuthError("unsupported_token_type", "JWT access tokens expire by themselves")
        token_hash, now = self._hash.of(REFRESH_PURPOSE, token), self._clock()

        def work(tx: Tx) -> None:
            refresh = grants.find_refresh_token(tx, token_hash)
            grant = None if refresh is None else grants.find_grant(tx, refresh.grant_id)
            if grant is None or grant.client_id != client.client_id:
                return
            if grants.revoke(tx, grant.id, because="revoked_by_client", now=now):
                audit.record(tx, now=now, actor=grant.user_id, action="oauth.revoked", object_id=grant.id)

        await self._database.write(work)

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
