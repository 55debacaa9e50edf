"""Starting, completing and reading sign-ups."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from doorward.identity import mail
from doorward.identity.accounts import rules as account_rules
from doorward.identity.accounts import store as accounts
from doorward.identity.accounts.passwords import PasswordHasher
from doorward.identity.accounts.store import EmailAddressRecord, UserRecord
from doorward.identity.audit import store as audit
from doorward.identity.clients import store as clients
from doorward.identity.clients.service import Changed, Clients
from doorward.identity.errors import (
    CLIENT_STATE_INVALID,
    FORM_IDENTIFIER_EXISTS,
    FORM_PARAM_MAX_LENGTH,
    FORM_PARAM_VALUE_INVALID,
    IDENTIFICATION_CLAIMED,
    SESSION_EXISTS,
    VERIFICATION_ALREADY_VERIFIED,
    VERIFICATION_STRATEGY_INVALID,
    Problem,
    Refused,
    not_found,
)
from doorward.identity.identifiers import new_id, new_secret
from doorward.identity.invitations.service import Invitations
from doorward.identity.invitations.store import Invitation
from doorward.identity.organizations.invitations import OrganizationInvitations
from doorward.identity.restrictions.service import Restrictions
from doorward.identity.sessions import store as session_store
from doorward.identity.sessions.service import Sessions
from doorward.identity.sessions.store import SessionRecord
from doorward.identity.settings import IdentitySettings
from doorward.identity.sign_up import rules, store
from doorward.identity.sign_up.store import SignUpRecord
from doorward.identity.verification import rules as verification_rules
from doorward.identity.verification import store as verifications
from doorward.identity.verification.service import Codes
from doorward.identity.verification.store import VerificationRecord
from doorward.identity.visits import Visit
from doorward.identity.waitlist.service import Waitlist
from doorward.identity.webhooks.events import Events
from doorward.identity.webhooks.outbox import Cause
from doorward.store import Clock, ConstraintViolated, Database, Tx

T = TypeVar("T")

ADMINISTRATOR_CREATED = "identity.administrator_created"
MAX_METADATA_BYTES = 8_192


class SignUpFields(msgspec.Struct, frozen=True):
    """What a person supplied; None is absent. `unsafe_metadata` is JSON text of an object."""

    email_address: str | None = None
    password: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    unsafe_metadata: str | None = None
    ticket: str | None = None

    def __repr__(self) -> str:
        return f"SignUpFields({self.email_address})"


class SignUp(msgspec.Struct, frozen=True):
    """An attempt as its owner sees it."""

    record: SignUpRecord
    status: rules.SignUpStatus
    verification: VerificationRecord | None

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def missing_fields(self) -> list[str]:
        return rules.missing_fields(self.record)

    @property
    def unverified_fields(self) -> list[str]:
        return rules.unverified_fields(self.record)


class _Birth(msgspec.Struct, frozen=True):
    """Everything random a completed sign-up needs, made before its transaction."""

    user_id: str
    email_address_id: str
    session: SessionRecord
    membership_id: str
    client_token: str

    def __repr__(self) -> str:
        return f"_Birth({self.user_id})"


class SignUps:
    def __init__(
        self,
        settings: IdentitySettings,
        database: Database,
        clock: Clock,
        *,
        client_service: Clients,
        sessions: Sessions,
        restrictions: Restrictions,
        invitation_service: Invitations,
        organization_invitations: OrganizationInvitations,
        waitlist: Waitlist,
        codes: Codes,
        hasher: PasswordHasher,
        mails: mail.MailQueue,
        events: Events,
    ) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._clients = client_service
        self._sessions = sessions
        self._restrictions = restrictions
        self._invitations = invitation_service
        self._organization_invitations = organization_invitations
        self._waitlist = waitlist
        self._codes = codes
        self._hasher = hasher
        self._mails = mails
        self._events = events

    async def start(self, visit: Visit, fields: SignUpFields) -> Changed[SignUp]:
        """Begin an attempt, replacing the browser's earlier one. Raises Refused with every wrong field at once."""
        await self._restrictions.spend("sign-up", visit.ip, self._settings.limits.sign_up_per_ip)
        now = self._clock()
        fresh = None if visit.client is not None else self._clients.fresh(now)
        client_id = visit.client.id if visit.client else fresh.record.id if fresh else ""
        blank = SignUpRecord(
            id=new_id("sua"),
            client_id=client_id,
            email_address=None,
            password_hash=None,
            first_name=None,
            last_name=None,
            unsafe_metadata="{}",
            invitation_id=None,
            email_verified_at=None,
            created_user_id=None,
            created_session_id=None,
            created_at=now,
            abandon_at=now + rules.ATTEMPT_LIFETIME_MS,
        )
        attempt = await self._merge(blank, fields)
        birth = self._birth(visit, client_id)

        def work(tx: Tx) -> SignUp:
            if session_store.active_of_client(tx, client_id, now):
                raise Refused(SESSION_EXISTS)
            if fresh is not None:
                clients.insert(tx, fresh.record)
            store.delete_of_client(tx, client_id)
            return self._settle(tx, attempt, birth, visit, now)

        sign_up = await self._write(work)
        return await self._changed(sign_up, birth, None if fresh is None else fresh.token)

    async def update(self, visit: Visit, sign_up_id: str, fields: SignUpFields) -> Changed[SignUp]:
        """Add what was missing, or correct what was wrong; a new address is unproved again."""
        await self._restrictions.spend("sign-up", visit.ip, self._settings.limits.sign_up_per_ip)
        now = self._clock()
        earlier = await self._database.read(lambda tx: self._open(tx, visit, sign_up_id, now))
        merged = await self._merge(earlier, fields)
        birth = self._birth(visit, earlier.client_id)

        def work(tx: Tx) -> SignUp:
            current = self._open(tx, visit, sign_up_id, now)
            if current != earlier:
                raise Refused(CLIENT_STATE_INVALID)
            if merged.email_address != earlier.email_address:
                verifications.forget(tx, sign_up_id)
            return self._settle(tx, merged, birth, visit, now)

        return await self._changed(await self._write(work), birth, None)

    async def get(self, visit: Visit, sign_up_id: str) -> SignUp:
        """Raises Refused (404) unless it is this browser's."""
        now = self._clock()
        return await self._database.read(lambda tx: self._view(tx, self._own(tx, visit, sign_up_id), now))

    async def latest(self, client_id: str) -> SignUp | None:
        """The browser's attempt, finished or not."""
        now = self._clock()

        def find(tx: Tx) -> SignUp | None:
            attempt = store.latest_of_client(tx, client_id)
            return None if attempt is None else self._view(tx, attempt, now)

        return await self._database.read(find)

    async def prepare_verification(
        self, visit: Visit, sign_up_id: str, strategy: str = "email_code"
    ) -> Changed[SignUp]:
        """Mail a code. Raises Refused (429) within the re-send pause."""
        if strategy != "email_code":
            raise Refused(VERIFICATION_STRATEGY_INVALID.at("strategy"))
        now, code = self._clock(), verification_rules.new_code()
        known = await self._database.read(lambda tx: self._open(tx, visit, sign_up_id, now))
        if known.email_address is not None:
            await self._restrictions.spend(
                "mail", known.email_address, self._settings.limits.mail_per_address
            )

        def work(tx: Tx) -> tuple[SignUp, bool]:
            attempt = self._open(tx, visit, sign_up_id, now)
            if attempt.email_address is None:
                raise Refused(CLIENT_STATE_INVALID)
            if attempt.email_verified_at is not None:
                raise Refused(VERIFICATION_ALREADY_VERIFIED)
            self._codes.issue(tx, attempt.id, strategy=strategy, code=code, now=now)
            is_taken = accounts.find_by_verified_email(tx, attempt.email_address) is not None
            return self._view(tx, attempt, now), is_taken

        sign_up, is_taken = await self._database.write(work)
        address, name = sign_up.record.email_address or "", self._settings.application_name
        if is_taken:
            self._mails.post(mail.account_exists(address, self._settings.origin, name))
        else:
            self._mails.post(mail.verification_code(address, code, name))
        return Changed(sign_up, await self._sessions.client_change(sign_up.record.client_id))

    async def attempt_verification(
        self, visit: Visit, sign_up_id: str, code: str, strategy: str = "email_code"
    ) -> Changed[SignUp]:
        """Prove the address; with nothing else missing the account and its session exist afterwards."""
        await self._restrictions.spend("factor", visit.ip, self._settings.limits.factor_attempt_per_ip)
        now = self._clock()
        known = await self._database.read(lambda tx: self._open(tx, visit, sign_up_id, now))
        birth = self._birth(visit, known.client_id)

        def work(tx: Tx) -> SignUp | Problem:
            attempt = self._open(tx, visit, sign_up_id, now)
            if attempt.email_address is None:
                raise Refused(CLIENT_STATE_INVALID)
            problem = self._codes.attempt(tx, attempt.id, strategy=strategy, code=code, now=now)
            if problem is not None:
                return problem
            return self._settle(tx, replace(attempt, email_verified_at=now), birth, visit, now)

        outcome = await self._write(work)
        if isinstance(outcome, Problem):
            raise Refused(outcome)
        return await self._changed(outcome, birth, None)

    # -- the steps of a transaction

    async def _write(self, work: Callable[[Tx], T]) -> T:
        try:
            return await self._database.write(work)
        except ConstraintViolated as error:
            if error.kind != "unique":
                raise
            # Another attempt proved the same address in the same moment.
            raise Refused(IDENTIFICATION_CLAIMED) from error

    def _own(self, tx: Tx, visit: Visit, sign_up_id: str) -> SignUpRecord:
        attempt = store.find(tx, sign_up_id)
        if attempt is None or attempt.client_id != visit.client_id:
            raise Refused(not_found("Sign up not found"))
        return attempt

    def _open(self, tx: Tx, visit: Visit, sign_up_id: str, now: int) -> SignUpRecord:
        attempt = self._own(tx, visit, sign_up_id)
        if rules.status_of(attempt, now) != "missing_requirements":
            raise Refused(CLIENT_STATE_INVALID)
        return attempt

    def _view(self, tx: Tx, attempt: SignUpRecord, now: int) -> SignUp:
        return SignUp(attempt, rules.status_of(attempt, now), verifications.find(tx, attempt.id))

    def _settle(self, tx: Tx, attempt: SignUpRecord, birth: _Birth, visit: Visit, now: int) -> SignUp:
        """Store the attempt; when nothing is missing any more, make the account and sign it in."""
        is_told = attempt.email_address is not None and not self._settings.hide_accounts
        if is_told and accounts.find_by_verified_email(tx, attempt.email_address or "") is not None:
            raise Refused(FORM_IDENTIFIER_EXISTS)
        if rules.is_ready(attempt):
            self._complete(tx, attempt, birth, visit, now)
            attempt = replace(
                attempt,
                password_hash=None,
                created_user_id=birth.user_id,
                created_session_id=birth.session.id,
            )
        store.put(tx, attempt)
        return self._view(tx, attempt, now)

    def _complete(self, tx: Tx, attempt: SignUpRecord, birth: _Birth, visit: Visit, now: int) -> None:
        if accounts.find_by_verified_email(tx, attempt.email_address or "") is not None:
            raise Refused(IDENTIFICATION_CLAIMED)
        invitation = self._redeem(tx, attempt, birth.user_id, now)
        self._restrictions.require_sign_up_allowed(
            tx, attempt.email_address or "", is_invited=invitation is not None
        )
        _insert_account(tx, attempt, birth, invitation, now)
        cause = Cause(visit.ip, visit.user_agent)
        self._events.user(tx, "user.created", birth.user_id, now=now, cause=cause)
        if invitation is not None and invitation.kind == "organization":
            self._organization_invitations.join(
                tx, invitation, birth.user_id, membership_id=birth.membership_id, now=now
            )
        self._waitlist.complete(tx, attempt.email_address or "", birth.user_id, now)
        self._sessions.start(
            tx,
            session=birth.session,
            client_id=attempt.client_id,
            token_hash=self._clients.token_hash(birth.client_token),
            strategy="password",
            now=now,
        )
        audit.record(tx, now=now, actor=birth.user_id, action="user.created", object_id=birth.user_id)
        if _is_for_administrator(invitation):
            audit.record(
                tx, now=now, actor=birth.user_id, action="administrator.created", object_id=birth.user_id
            )
            tx.notify(ADMINISTRATOR_CREATED, birth.user_id)

    def _redeem(self, tx: Tx, attempt: SignUpRecord, user_id: str, now: int) -> Invitation | None:
        """Use the attempt's invitation up."""
        if attempt.invitation_id is None:
            return None
        return self._invitations.redeem(tx, attempt.invitation_id, user_id, now)

    # -- around it

    async def _merge(self, attempt: SignUpRecord, fields: SignUpFields) -> SignUpRecord:
        """The attempt with the fields checked and added. Raises Refused naming every problem."""
        invitation = None
        if fields.ticket is not None:
            invitation = await self._invited(fields.ticket)
            attempt = replace(attempt, invitation_id=invitation.id)
            if invitation.email_address is not None:
                # The ticket was mailed to this address, so whoever holds it has read that mail.
                attempt = replace(
                    attempt, email_address=invitation.email_address, email_verified_at=self._clock()
                )
        problems: list[Problem] = []
        if fields.email_address is not None and (invitation is None or invitation.email_address is None):
            address = account_rules.normalise_email(fields.email_address)
            if address is None:
                problems.append(account_rules.email_problem("email_address"))
            elif address != attempt.email_address:
                attempt = replace(attempt, email_address=address, email_verified_at=None)
        problems += self._name_problems(fields)
        password = None
        if fields.password is not None:
            password = account_rules.normalise_password(fields.password)
            problem = account_rules.password_problem(
                password, email_address=attempt.email_address, context=(self._settings.application_name,)
            )
            problems += [] if problem is None else [problem]
        metadata = attempt.unsafe_metadata
        if fields.unsafe_metadata is not None:
            metadata = fields.unsafe_metadata
            if len(metadata.encode()) > MAX_METADATA_BYTES:
                problems.append(FORM_PARAM_MAX_LENGTH.at("unsafe_metadata"))
        if problems:
            raise Refused(*problems)
        if attempt.email_address is not None:
            address, is_invited = attempt.email_address, attempt.invitation_id is not None
            await self._database.read(
                lambda tx: self._restrictions.require_sign_up_allowed(tx, address, is_invited=is_invited)
            )
        if password is not None:
            attempt = replace(attempt, password_hash=await self._hasher.hash(password))
        return replace(
            attempt,
            first_name=fields.first_name or attempt.first_name,
            last_name=fields.last_name or attempt.last_name,
            unsafe_metadata=metadata,
        )

    def _name_problems(self, fields: SignUpFields) -> list[Problem]:
        named = {"first_name": fields.first_name, "last_name": fields.last_name}
        too_long = [name for name, value in named.items() if len(value or "") > account_rules.NAME_MAX_LENGTH]
        broken = [name for name, value in named.items() if value is not None and not value.isprintable()]
        return [FORM_PARAM_MAX_LENGTH.at(name) for name in too_long] + [
            FORM_PARAM_VALUE_INVALID.at(name) for name in broken
        ]

    async def _invited(self, ticket: str) -> Invitation:
        found = await self._invitations.of_ticket(ticket)
        if isinstance(found, Problem):
            raise Refused(found)
        return found

    def _birth(self, visit: Visit, client_id: str) -> _Birth:
        user_id = new_id("user")
        session = self._sessions.new_session(visit, client_id=client_id, user_id=user_id, now=self._clock())
        return _Birth(user_id, new_id("idn"), session, new_id("orgmem"), new_secret())

    async def _changed(self, sign_up: SignUp, birth: _Birth, fresh_token: str | None) -> Changed[SignUp]:
        is_born = sign_up.record.created_user_id == birth.user_id
        token = birth.client_token if is_born else fresh_token
        return Changed(sign_up, await self._sessions.client_change(sign_up.record.client_id, token))


