"""Starting sign-ins, proving the first factor, choosing a new password."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from doorward.identity import mail
from doorward.identity.accounts import rules as account_rules
from doorward.identity.accounts import store as accounts
from doorward.identity.accounts.passwords import PasswordHasher
from doorward.identity.accounts.store import Account
from doorward.identity.audit import store as audit
from doorward.identity.clients import store as clients
from doorward.identity.clients.service import Changed, Clients
from doorward.identity.errors import (
    CLIENT_STATE_INVALID,
    FORM_CODE_INCORRECT,
    FORM_IDENTIFIER_NOT_FOUND,
    FORM_PASSWORD_COMPROMISED,
    FORM_PASSWORD_INCORRECT,
    FORM_PASSWORD_OR_IDENTIFIER_INCORRECT,
    SESSION_EXISTS,
    STRATEGY_FOR_USER_INVALID,
    VERIFICATION_STRATEGY_INVALID,
    Problem,
    Refused,
    missing,
    not_found,
)
from doorward.identity.identifiers import new_id, new_secret
from doorward.identity.keyed_hash import KeyedHash
from doorward.identity.oauth import grants
from doorward.identity.organizations.invitations import OrganizationInvitations
from doorward.identity.restrictions.service import Restrictions
from doorward.identity.sessions import store as session_store
from doorward.identity.sessions.service import Sessions, refuse_barred
from doorward.identity.sessions.store import SessionRecord
from doorward.identity.settings import IdentitySettings
from doorward.identity.sign_in import rules, store
from doorward.identity.sign_in.store import SignInRecord
from doorward.identity.tickets.service import Tickets
from doorward.identity.verification import rules as verification_rules
from doorward.identity.verification import store as verifications
from doorward.identity.verification.service import Codes
from doorward.identity.verification.store import VerificationRecord
from doorward.identity.visits import Visit
from doorward.identity.webhooks.events import Events
from doorward.store import Clock, Database, Tx


class SignInFields(msgspec.Struct, frozen=True):
    """What a person supplied; None is absent."""

    identifier: str | None = None
    strategy: str | None = None
    password: str | None = None
    ticket: str | None = None

    def __repr__(self) -> str:
        return f"SignInFields({self.identifier}, {self.strategy})"


class SignIn(msgspec.Struct, frozen=True):
    """An attempt as its owner sees it. `account` is set only once it may be shown: when the sign-in is complete,
    or when accounts are not hidden."""

    record: SignInRecord
    status: rules.SignInStatus
    verification: VerificationRecord | None
    account: Account | None
    email_address_id: str | None

    @property
    def id(self) -> str:
        return self.record.id


class _Entry(msgspec.Struct, frozen=True):
    """The session and the client token a completed sign-in brings, made before its transaction."""

    session: SessionRecord
    client_token: str

    def __repr__(self) -> str:
        return f"_Entry({self.session.id})"


class _Voucher(msgspec.Struct, frozen=True):
    """Whom a ticket signs in; `redeem` uses it up in the transaction that does. Raises Refused."""

    user_id: str
    redeem: Callable[[Tx], object]
    actor: str | None = None
    session_lifetime_ms: int | None = None
    organization_id: str | None = None


class SignIns:
    def __init__(
        self,
        settings: IdentitySettings,
        database: Database,
        clock: Clock,
        *,
        keyed_hash: KeyedHash,
        client_service: Clients,
        sessions: Sessions,
        restrictions: Restrictions,
        codes: Codes,
        hasher: PasswordHasher,
        tickets: Tickets,
        organization_invitations: OrganizationInvitations,
        mails: mail.MailQueue,
        events: Events,
    ) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._hash = keyed_hash
        self._clients = client_service
        self._sessions = sessions
        self._restrictions = restrictions
        self._codes = codes
        self._hasher = hasher
        self._tickets = tickets
        self._organization_invitations = organization_invitations
        self._mails = mails
        self._events = events

    async def start(self, visit: Visit, fields: SignInFields) -> Changed[SignIn]:
        """Begin an attempt; with a password, or strategy `email_code`, take the next step in the same call.

        The attempt outlives a wrong password (Clerk's UI goes on with it), so a client made here must reach the browser
        even then: the refusal carries it in `.changed`.
        """
        await self._restrictions.spend("sign-in", visit.ip, self._settings.limits.sign_in_per_ip)
        if fields.password is not None and fields.identifier is None:
            raise Refused(missing("identifier"))
        if fields.ticket is not None or fields.strategy == "ticket":
            return await self._start_with_ticket(visit, fields.ticket)
        now = self._clock()
        identifier = None if fields.identifier is None else fields.identifier.strip().lower()
        if identifier is not None:
            identifier = account_rules.normalise_email(identifier) or identifier[:254]
        fresh = None if visit.client is not None else self._clients.fresh(now)
        client_id = visit.client.id if visit.client else fresh.record.id if fresh else ""

        def work(tx: Tx) -> SignIn:
            if session_store.active_of_client(tx, client_id, now):
                raise Refused(SESSION_EXISTS)
            account = None if identifier is None else accounts.find_by_verified_email(tx, identifier)
            if identifier is not None and account is None and not self._settings.hide_accounts:
                raise Refused(FORM_IDENTIFIER_NOT_FOUND)
            if fresh is not None:
                clients.insert(tx, fresh.record)
            store.delete_of_client(tx, client_id)
            attempt = SignInRecord(
                id=attempt_id,
                client_id=client_id,
                identifier=identifier,
                user_id=None if account is None else account.user.id,
                email_address_id=None if account is None else account.primary_email.id,
                first_factor=None,
                first_factor_at=None,
                created_session_id=None,
                created_at=now,
                abandon_at=now + rules.ATTEMPT_LIFETIME_MS,
            )
            store.put(tx, attempt)
            return self._view(tx, attempt, now)

        attempt_id = new_id("sia")
        sign_in = await self._database.write(work)
        token = None if fresh is None else fresh.token
        changed = Changed(sign_in, await self._sessions.client_change(client_id, token))
        try:
            if fields.password is not None or fields.strategy == "password":
                if fields.password is None:
                    raise Refused(missing("password"))
                return await self._attempt_password(visit, sign_in.record, fields.password)
            if fields.strategy in rules.CODE_STRATEGIES and identifier is not None:
                prepared = await self._prepare_code(sign_in.record, fields.strategy)
                return Changed(prepared, changed.client)
            if fields.strategy is not None and fields.strategy not in rules.CODE_STRATEGIES:
                raise Refused(STRATEGY_FOR_USER_INVALID.at("strategy"))
        except Refused as refused:
            refused.client = changed.client
            raise
        return changed

    async def _start_with_ticket(self, visit: Visit, token: str | None) -> Changed[SignIn]:
        """A back end vouches for the person, or an organization's invitation was read in their mailbox, which a mailed
        code proves as well: complete at once. An actor's session says who acts, and is short."""
        if token is None:
            raise Refused(missing("ticket"))
        voucher, now = await self._voucher(token), self._clock()
        fresh = None if visit.client is not None else self._clients.fresh(now)
        client_id = visit.client.id if visit.client else fresh.record.id if fresh else ""
        entry = self._entry(visit, client_id, voucher.user_id)
        end = entry.session.abandon_at
        if voucher.session_lifetime_ms is not None:
            end = min(end, now + voucher.session_lifetime_ms)
        session = replace(
            entry.session, actor=voucher.actor, abandon_at=end, expire_at=min(end, entry.session.expire_at)
        )
        entry = _Entry(session, entry.client_token)
        attempt = SignInRecord(
            id=new_id("sia"),
            client_id=client_id,
            identifier=None,
            user_id=voucher.user_id,
            email_address_id=None,
            first_factor="ticket",
            first_factor_at=now,
            created_session_id=None,
            created_at=now,
            abandon_at=now + rules.ATTEMPT_LIFETIME_MS,
        )

        def work(tx: Tx) -> SignIn:
            voucher.redeem(tx)
            if fresh is not None:
                clients.insert(tx, fresh.record)
            store.delete_of_client(tx, client_id)
            sign_in = self._complete(tx, attempt, entry, now)
            if voucher.organization_id is not None:
                # Who has left it since is signed in all the same, and acts for themselves.
                with contextlib.suppress(Refused):
                    self._sessions.activate(tx, entry.session, voucher.organization_id)
            return sign_in

        return await self._completed(await self._database.write(work), entry)

    async def _voucher(self, token: str) -> _Voucher:
        """Raises Refused (400) for a ticket that is none, or no longer."""
        now, membership_id = self._clock(), new_id("orgmem")
        invitee = await self._organization_invitations.invitee_of(token)
        if invitee is not None:
            join = self._organization_invitations.accept_in
            return _Voucher(
                invitee,
                lambda tx: join(tx, token, invitee, membership_id=membership_id, now=now),
            )
        ticket = await self._tickets.find(token)
        return _Voucher(
            ticket.user_id,
            lambda tx: self._tickets.redeem(tx, token, now),
            ticket.actor,
            ticket.session_lifetime_ms,
            ticket.organization_id,
        )

    async def get(self, visit: Visit, sign_in_id: str) -> SignIn:
        """Raises Refused (404) unless it is this browser's."""
        now = self._clock()
        return await self._database.read(lambda tx: self._view(tx, self._own(tx, visit, sign_in_id), now))

    async def latest(self, client_id: str) -> SignIn | None:
        """The browser's attempt, finished or not."""
        now = self._clock()

        def find(tx: Tx) -> SignIn | None:
            attempt = store.latest_of_client(tx, client_id)
            return None if attempt is None else self._view(tx, attempt, now)

        return await self._database.read(find)

    async def prepare_first_factor(self, visit: Visit, sign_in_id: str, strategy: str) -> Changed[SignIn]:
        """Mail a code for `email_code` or `reset_password_email_code`."""
        now = self._clock()
        attempt = await self._database.read(lambda tx: self._waiting(tx, visit, sign_in_id, now))
        if strategy not in rules.CODE_STRATEGIES:
            raise Refused(VERIFICATION_STRATEGY_INVALID.at("strategy"))
        sign_in = await self._prepare_code(attempt, strategy)
        return Changed(sign_in, await self._sessions.client_change(attempt.client_id))

    async def attempt_first_factor(
        self,
        visit: Visit,
        sign_in_id: str,
        strategy: str,
        *,
        password: str | None = None,
        code: str | None = None,
    ) -> Changed[SignIn]:
        """Prove it is you. `complete` afterwards, or `needs_new_password` after a reset code."""
        now = self._clock()
        attempt = await self._database.read(lambda tx: self._waiting(tx, visit, sign_in_id, now))
        if strategy == "password":
            if password is None:
                raise Refused(missing("password"))
            return await self._attempt_password(visit, attempt, password)
        if strategy not in rules.CODE_STRATEGIES:
            raise Refused(STRATEGY_FOR_USER_INVALID.at("strategy"))
        if code is None:
            raise Refused(missing("code"))
        return await self._attempt_code(visit, attempt, strategy, code)

    async def reset_password(
        self, visit: Visit, sign_in_id: str, password: str, *, sign_out_of_other_sessions: bool = True
    ) -> Changed[SignIn]:
        """Choose a new password after the reset code, and be signed in with it."""
        now = self._clock()
        attempt = await self._database.read(lambda tx: self._own(tx, visit, sign_in_id))
        if rules.status_of(attempt, now) != "needs_new_password" or attempt.user_id is None:
            raise Refused(CLIENT_STATE_INVALID)
        user_id = attempt.user_id
        chosen = account_rules.normalise_password(password)
        problem = account_rules.password_problem(
            chosen, email_address=attempt.identifier, context=(self._settings.application_name,)
        )
        if problem is not None:
            raise Refused(problem)
        await self._refuse_known_to_others(user_id, chosen)
        encoded = await self._hasher.hash(chosen)
        entry = self._entry(visit, attempt.client_id, user_id)

        def work(tx: Tx) -> SignIn:
            current = self._own(tx, visit, sign_in_id)
            if rules.status_of(current, now) != "needs_new_password":
                raise Refused(CLIENT_STATE_INVALID)
            accounts.set_password(tx, user_id, encoded, now)
            if sign_out_of_other_sessions:
                self._sessions.finish_of_user(tx, user_id, but=None, now=now, actor=user_id)
                grants.revoke_of_user(tx, user_id, because="password_reset", now=now)
            audit.record(tx, now=now, actor=user_id, action="user.password_reset", object_id=user_id)
            self._events.user(tx, "user.updated", user_id, now=now)
            return self._complete(tx, current, entry, now)

        sign_in = await self._database.write(work)
        if sign_in.account is not None:
            self._mails.post(
                mail.password_changed(
                    sign_in.account.primary_email.address,
                    self._settings.origin,
                    self._settings.application_name,
                )
            )
        return await self._completed(sign_in, entry)

    async def _refuse_known_to_others(self, user_id: str, chosen: str) -> None:
        """The password that others may know is no new one. Raises Refused (422)."""
        user = await self._database.read(lambda tx: accounts.find_user(tx, user_id))
        if user is None or not user.is_password_compromised or user.password_hash is None:
            return
        if (await self._hasher.check(user.password_hash, chosen)).is_correct:
            raise Refused(FORM_PASSWORD_COMPROMISED)

    # -- factors

    async def _attempt_password(self, visit: Visit, attempt: SignInRecord, password: str) -> Changed[SignIn]:
        identifier = attempt.identifier or ""
        await self._restrictions.spend("factor", visit.ip, self._settings.limits.factor_attempt_per_ip)
        await self._restrictions.require_unpaused(identifier)
        await self._restrictions.spend("password", identifier, self._settings.limits.password_per_account)
        user_id = attempt.user_id
        user = (
            None if user_id is None else await self._database.read(lambda tx: accounts.find_user(tx, user_id))
        )
        if user is not None and user.password_hash is None and not self._settings.hide_accounts:
            raise Refused(STRATEGY_FOR_USER_INVALID)
        stored = None if user is None else user.password_hash
        check = await self._hasher.check(stored, account_rules.normalise_password(password))
        now = self._clock()
        if user is None or not check.is_correct:
            await self._database.write(lambda tx: self._note_failure(tx, attempt, now))
            hidden = self._settings.hide_accounts
            raise Refused(FORM_PASSWORD_OR_IDENTIFIER_INCORRECT if hidden else FORM_PASSWORD_INCORRECT)
        # Only who knows the password learns that the account is barred.
        refuse_barred(user, now)
        if user.is_password_compromised:
            raise Refused(FORM_PASSWORD_COMPROMISED)
        entry = self._entry(visit, attempt.client_id, user.id)

        def work(tx: Tx) -> SignIn:
            current = self._waiting(tx, _VisitOf(attempt.client_id), attempt.id, now)
            if check.rehash is not None and stored is not None:
                accounts.upgrade_password_hash(tx, user.id, old=stored, new=check.rehash)
            proved = replace(current, first_factor="password", first_factor_at=now)
            return self._complete(tx, proved, entry, now)

        return await self._completed(await self._database.write(work), entry)

    async def _prepare_code(self, attempt: SignInRecord, strategy: str) -> SignIn:
        identifier = attempt.identifier or ""
        await self._restrictions.spend("mail", identifier, self._settings.limits.mail_per_address)
        now, code = self._clock(), verification_rules.new_code()

        def work(tx: Tx) -> SignIn:
            self._codes.issue(tx, attempt.id, strategy=strategy, code=code, now=now)
            return self._view(tx, attempt, now)

        sign_in = await self._database.write(work)
        # An unknown identifier has a code too; it just reaches nobody.
        if attempt.user_id is not None:
            compose = mail.reset_code if strategy == "reset_password_email_code" else mail.verification_code
            self._mails.post(compose(identifier, code, self._settings.application_name))
        return sign_in

    async def _attempt_code(
        self, visit: Visit, attempt: SignInRecord, strategy: str, code: str
    ) -> Changed[SignIn]:
        await self._restrictions.spend("factor", visit.ip, self._settings.limits.factor_attempt_per_ip)
        now = self._clock()
        entry = self._entry(visit, attempt.client_id, attempt.user_id or "")

        def work(tx: Tx) -> SignIn | Problem:
            current = self._waiting(tx, _VisitOf(attempt.client_id), attempt.id, now)
            problem = self._codes.attempt(tx, attempt.id, strategy=strategy, code=code, now=now)
            user = None if current.user_id is None else accounts.find_user(tx, current.user_id)
            if problem is None and user is None:
                problem = FORM_CODE_INCORRECT
            if problem is not None or user is None:
                self._note_failure(tx, attempt, now, counts=False)
                return problem or FORM_CODE_INCORRECT
            refuse_barred(user, now)
            proved = replace(current, first_factor=strategy, first_factor_at=now)
            if strategy == "reset_password_email_code":
                store.put(tx, proved)
                return self._view(tx, proved, now)
            return self._complete(tx, proved, entry, now)

        outcome = await self._database.write(work)
        if isinstance(outcome, Problem):
            raise Refused(outcome)
        return await self._completed(outcome, entry)

    # -- the steps of a transaction

    def _own(self, tx: Tx, visit: Visit | _VisitOf, sign_in_id: str) -> SignInRecord:
        attempt = store.find(tx, sign_in_id)
        if attempt is None or attempt.client_id != visit.client_id:
            raise Refused(not_found(f"No sign in was found with id {sign_in_id}"))
        return attempt

    def _waiting(self, tx: Tx, visit: Visit | _VisitOf, sign_in_id: str, now: int) -> SignInRecord:
        attempt = self._own(tx, visit, sign_in_id)
        if rules.status_of(attempt, now) != "needs_first_factor":
            raise Refused(CLIENT_STATE_INVALID)
        return attempt

    def _complete(self, tx: Tx, attempt: SignInRecord, entry: _Entry, now: int) -> SignIn:
        if session_store.active_of_client(tx, attempt.client_id, now):
            raise Refused(SESSION_EXISTS)
        user = accounts.find_user(tx, entry.session.user_id)
        if user is None:
            raise Refused(CLIENT_STATE_INVALID)
        refuse_barred(user, now)
        self._restrictions.require_sign_in_allowed(tx, attempt.identifier or "")
        self._sessions.start(
            tx,
            session=entry.session,
            client_id=attempt.client_id,
            token_hash=self._clients.token_hash(entry.client_token),
            strategy=attempt.first_factor or "password",
            now=now,
        )
        self._restrictions.clear_failures(tx, attempt.identifier or "")
        audit.record(
            tx,
            now=now,
            actor=entry.session.user_id,
            action="session.created",
            object_id=entry.session.id,
            detail=attempt.first_factor or "",
        )
        done = replace(attempt, created_session_id=entry.session.id)
        store.put(tx, done)
        return self._view(tx, done, now)

    def _note_failure(self, tx: Tx, attempt: SignInRecord, now: int, *, counts: bool = True) -> None:
        if counts:
            self._restrictions.count_failure(tx, attempt.identifier or "", now)
        audit.record(tx, now=now, actor=None, action="sign_in.failed", object_id=attempt.user_id or "-")

    def _view(self, tx: Tx, attempt: SignInRecord, now: int) -> SignIn:
        status = rules.status_of(attempt, now)
        account = None
        if attempt.user_id is not None and (status == "complete" or not self._settings.hide_accounts):
            account = accounts.find_account(tx, attempt.user_id)
        return SignIn(
            attempt, status, verifications.find(tx, attempt.id), account, self._shown_email_id(attempt)
        )

    def _shown_email_id(self, attempt: SignInRecord) -> str | None:
        """The factor's `email_address_id`: the real one only where accounts are not hidden, else one made up from the
        identifier, always the same."""
        if attempt.identifier is None:
            return None
        if not self._settings.hide_accounts and attempt.email_address_id is not None:
            return attempt.email_address_id
        return "idn_" + self._hash.of("shown-email-id", attempt.identifier)[:27]

    def _entry(self, visit: Visit, client_id: str, user_id: str) -> _Entry:
        session = self._sessions.new_session(visit, client_id=client_id, user_id=user_id, now=self._clock())
        return _Entry(session, new_secret())

    async def _completed(self, sign_in: SignIn, entry: _Entry) -> Changed[SignIn]:
        token = entry.client_token if sign_in.status == "complete" else None
        return Changed(sign_in, await self._sessions.client_change(sign_in.record.client_id, token))


class _VisitOf(msgspec.Struct, frozen=True):
    """Stands for the browser that owns an attempt made earlier in the same request, whose cookie is not set yet."""

    client_id: str
