"""Refresh tokens of sessions: with one, an application's server renews the token of a page request without a handshake.

The browser keeps it in a cookie that no script reads; it opens nothing by itself, since only the holder of the instance's
secret key can present it, beside the expired token it goes with. It is as good as its session and ends with it.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from doorward.identity.accounts import store as accounts
from doorward.identity.errors import (
    REFRESH_EXPIRED_TOKEN_INVALID,
    REFRESH_EXPIRED_TOKEN_WITHOUT_AZP,
    REFRESH_ORIGIN_INVALID,
    REFRESH_ORIGIN_MISMATCH,
    REFRESH_SESSION_INACTIVE,
    REFRESH_SESSION_NOT_FOUND,
    REFRESH_SID_MISMATCH,
    REFRESH_TOKEN_NOT_FOUND,
    REFRESH_USER_NOT_FOUND,
    Refused,
)
from doorward.identity.identifiers import new_secret
from doorward.identity.keyed_hash import KeyedHash
from doorward.identity.sessions import rules, store
from doorward.identity.sessions.service import Sessions
from doorward.identity.sessions.signed_in import SignedIn
from doorward.identity.sessions.store import SessionRecord
from doorward.identity.settings import IdentitySettings
from doorward.identity.signing_keys.service import SigningKeys
from doorward.jose import JoseError, verify_jwt
from doorward.store import Clock, Database, Tx

_PURPOSE = "session-refresh"


class RefreshTokens:
    def __init__(
        self,
        settings: IdentitySettings,
        database: Database,
        clock: Clock,
        *,
        keyed_hash: KeyedHash,
        sessions: Sessions,
        signing_keys: SigningKeys,
    ) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._hash = keyed_hash
        self._sessions = sessions
        self._signing_keys = signing_keys

    async def give(self, session_id: str, known: str | None) -> str | None:
        """A token for the browser of this session; None when the one it has, `known`, is this session's."""
        token, now = new_secret(), self._clock()

        def work(tx: Tx) -> str:
            store.put_refresh_token(tx, self._hash.of(_PURPOSE, token), session_id, now)
            return token

        if known is not None:
            hashed = self._hash.of(_PURPOSE, known)
            if await self._database.read(lambda tx: store.session_of_refresh_token(tx, hashed)) == session_id:
                return None
        return await self._database.write(work)

    async def redeem(
        self, session_id: str, *, expired_token: str, refresh_token: str, request_origin: str
    ) -> str:
        """A fresh session token for the origin of the expired one. Raises Refused (401) for everything that is wrong."""
        claims = self._claims(expired_token)
        if claims.sid != session_id:
            raise Refused(REFRESH_SID_MISMATCH)
        now = self._clock()
        signed_in = await self._database.read(
            lambda tx: self._signed_in(tx, self._session(tx, session_id, refresh_token, now))
        )
        _require_origin(claims, request_origin)
        await self._sessions.keep_awake(signed_in.session)
        return self._sessions.session_token(signed_in, request_origin)

    def _claims(self, expired_token: str) -> rules.SessionClaims:
        """How long ago it expired does not matter while its session could live, only whose it was."""
        try:
            return verify_jwt(
                expired_token,
                self._signing_keys.public_keys,
                claims=rules.SessionClaims,
                now=self._clock() // 1000,
                typ="JWT",
                issuer=self._settings.origin,
                leeway=self._settings.session_lifetime_ms // 1000,
            ).claims
        except JoseError as error:
            raise Refused(REFRESH_EXPIRED_TOKEN_INVALID) from error

    def _session(self, tx: Tx, session_id: str, refresh_token: str, now: int) -> SessionRecord:
        bound_to = store.session_of_refresh_token(tx, self._hash.of(_PURPOSE, refresh_token))
        if bound_to != session_id:
            raise Refused(REFRESH_TOKEN_NOT_FOUND)
        session = store.find(tx, session_id)
        if session is None:
            raise Refused(REFRESH_SESSION_NOT_FOUND)
        if not rules.is_alive(session, now):
            raise Refused(REFRESH_SESSION_INACTIVE)
        return session

    def _signed_in(self, tx: Tx, session: SessionRecord) -> SignedIn:
        account = accounts.find_account(tx, session.user_id)
        if account is None or account.user.is_banned or account.user.is_locked(self._clock()):
            raise Refused(REFRESH_USER_NOT_FOUND)
        return self._sessions.signed_in(tx, account, session)


def _require_origin(claims: rules.SessionClaims, request_origin: str) -> None:
    """The new token is for the pages the old one was for. Raises Refused (401)."""
    parts = urlsplit(request_origin)
    if parts.scheme not in ("http", "https") or f"{parts.scheme}://{parts.netloc}" != request_origin:
        raise Refused(REFRESH_ORIGIN_INVALID)
    if claims.azp is None:
        raise Refused(REFRESH_EXPIRED_TOKEN_WITHOUT_AZP)
    if claims.azp != request_origin:
        raise Refused(REFRESH_ORIGIN_MISMATCH)