def _public_metadata(invitation: Invitation | None) -> str:
    """An organization's invitation carries metadata for the membership, not for the user."""
    return invitation.public_metadata if invitation is not None and invitation.kind == "application" else "{}"


def _insert_account(
    tx: Tx, attempt: SignUpRecord, birth: _Birth, invitation: Invitation | None, now: int
) -> None:
    accounts.insert_user(
        tx,
        UserRecord(
            id=birth.user_id,
            primary_email_address_id=birth.email_address_id,
            password_hash=attempt.password_hash,
            password_updated_at=now,
            first_name=attempt.first_name,
            last_name=attempt.last_name,
            public_metadata=_public_metadata(invitation),
            unsafe_metadata=attempt.unsafe_metadata,
            is_administrator=_is_for_administrator(invitation),
            is_banned=False,
            locked_until=None,
            last_sign_in_at=now,
            created_at=now,
            updated_at=now,
        ),
    )
    address = attempt.email_address or ""
    is_by_ticket = invitation is not None and invitation.email_address == address
    proof = "ticket" if is_by_ticket else "email_code"
    accounts.insert_email(
        tx, EmailAddressRecord(birth.email_address_id, birth.user_id, address, now, now, now, proof)
    )


def _is_for_administrator(invitation: Invitation | None) -> bool:
    return invitation is not None and invitation.kind == "administrator"
