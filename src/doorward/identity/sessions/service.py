"""Who is signed in; listing, touching and ending sessions; proving oneself again; tokens."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from doorward.identity.accounts import rules as account_rules
from doorward.identity.accounts import store as accounts
from doorward.identity.accounts.passwords import PasswordHasher
from doorward.identity.accounts.store import Account
from doorward.identity.audit import store as audit
from doorward.identity.clients import store as clients
from doorward.identity.clients.service import Changed, ClientChange, Clients
from doorward.identity.errors import (
    AUTHENTICATION_INVALID,
    FORM_PASSWORD_INCORRECT,
    ORGANIZATION_NOT_FOUND_OR_UNAUTHORIZED,
    SESSION_REVERIFICATION_REQUIRED,
    STRATEGY_FOR_USER_INVALID,
    USER_BANNED,
    USER_LOCKED,
    Refused,
    not_found,
)
from doorward.identity.identifiers import new_id
from doorward.identity.organizations.details import Membership
from doorward.identity.organizations.memberships import Memberships
from doorward.identity.restrictions.service import Restrictions
from doorward.identity.sessions import rules, store
from doorward.identity.sessions.organization_claims import FoldedOrganization, fold_organization
from doorward.identity.sessions.signed_in import SignedIn
from doorward.identity.sessions.store import SessionRecord
from doorward.identity.settings import IdentitySettings
from doorward.identity.signing_keys.service import SigningKeys
from doorward.identity.templates.service import Templates
from doorward.identity.visits import Visit
from doorward.identity.webhooks.events import Events
from doorward.store import Clock, Database, Tx

MOST_ENDED_AT_ONCE = 1_000


def refuse_barred(user: accounts.UserRecord, now: int) -> None:
    """The one check that keeps banned and locked users out, wherever something new is given to them."""
    if user.is_banned:
        raise Refused(USER_BANNED)
    if user.is_locked(now):
        raise Refused(USER_LOCKED)


class Sessions:
    def __init__(
        self,
        settings: IdentitySettings,
        database: Database,
        clock: Clock,
        *,
        client_service: Clients,
        signing_keys: SigningKeys,
        templates: Templates,
        restrictions: Restrictions,
        memberships: Memberships,
        hasher: PasswordHasher,
        events: Events,
    ) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._clients = client_service
        self._signing_keys = signing_keys
        self._templates = templates
        self._restrictions = restrictions
        self._memberships = memberships
        self._hasher = hasher
        self._events = events

    # -- reading

    async def current(self, visit: Visit, session_id: str | None = None) -> SignedIn | None:
        """The session this browser acts in: the named one, else its last active one. None when signed out."""
        if visit.client is None:
            return None
        client, now = visit.client, self._clock()

        def find(tx: Tx) -> SignedIn | None:
            alive = store.active_of_client(tx, client.id, now)
            wanted = session_id or client.last_active_session_id
            session = next((one for one in alive if one.id == wanted), None)
            if session is None and session_id is None and alive:
                session = alive[-1]
            account = None if session is None else accounts.find_account(tx, session.user_id)
            if session is None or account is None or account.user.is_banned:
                return None
            return self.signed_in(tx, account, session)

        return await self._database.read(find)

    async def require(self, visit: Visit, session_id: str | None) -> SignedIn:
        """Like `current`, for requests that name their session. Raises Refused (401)."""
        signed_in = await self.current(visit, session_id) if session_id else None
        if signed_in is None:
            raise Refused(AUTHENTICATION_INVALID)
        return signed_in

    async def of_client(self, client_id: str) -> list[SignedIn]:
        """The active sessions of one browser, oldest first."""
        now = self._clock()

        def find(tx: Tx) -> list[SignedIn]:
            found = []
            for session in store.active_of_client(tx, client_id, now):
                account = accounts.find_account(tx, session.user_id)
                if account is not None and not account.user.is_banned:
                    found.append(self.signed_in(tx, account, session))
            return found

        return await self._database.read(find)

    async def list_of_user(self, user_id: str) -> list[SessionRecord]:
        """Active sessions, newest activity first."""
        now = self._clock()
        return await self._database.read(lambda tx: store.active_of_user(tx, user_id, now))

    async def get(self, visit: Visit, session_id: str) -> SignedIn:
        """A living session of this browser. Raises Refused: 404 unknown or another browser's, 401 over."""
        now = self._clock()

        def find(tx: Tx) -> SignedIn:
            session = self._own(tx, visit, session_id, now)
            account = accounts.find_account(tx, session.user_id)
            if account is None or account.user.is_banned:
                raise Refused(AUTHENTICATION_INVALID)
            return self.signed_in(tx, account, session)

        return await self._database.read(find)

    def signed_in(self, tx: Tx, account: Account, session: SessionRecord) -> SignedIn:
        """The session with what its user is in the organization it is active in, as of now."""
        organization_id = session.active_organization_id
        membership = None
        if organization_id is not None:
            membership = self._memberships.find_active(tx, organization_id, account.user.id)
        return SignedIn(account, session, membership, self._templates.of_sessions(tx, account.user.id))

    def _own(self, tx: Tx, visit: Visit, session_id: str, now: int) -> SessionRecord:
        session = store.find(tx, session_id)
        if session is None or visit.client is None or session.client_id != visit.client.id:
            raise Refused(not_found("Session not found"))
        if not rules.is_alive(session, now):
            raise Refused(AUTHENTICATION_INVALID)
        return session

    # -- starting

    def start(
        self, tx: Tx, *, session: SessionRecord, client_id: str, token_hash: str, strategy: str, now: int
    ) -> None:
        """Put a new session on a client and rotate the client's token, inside the sign-in's transaction."""
        if self._single_session:
            # A second sign-in that raced the first on the same browser takes its place.
            earlier = store.active_of_client(tx, client_id, now)
            store.finish(tx, earlier, "replaced", now)
            for replaced in earlier:
                self._events.session_over(tx, replaced, "replaced", now=now)
        store.insert(tx, session)
        accounts.touch_last_sign_in(tx, session.user_id, now)
        clients.set_signed_in(
            tx, client_id, token_hash=token_hash, session_id=session.id, strategy=strategy, now=now
        )
        self._events.session_created(tx, session, now=now)

    _single_session = True

    def new_session(self, visit: Visit, *, client_id: str, user_id: str, now: int) -> SessionRecord:
        absolute = now + self._settings.session_lifetime_ms
        return SessionRecord(
            id=new_id("sess"),
            client_id=client_id,
            user_id=user_id,
            status="active",
            verified_at=now,
            last_active_at=now,
            expire_at=min(absolute, now + self._settings.session_idle_ms),
            abandon_at=absolute,
            ip=visit.ip,
            user_agent=visit.user_agent,
            created_at=now,
            updated_at=now,
        )

    # -- changing

    async def touch(
        self, visit: Visit, session_id: str, active_organization: str | UnsetType | None = UNSET
    ) -> Changed[SignedIn]:
        """Make it the browser's current session and push its idle deadline. The client's `updated_at` stays.

        `active_organization` (id or slug; None: none) is what the session is active in from now on. Raises Refused (401,
        403, 404 for an organization its user does not belong to).
        """
        now = self._clock()

        def work(tx: Tx) -> SignedIn:
            session = self._own(tx, visit, session_id, now)
            account = accounts.find_account(tx, session.user_id)
            if account is None:
                raise Refused(AUTHENTICATION_INVALID)
            refuse_barred(account.user, now)
            deadline = rules.idle_deadline(session, now=now, idle_ms=self._settings.session_idle_ms)
            self._touch(tx, session, now, deadline)
            clients.set_last_active_session(tx, session.client_id, session.id)
            touched = replace(session, last_active_at=now, expire_at=deadline)
            if active_organization is not UNSET:
                touched = replace(
                    touched, active_organization_id=self.activate(tx, session, active_organization)
                )
            return self.signed_in(tx, account, touched)

        signed_in = await self._database.write(work)
        return Changed(signed_in, await self.client_change(visit.client_id))

    def activate(self, tx: Tx, session: SessionRecord, organization: str | None) -> str | None:
        """Have the session act in an organization (id or slug) of its user, or in none; the id. Raises Refused (404)."""
        membership = None
        if organization is not None:
            membership = self._memberships.find_active(tx, organization, session.user_id)
            if membership is None:
                raise Refused(ORGANIZATION_NOT_FOUND_OR_UNAUTHORIZED.at("active_organization_id"))
        organization_id = None if membership is None else membership.organization.id
        store.set_active_organization(tx, session.id, organization_id)
        return organization_id

    async def end(self, visit: Visit, session_id: str, status: str = "ended") -> Changed[SessionRecord]:
        """End one session of this browser (`ended`, or `removed` for Clerk's multi-session sign-out)."""
        now = self._clock()

        def work(tx: Tx) -> SessionRecord:
            session = self._own(tx, visit, session_id, now)
            self._finish(tx, [session], status, now, actor=session.user_id)
            return replace(session, status=status, updated_at=now)

        session = await self._database.write(work)
        return Changed(session, await self.client_change(visit.client_id))

    async def revoke(self, signed_in: SignedIn, session_id: str) -> SessionRecord:
        """End any session of the same user, on whatever device."""
        now = self._clock()

        def work(tx: Tx) -> SessionRecord:
            session = store.find(tx, session_id)
            if session is None or session.user_id != signed_in.user_id:
                raise Refused(not_found("Session not found"))
            if rules.is_alive(session, now):
                self._finish(tx, [session], "revoked", now, actor=signed_in.user_id)
                return replace(session, status="revoked", updated_at=now)
            return session

        return await self._database.write(work)

    async def sign_out(self, visit: Visit, *, forget_client: bool = False) -> Changed[None]:
        """End every session of this browser; with `forget_client` delete the client itself too."""
        client_id, now = visit.client_id, self._clock()
        if client_id is None:
            return Changed(None, ClientChange(None, is_gone=forget_client))

        def work(tx: Tx) -> None:
            ended = store.active_of_client(tx, client_id, now)
            if ended:
                self._finish(tx, ended, "removed", now, actor=ended[0].user_id)
            if forget_client:
                clients.delete(tx, client_id)

        await self._database.write(work)
        if forget_client:
            return Changed(None, ClientChange(None, is_gone=True))
        return Changed(None, await self.client_change(client_id))

    def revoke_in(self, tx: Tx, session: SessionRecord, *, now: int, actor: str) -> None:
        """End one session, inside the caller's transaction."""
        self._finish(tx, [session], "revoked", now, actor=actor)

    def finish_of_user(self, tx: Tx, user_id: str, *, but: str | None, now: int, actor: str | None) -> None:
        """Revoke the user's sessions (all `but` one), inside the transaction of the change that demands it."""
        ended = [session for session in store.active_of_user(tx, user_id, now) if session.id != but]
        self._finish(tx, ended, "revoked", now, actor=actor)

    def end_run_out(self, tx: Tx, now: int) -> None:
        """Write down what time has ended, which every reader saw already, so that it is told."""
        for session in store.run_out(tx, now, MOST_ENDED_AT_ONCE):
            status = rules.status_of(session, now)
            store.finish(tx, [session], status, now)
            audit.record(tx, now=now, actor=None, action=f"session.{status}", object_id=session.id)
            self._events.session_over(tx, session, status, now=now)

    def _finish(
        self, tx: Tx, ended: Sequence[SessionRecord], status: str, now: int, *, actor: str | None
    ) -> None:
        store.finish(tx, ended, status, now)
        for session in ended:
            remaining = store.active_of_client(tx, session.client_id, now)
            clients.set_changed(tx, session.client_id, remaining[-1].id if remaining else None, now)
            audit.record(tx, now=now, actor=actor, action=f"session.{status}", object_id=session.id)
            self._events.session_over(tx, session, status, now=now)

    async def client_change(self, client_id: str | None, token: str | None = None) -> ClientChange:
        """What the browser must learn about its client now."""
        if client_id is None:
            return ClientChange(None)
        now = self._clock()

        def find(tx: Tx) -> int | None:
            client = clients.find(tx, client_id)
            return client.updated_at if client and store.active_of_client(tx, client_id, now) else None

        return ClientChange(client_id, token=token, signed_in_at=await self._database.read(find))

    # -- proving oneself again

    async def reauthenticate(self, visit: Visit, session_id: str, *, password: str) -> SessionRecord:
        """Check the password of the session's own user; dangerous changes are then open for ten minutes."""
        signed_in = await self.get(visit, session_id)
        await self._restrictions.spend("factor", visit.ip, self._settings.limits.factor_attempt_per_ip)
        await self.check_password(signed_in.account, password)
        now = self._clock()

        def work(tx: Tx) -> None:
            store.set_verified(tx, session_id, now)
            audit.record(
                tx,
                now=now,
                actor=signed_in.user_id,
                action="session.reverified",
                object_id=session_id,
            )

        await self._database.write(work)
        return replace(signed_in.session, verified_at=now)

    async def check_password(self, account: Account, password: str) -> None:
        """Under the same limits and counting as a sign-in. Raises Refused."""
        address = account.primary_email.address
        refuse_barred(account.user, self._clock())
        if account.user.password_hash is None:
            raise Refused(STRATEGY_FOR_USER_INVALID)
        await self._restrictions.require_unpaused(address)
        await self._restrictions.spend("password", address, self._settings.limits.password_per_account)
        check = await self._hasher.check(
            account.user.password_hash, account_rules.normalise_password(password)
        )
        now = self._clock()
        if not check.is_correct:
            await self._database.write(lambda tx: self._restrictions.count_failure(tx, address, now))
            raise Refused(FORM_PASSWORD_INCORRECT)
        await self._database.write(lambda tx: self._restrictions.clear_failures(tx, address))

    def require_recent_proof(self, signed_in: SignedIn) -> None:
        """Raises Refused (403 session_reverification_required) unless the person proved themselves of late."""
        if not account_rules.is_recent(signed_in.session.verified_at, self._clock()):
            raise Refused(SESSION_REVERIFICATION_REQUIRED)

    # -- tokens

    def session_token(self, signed_in: SignedIn, origin: str | None, *, lifetime: int | None = None) -> str:
        """A fresh session JWT of so many seconds, else as many as the instance says. `origin` becomes `azp`.

        Raises Refused (422) where the instance's own claims come out too large for this user.
        """
        session, template, membership = signed_in.session, signed_in.template, signed_in.membership
        claims = rules.claims_of(
            session,
            issuer=self._settings.origin,
            origin=origin,
            jti=secrets.token_hex(10),
            now=self._clock(),
            lifetime=lifetime or (template.record.lifetime if template else rules.SESSION_TOKEN_LIFETIME),
            allowance=template.record.allowed_clock_skew if template else rules.NOT_BEFORE_ALLOWANCE,
            organization=None if membership is None else _folded(membership),
        )
        header = {"cat": rules.CATEGORY_SESSION}
        if template is None:
            return self._signing_keys.sign(claims, typ="JWT", header=header)
        own = self._templates.session_claims(
            template, signed_in.account, actor=session.actor, membership=membership
        )
        return self._signing_keys.sign(own | rules.as_dict(claims), typ="JWT", header=header)

    async def token(self, visit: Visit, session_id: str, organization: str | UnsetType | None = UNSET) -> str:
        """A token for the session's active organization, for another `organization` (id or slug) or for none (None).

        Raises Refused when the session is not this browser's or over, or its user not a member (404); keeps the session
        awake. Membership is looked up for each token: who was removed has no other after this one's minute.
        """
        signed_in = await self.get(visit, session_id)
        refuse_barred(signed_in.user, self._clock())
        membership = signed_in.membership
        if organization is None:
            membership = None
        elif organization is not UNSET:
            membership = await self._memberships.active(organization, signed_in.user_id)
            if membership is None:
                raise Refused(ORGANIZATION_NOT_FOUND_OR_UNAUTHORIZED.at("organization_id"))
        await self.keep_awake(signed_in.session)
        return self.session_token(replace(signed_in, membership=membership), visit.origin)

    async def template_token(self, visit: Visit, session_id: str, name: str) -> str:
        """A JWT of a template. Raises Refused: 404 for an unknown one, 422 where this user's data make it too large."""
        signed_in = await self.get(visit, session_id)
        refuse_barred(signed_in.user, self._clock())
        await self.keep_awake(signed_in.session)
        return await self._templates.token(
            name,
            signed_in.account,
            issuer=self._settings.origin,
            origin=visit.origin,
            actor=signed_in.session.actor,
            membership=signed_in.membership,
        )

    async def keep_awake(self, session: SessionRecord) -> None:
        """Asking for a token is use. Written at most once a minute: every open tab asks about that often."""
        now = self._clock()
        if now - session.last_active_at >= 60_000:
            deadline = rules.idle_deadline(session, now=now, idle_ms=self._settings.session_idle_ms)
            await self._database.write(lambda tx: self._touch(tx, session, now, deadline))

    def _touch(self, tx: Tx, session: SessionRecord, now: int, deadline: int) -> None:
        store.touch(tx, session.id, last_active_at=now, expire_at=deadline)
        if session.actor is None:
            # What somebody else does in a person's name is no activity of theirs.
            accounts.touch_last_active(tx, session.user_id, now)


def _folded(membership: Membership) -> FoldedOrganization:
    organization, role = membership.organization, membership.role
    return fold_organization(organization.id, organization.slug, role.record.key, role.keys)
