"""Which credential of a request counts, and whether it holds (connect-environment §1.8).

Session cookie, else `Authorization: Bearer`, else `Authorization: DPoP`. A session bound to a key needs the
DPoP scheme and a proof; a session that is not must not come with one.
"""

from typing import Literal

import msgspec

from doorward.environment.keys import Keys
from doorward.environment.replay import ReplayGuards, dpop_guard
from doorward.environment.sessions import store, tokens
from doorward.environment.sessions.store import Session
from doorward.jose import DpopError, DpopProof, verify_dpop_proof
from doorward.store import Clock, Database
from doorward.t3_connect.wire import known

_BEARER = "Bearer "
_DPOP = "DPoP "


class AuthenticationFailed(Exception):
    """401. The two reasons are all the wire tells; `detail` is for our log.

    `is_dpop` adds the challenge `www-authenticate: DPoP`.
    """

    code = "authentication_failed"

    def __init__(
        self,
        reason: Literal["missing_credential", "invalid_credential"],
        detail: str,
        *,
        is_dpop: bool = False,
    ) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.is_dpop = is_dpop


class PresentedCredentials(msgspec.Struct, frozen=True, kw_only=True):
    """What a request carries. `url` is the absolute request URL as this machine sees it."""

    method: str
    url: str
    cookie: str | None = None
    authorization: str | None = None
    proof: str | None = None

    @property
    def is_dpop(self) -> bool:
        return (self.authorization or "").startswith(_DPOP)

    def __repr__(self) -> str:
        return f"PresentedCredentials(method={self.method!r}, url={self.url!r})"


class Authentication:
    """Raises AuthenticationFailed for what is wrong with a request, StoreError for what is wrong with us."""

    def __init__(self, database: Database, clock: Clock, keys: Keys, guards: ReplayGuards) -> None:
        self._database = database
        self._clock = clock
        self._keys = keys
        self._guards = guards

    async def authenticate(self, request: PresentedCredentials) -> Session:
        """The live session a request proves."""
        try:
            token, is_dpop = _select(request)
            session = await self._session(token)
            if session.thumbprint is None:
                if request.is_dpop:
                    raise AuthenticationFailed(
                        "invalid_credential", "an unbound session came with a DPoP header"
                    )
                return session
            if not is_dpop:
                raise AuthenticationFailed("invalid_credential", "a bound token came without the DPoP scheme")
            await self._verify_proof(
                request.proof,
                method=request.method,
                url=request.url,
                access_token=token,
                thumbprint=session.thumbprint,
            )
        except AuthenticationFailed as error:
            raise AuthenticationFailed(error.reason, error.detail, is_dpop=request.is_dpop) from error
        return session

    async def verify_dpop(self, token: str, proof: str | None, *, method: str, url: str) -> Session:
        """The live session of a device, proven by `proof` for this method and URL. The proof is used up."""
        session = await self._session(token)
        if session.thumbprint is None or not session.is_minted:
            raise AuthenticationFailed("invalid_credential", "no mint made the session", is_dpop=True)
        try:
            await self._verify_proof(
                proof, method=method, url=url, access_token=token, thumbprint=session.thumbprint
            )
        except AuthenticationFailed as error:
            raise AuthenticationFailed(error.reason, error.detail, is_dpop=True) from error
        return session

    async def verify_proof(self, proof: str | None, *, method: str, url: str) -> str:
        """The thumbprint of the key that signed a proof without a token. The proof is used up."""
        verified = await self._verify_proof(proof, method=method, url=url)
        return verified.thumbprint

    async def session_of_ticket(self, ticket: str) -> Session:
        """The live session a WebSocket ticket stands for."""
        now = self._clock()
        try:
            claims = tokens.read_ticket(ticket, self._keys.session_key, now=now)
        except tokens.TokenRefused as error:
            raise AuthenticationFailed("invalid_credential", "the ticket does not hold") from error
        return await self._alive(claims.sid, now)

    async def _session(self, token: str) -> Session:
        now = self._clock()
        try:
            claims = tokens.read_session_token(token, self._keys.session_key, now=now)
        except tokens.TokenRefused as error:
            raise AuthenticationFailed("invalid_credential", "the session token does not hold") from error
        session = await self._alive(claims.sid, now)
        if known(claims.jkt) != session.thumbprint:
            # The row and the token were made together; a difference means that one was tampered with.
            raise AuthenticationFailed("invalid_credential", "token and session name different keys")
        return session

    async def _alive(self, session_id: str, now: int) -> Session:
        session = await self._database.lookup(lambda tx: store.find_alive(tx, session_id, now))
        if session is None:
            raise AuthenticationFailed("invalid_credential", "the session has ended")
        return session

    async def _verify_proof(
        self,
        proof: str | None,
        *,
        method: str,
        url: str,
        access_token: str | None = None,
        thumbprint: str | None = None,
    ) -> DpopProof:
        try:
            verified = verify_dpop_proof(
                proof,
                method=method,
                url=url,
                now=self._clock() // 1000,
                access_token=access_token,
                expected_thumbprint=thumbprint,
            )
        except (DpopError, ValueError) as error:
            raise AuthenticationFailed(
                "invalid_credential", f"the proof does not hold: {error}", is_dpop=True
            ) from error
        if not await self._guards.consume(dpop_guard(verified.thumbprint, verified.jti)):
            raise AuthenticationFailed("invalid_credential", "the proof was used before", is_dpop=True)
        return verified


def _select(request: PresentedCredentials) -> tuple[str, bool]:
    """(token, came with the DPoP scheme). Prefixes are case-sensitive, one space."""
    if request.cookie is not None:
        # Present but empty still decides: it is missing, whatever else the request carries.
        if not request.cookie:
            raise AuthenticationFailed("missing_credential", "the session cookie is empty")
        return request.cookie, False
    authorization = request.authorization or ""
    for prefix, is_dpop in ((_BEARER, False), (_DPOP, True)):
        if authorization.startswith(prefix):
            token = authorization.removeprefix(prefix)
            if token:
                return token, is_dpop
    raise AuthenticationFailed("missing_credential", "the request carries no credential")
