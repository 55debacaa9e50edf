"""Issue, redeem, authorise and end what the gate hands to a service host."""

import hashlib
import hmac
import secrets

import msgspec

from doorward.environment.access import Role
from doorward.environment.children import store
from doorward.environment.sessions import store as sessions
from doorward.jose import b64url_encode
from doorward.store import Clock, Database, Tx

CODE_LIFETIME_MS = 30_000
COOKIE_LIFETIME_MS = 15 * 60_000


class SessionEnded(Exception):
    """There is no live device session to issue a code under."""

    code = "session_ended"


class Child(msgspec.Struct, frozen=True, kw_only=True):
    """A cookie just made: its value is shown here and never again. Times in ms."""

    cookie: str
    session_id: str
    expires_at: int

    def __repr__(self) -> str:
        return f"Child(session_id={self.session_id!r}, expires_at={self.expires_at})"


class Visitor(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a live cookie speaks for. Times in ms; a stream must end at `session_expires_at` at the latest."""

    session_id: str
    subject: str
    thumbprint: str
    role: Role
    cloud_user_id: str | None
    expires_at: int
    session_expires_at: int


class Children:
    """Every method is one transaction. Raises StoreError when the database does."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def issue_code(self, session_id: str, service_host: str, nonce_hash: str) -> str:
        """A code of 30 s for (session, host, nonce), used once. `nonce_hash` is b64url SHA-256 of the nonce.

        Raises SessionEnded when the session is gone or not bound to a key.
        """
        now = self._clock()
        code = secrets.token_urlsafe(32)

        def issue(tx: Tx) -> bool:
            session = sessions.find_alive(tx, session_id, now)
            if session is None or session.thumbprint is None:
                return False
            store.insert_code(
                tx,
                code_hash=_digest(code),
                session_id=session_id,
                service_host=service_host.lower(),
                nonce_hash=nonce_hash,
                expires_at=now + CODE_LIFETIME_MS,
            )
            return True

        if not await self._database.write(issue):
            raise SessionEnded("The session this code was asked under has ended.")
        return code

    async def redeem_code(self, code: str, service_host: str, nonce: str) -> Child | None:
        """The cookie for a good code; None otherwise. Presenting a code uses it up, right or wrong."""
        now = self._clock()
        cookie = secrets.token_urlsafe(32)
        nonce_hash = b64url_encode(hashlib.sha256(nonce.encode()).digest())

        def redeem(tx: Tx) -> Child | None:
            taken = store.take_code(tx, _digest(code))
            if taken is None:
                return None
            session_id, host, expected_nonce_hash, expires_at = taken
            session = sessions.find_alive(tx, session_id, now)
            is_good = (
                expires_at > now
                and host == service_host.lower()
                and hmac.compare_digest(expected_nonce_hash.encode(), nonce_hash.encode())
            )
            if session is None or not is_good:
                return None
            cookie_expires_at = min(now + COOKIE_LIFETIME_MS, session.expires_at)
            store.insert_cookie(
                tx,
                cookie_hash=_digest(cookie),
                session_id=session_id,
                service_host=host,
                expires_at=cookie_expires_at,
            )
            return Child(cookie=cookie, session_id=session_id, expires_at=cookie_expires_at)

        return await self._database.write(redeem)

    async def authorise_cookie(self, cookie: str, service_host: str) -> Visitor | None:
        """Whom the cookie speaks for at this host, while both it and its session live."""
        now = self._clock()

        def authorise(tx: Tx) -> Visitor | None:
            found = store.find_cookie(
                tx, cookie_hash=_digest(cookie), service_host=service_host.lower(), now=now
            )
            if found is None:
                return None
            session_id, expires_at = found
            session = sessions.find_alive(tx, session_id, now)
            if session is None or session.thumbprint is None:
                return None
            return Visitor(
                session_id=session_id,
                subject=session.subject,
                thumbprint=session.thumbprint,
                role=session.role,
                cloud_user_id=session.cloud_user_id,
                expires_at=expires_at,
                session_expires_at=session.expires_at,
            )

        return await self._database.lookup(authorise)

    async def end(self, cookie: str) -> str | None:
        """Sign out of one service host; the id of the session the cookie was a child of, if it existed."""
        digest = _digest(cookie)
        return await self._database.write(lambda tx: store.delete_cookie(tx, digest))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
