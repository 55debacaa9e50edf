"""What holders of a secret key do with sessions: see, revoke and, for tests, begin them; and make tokens of them."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from doorward.identity.accounts import store as accounts
from doorward.identity.audit import store as audit
from doorward.identity.clients import store as client_rows
from doorward.identity.clients.service import Clients
from doorward.identity.clients.store import ClientRecord
from doorward.identity.errors import (
    CLIENT_NOT_FOUND,
    INVALID_SESSION_TOKEN,
    REQUEST_INVALID_FOR_ENVIRONMENT,
    Refused,
    not_found,
)
from doorward.identity.sessions import rules, store
from doorward.identity.sessions.service import Sessions, refuse_barred
from doorward.identity.sessions.signed_in import SignedIn
from doorward.identity.sessions.store import SessionRecord
from doorward.identity.settings import IdentitySettings
from doorward.identity.signing_keys.service import SigningKeys
from doorward.identity.templates.service import Templates
from doorward.identity.visits import Visit
from doorward.jose import JoseError, verify_jwt
from doorward.store import Clock, Database, Tx

_BACK_END = Visit(ip="", user_agent="", origin=None, client=None)


class SessionAdministration:
    """`actor` is the id of the secret key that asks; `client_of` reads a `__client` cookie's JWT."""

    def __init__(
        self,
        settings: IdentitySettings,
        database: Database,
        clock: Clock,
        *,
        sessions: Sessions,
        client_service: Clients,
        signing_keys: SigningKeys,
        templates: Templates,
    ) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._sessions = sessions
        self._clients = client_service
        self._signing_keys = signing_keys
        self._templates = templates

    async def page(
        self, *, client_id: str | None, user_id: str | None, status: str | None, limit: int, offset: int
    ) -> tuple[list[SessionRecord], int]:
        """A page, newest first, and how many there are in all."""
        now = self._clock()
        return await self._database.read(
            lambda tx: store.page(
                tx, client_id=client_id, user_id=user_id, status=status, now=now, limit=limit, offset=offset
            )
        )

    async def get(self, session_id: str) -> SessionRecord:
        """Raises Refused (404)."""
        return await self._database.read(lambda tx: self._find(tx, session_id))

    async def create(
        self, user_id: str, *, active_organization: str | None = None, actor: str
    ) -> SessionRecord:
        """A session on a client of its own, for tests, active in an organization of the user's. Raises Refused (400 in
        production, 404)."""
        if not self._settings.development:
            raise Refused(REQUEST_INVALID_FOR_ENVIRONMENT)
        now = self._clock()
        fresh = self._clients.fresh(now)
        session = self._sessions.new_session(_BACK_END, client_id=fresh.record.id, user_id=user_id, now=now)

        def work(tx: Tx) -> SessionRecord:
            user = accounts.find_user(tx, user_id)
            if user is None:
                raise Refused(not_found("User not found"))
            refuse_barred(user, now)
            client_rows.insert(tx, fresh.record)
            self._sessions.start(
                tx,
                session=session,
                client_id=fresh.record.id,
                token_hash=fresh.record.token_hash,
                strategy="admin",
                now=now,
            )
            audit.record(tx, now=now, actor=actor, action="session.created", object_id=session.id)
            organization_id = self._sessions.activate(tx, session, active_organization)
            return replace(session, active_organization_id=organization_id)

        return await self._database.write(work)

    async def revoke(self, session_id: str, *, actor: str) -> SessionRecord:
        """Nothing happens to one that is over. Raises Refused (404)."""
        now = self._clock()

        def work(tx: Tx) -> SessionRecord:
            session = self._find(tx, session_id)
            if not rules.is_alive(session, now):
                return session
            self._sessions.revoke_in(tx, session, now=now, actor=actor)
            return replace(session, status="revoked", updated_at=now)

        return await self._database.write(work)

    async def token(self, session_id: str, *, template: str | None, lifetime: int | None) -> str:
        """A session's JWT, or one of a template, good for `lifetime` seconds. Raises Refused (403 for the banned and the
        locked, 404 for one that is over)."""
        now = self._clock()

        def find(tx: Tx) -> SignedIn:
            session = self._find(tx, session_id)
            account = accounts.find_account(tx, session.user_id)
            if account is None or not rules.is_alive(session, now):
                raise Refused(not_found("No living session has this id."))
            refuse_barred(account.user, now)
            return self._sessions.signed_in(tx, account, session)

        found = await self._database.read(find)
        if template is None:
            return self._sessions.session_token(found, None, lifetime=lifetime)
        return await self._templates.token(
            template,
            found.account,
            issuer=self._settings.origin,
            origin=None,
            lifetime=lifetime,
            actor=found.session.actor,
            membership=found.membership,
        )

    async def verify(self, session_id: str, token: str) -> SessionRecord:
        """The living session whose token this is. Raises Refused (400, 404)."""
        session, now = await self.get(session_id), self._clock()
        try:
            claims = self._claims(token, now // 1000)
        except JoseError as error:
            raise Refused(INVALID_SESSION_TOKEN) from error
        if claims.sid != session.id or not rules.is_alive(session, now):
            raise Refused(INVALID_SESSION_TOKEN)
        return session

    # -- clients

    async def client(self, client_id: str) -> tuple[ClientRecord, list[SessionRecord]]:
        """A browser and its sessions. Raises Refused (404)."""

        def find(tx: Tx) -> tuple[ClientRecord, list[SessionRecord]]:
            client = client_rows.find(tx, client_id)
            if client is None:
                raise Refused(not_found("Client not found"))
            return client, store.of_client(tx, client_id)

        return await self._database.read(find)

    async def clients(
        self, *, limit: int, offset: int
    ) -> tuple[list[tuple[ClientRecord, list[SessionRecord]]], int]:
        """A page, newest first, and how many there are in all."""

        def find(tx: Tx) -> tuple[list[tuple[ClientRecord, list[SessionRecord]]], int]:
            found, count = client_rows.page(tx, limit=limit, offset=offset)
            return [(client, store.of_client(tx, client.id)) for client in found], count

        return await self._database.read(find)

    async def client_of(
        self, token: str, read: Callable[[str], tuple[str, str] | None]
    ) -> tuple[ClientRecord, list[SessionRecord]]:
        """The browser whose `__client` cookie this is; `read` opens the cookie. Raises Refused (400)."""
        opened = read(token)

        def find(tx: Tx) -> tuple[ClientRecord, list[SessionRecord]]:
            client = None if opened is None else self._clients.authenticate(tx, *opened)
            if client is None:
                raise Refused(CLIENT_NOT_FOUND)
            return client, store.of_client(tx, client.id)

        return await self._database.read(find)

    def _claims(self, token: str, now: int, *, leeway: int = 0) -> rules.SessionClaims:
        """Raises JoseError."""
        return verify_jwt(
            token,
            self._signing_keys.public_keys,
            claims=rules.SessionClaims,
            now=now,
            typ="JWT",
            issuer=self._settings.origin,
            leeway=leeway,
        ).claims

    def _find(self, tx: Tx, session_id: str) -> SessionRecord:
        session = store.find(tx, session_id)
        if session is None:
            raise Refused(not_found("Session not found"))
        return session
