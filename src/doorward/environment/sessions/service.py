"""Sessions: issue from a pairing credential, list, connect, end. Each method is one transaction."""

import uuid
from collections.abc import Sequence
from typing import Literal

import msgspec

from doorward.environment.access import Action, Actor, require
from doorward.environment.audit import record
from doorward.environment.keys import Keys
from doorward.environment.pairing import store as pairing_store
from doorward.environment.pairing.rules import SUBJECT_CONNECT, CredentialRefused, PairingLink
from doorward.environment.sessions import store, tokens
from doorward.environment.sessions.client_details import Presented, describe_client
from doorward.environment.sessions.ending import end_sessions
from doorward.environment.sessions.store import Session
from doorward.environment.stream.events import PairingLinkRemoved, SessionChanged, announce
from doorward.store import Clock, Database, Tx

SESSION_LIFETIME_MS = 30 * 24 * 3_600_000
BOUND_SESSION_LIFETIME_MS = 3_600_000
TICKET_LIFETIME_MS = 5 * 60_000


class ScopeNotGranted(Exception):
    """More was asked for than the credential grants. The credential is used up all the same."""

    code = "scope_not_granted"


class OwnSession(Exception):
    """A session may not revoke itself: it would lock its owner out by a slip."""

    code = "own_session"


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Where a request for a session came from."""

    user_agent: str | None = None
    ip_address: str | None = None
    presented: Presented | None = None


class Issued(msgspec.Struct, frozen=True, kw_only=True):
    """A session just made; the token is shown here and never again."""

    session: Session
    token: str

    def __repr__(self) -> str:
        return f"Issued(session={self.session.id!r})"


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    session: Session
    is_connected: bool


class Sessions:
    def __init__(self, database: Database, clock: Clock, keys: Keys) -> None:
        self._database = database
        self._clock = clock
        self._keys = keys
        self._connections: dict[str, int] = {}

    async def exchange(
        self,
        credential: str,
        *,
        method: Literal["browser-session-cookie", "bearer-access-token"],
        thumbprint: str | None,
        requested_scopes: tuple[str, ...] | None,
        caller: Caller,
        only_bound: bool = False,
    ) -> Issued:
        """A session for a pairing credential. With `thumbprint` it is bound to that key, for an hour.

        Consuming the credential and making the session are one transaction. `only_bound` refuses
        credentials that are bound to no key. Raises CredentialRefused, ScopeNotGranted, StoreError.
        """
        now = self._clock()
        session_id = str(uuid.uuid4())

        def exchange(tx: Tx) -> Session | CredentialRefused | ScopeNotGranted:
            link = pairing_store.consume(tx, credential, thumbprint, now)
            if link is None:
                return CredentialRefused(pairing_store.classify(tx, credential, thumbprint, now))
            announce(tx, PairingLinkRemoved(link.id))
            if only_bound and link.thumbprint is None:
                return CredentialRefused("unavailable")
            if requested_scopes is not None and not set(requested_scopes) <= set(link.scopes):
                # Committed, not rolled back: a credential that was tried for more is burnt.
                return ScopeNotGranted("The credential does not grant every scope asked for.")
            lifetime = SESSION_LIFETIME_MS if thumbprint is None else BOUND_SESSION_LIFETIME_MS
            session = Session(
                id=session_id,
                subject=link.subject,
                scopes=link.scopes if requested_scopes is None else requested_scopes,
                method=method if thumbprint is None else "dpop-access-token",
                thumbprint=thumbprint,
                role=link.role,
                cloud_user_id=link.cloud_user_id,
                client=describe_client(
                    user_agent=caller.user_agent,
                    ip_address=caller.ip_address,
                    presented=caller.presented,
                    grant_label=_label_of(link),
                ),
                issued_at=now,
                expires_at=now + lifetime,
            )
            self._insert(tx, session)
            return session

        made = await self._database.write(exchange)
        if not isinstance(made, Session):
            raise made
        return Issued(session=made, token=self._token(made))

    async def issue(
        self, *, subject: str, scopes: tuple[str, ...], label: str | None, lifetime_ms: int, actor: Actor
    ) -> Issued:
        """A bearer session made by the machine itself, without a credential. Raises NotAllowed, StoreError."""
        require(actor, Action.PAIR)
        now = self._clock()
        session = Session(
            id=str(uuid.uuid4()),
            subject=subject,
            scopes=scopes,
            method="bearer-access-token",
            thumbprint=None,
            role="standard",
            cloud_user_id=None,
            client=describe_client(user_agent=None, ip_address=None, presented=Presented(label=label)),
            issued_at=now,
            expires_at=now + lifetime_ms,
        )

        def insert(tx: Tx) -> None:
            self._insert(tx, session)
            record(tx, actor, "session.issue", session.id, now=now)

        await self._database.write(insert)
        return Issued(session=session, token=self._token(session))

    async def find(self, session_id: str) -> Session | None:
        """The session while it is alive."""
        now = self._clock()
        return await self._database.read(lambda tx: store.find_alive(tx, session_id, now))

    async def list(self, actor: Actor) -> Sequence[Listed]:
        """Alive sessions: those that may decide first, then connected ones, then the newest."""
        require(actor, Action.SEE_SESSIONS)
        now = self._clock()
        return self.listed(await self._database.read(lambda tx: store.list_alive(tx, now)))

    def listed(self, sessions: Sequence[Session]) -> Sequence[Listed]:
        """In the order of `list`, with whether a socket is open now."""
        items = [Listed(session=session, is_connected=self.is_connected(session.id)) for session in sessions]
        return sorted(
            items,
            key=lambda item: (
                "access:write" not in item.session.scopes,
                not item.is_connected,
                -item.session.issued_at,
            ),
        )

    async def end(self, session_id: str, *, by: Actor) -> bool:
        """End one session; False when it was not alive. Raises NotAllowed."""
        if session_id != by.name:
            require(by, Action.END_SESSIONS)
        now = self._clock()

        def end(tx: Tx) -> bool:
            ended = end_sessions(tx, [session_id], now)
            if ended:
                record(tx, by, "session.end", session_id, now=now)
            return bool(ended)

        return await self._database.write(end)

    async def end_other(self, session_id: str, *, by: Actor) -> bool:
        """As `end`, but not for the caller's own session. Raises OwnSession, NotAllowed."""
        require(by, Action.END_SESSIONS)
        if session_id == by.name:
            raise OwnSession("A session cannot revoke itself.")
        return await self.end(session_id, by=by)

    async def end_others(self, *, by: Actor) -> int:
        """End every session but the caller's; how many. Raises NotAllowed."""
        require(by, Action.END_SESSIONS)
        now = self._clock()

        def end(tx: Tx) -> int:
            others = [session.id for session in store.list_alive(tx, now) if session.id != by.name]
            ended = end_sessions(tx, others, now)
            if ended:
                record(tx, by, "session.end_others", by.name, now=now, detail=f"{len(ended)} sessions")
            return len(ended)

        return await self._database.write(end)

    def ticket(self, session: Session) -> tuple[str, int]:
        """A WebSocket ticket for this session, and when it expires (ms)."""
        now = self._clock()
        expires_at = now + TICKET_LIFETIME_MS
        claims = tokens.TicketClaims(sid=session.id, iat=now, exp=expires_at)
        return tokens.sign_token(claims, self._keys.session_key), expires_at

    def is_connected(self, session_id: str) -> bool:
        return self._connections.get(session_id, 0) > 0

    async def connected(self, session: Session) -> None:
        """A socket was opened. Only the first one writes `last_connected_at`."""
        count = self._connections.get(session.id, 0) + 1
        self._connections[session.id] = count
        now = self._clock()

        def mark(tx: Tx) -> None:
            if count == 1:
                store.mark_connected(tx, session.id, now)
            self._announce(tx, session.id, now)

        await self._database.write(mark)

    async def disconnected(self, session: Session) -> None:
        """A socket was closed."""
        count = self._connections.get(session.id, 0) - 1
        if count > 0:
            self._connections[session.id] = count
        else:
            self._connections.pop(session.id, None)
        now = self._clock()
        await self._database.write(lambda tx: self._announce(tx, session.id, now))

    def _announce(self, tx: Tx, session_id: str, now: int) -> None:
        session = store.find_alive(tx, session_id, now)
        if session is not None:
            announce(tx, SessionChanged(session, self.is_connected(session_id)))

    def _insert(self, tx: Tx, session: Session) -> None:
        store.insert(tx, session)
        announce(tx, SessionChanged(session, is_connected=False))

    def _token(self, session: Session) -> str:
        claims = tokens.SessionClaims(
            sid=session.id,
            sub=session.subject,
            scopes=list(session.scopes),
            method=session.method,
            jkt=session.thumbprint if session.thumbprint is not None else msgspec.UNSET,
            iat=session.issued_at,
            exp=session.expires_at,
        )
        return tokens.sign_token(claims, self._keys.session_key)


def _label_of(link: PairingLink) -> str | None:
    """A label the owner gave wins over the client's own; the fixed label of a mint says nothing about it."""
    return None if link.subject == SUBJECT_CONNECT else link.label
