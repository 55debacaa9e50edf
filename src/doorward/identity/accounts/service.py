"""Changing an account: names, addresses, password, ban, lock, deletion."""

from __future__ import annotations

from collections.abc import Sequence

from doorward.identity import mail
from doorward.identity.accounts import rules, store
from doorward.identity.accounts.administrators import require_one_left
from doorward.identity.accounts.passwords import PasswordHasher
from doorward.identity.accounts.store import Account, EmailAddress, EmailAddressRecord, UserRecord
from doorward.identity.audit import store as audit
from doorward.identity.errors import (
    AUTHORIZATION_INVALID,
    FORM_IDENTIFIER_EXISTS,
    FORM_PARAM_MAX_LENGTH,
    FORM_PARAM_VALUE_INVALID,
    FORM_PASSWORD_INCORRECT,
    FORM_PASSWORD_MATCHES_CURRENT,
    FORM_PASSWORD_VALIDATION_FAILED,
    IDENTIFICATION_CLAIMED,
    IDENTIFICATION_DELETION_FAILED,
    NO_PASSWORD_SET,
    VERIFICATION_ALREADY_VERIFIED,
    VERIFICATION_STRATEGY_INVALID,
    Problem,
    Refused,
    not_found,
)
from doorward.identity.identifiers import new_id
from doorward.identity.link_news import LinkNews, machine_linked
from doorward.identity.oauth import grants
from doorward.identity.restrictions.service import Restrictions
from doorward.identity.sessions import store as session_store
from doorward.identity.sessions.service import Sessions
from doorward.identity.sessions.signed_in import SignedIn
from doorward.identity.settings import IdentitySettings
from doorward.identity.verification import rules as verification_rules
from doorward.identity.verification import store as verifications
from doorward.identity.verification.service import Codes
from doorward.identity.webhooks.events import Events
from doorward.store import Clock, ConstraintViolated, Database, Tx

MAX_EMAIL_ADDRESSES = 10

#: Carries the id of a user who was banned, let in again, or deleted.
BARRED_CHANNEL = "identity.accounts_barred"


class Accounts:
    def __init__(
        self,
        settings: IdentitySettings,
        database: Database,
        clock: Clock,
        *,
        sessions: Sessions,
        restrictions: Restrictions,
        codes: Codes,
        hasher: PasswordHasher,
        mails: mail.MailQueue,
        events: Events,
    ) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._sessions = sessions
        self._restrictions = restrictions
        self._codes = codes
        self._hasher = hasher
        self._mails = mails
        self._events = events

    async def find(self, user_id: str) -> Account | None:
        return await self._database.read(lambda tx: store.find_account(tx, user_id))

    async def set_names(
        self, signed_in: SignedIn, *, first_name: str | None, last_name: str | None
    ) -> Account:
        """Raises Refused (422)."""
        for param, value in (("first_name", first_name), ("last_name", last_name)):
            if len(value or "") > rules.NAME_MAX_LENGTH:
                raise Refused(
                    FORM_PARAM_MAX_LENGTH.at(
                        param, long_message=f"Write at most {rules.NAME_MAX_LENGTH} characters."
                    )
                )
            if value is not None and not value.isprintable():
                raise Refused(
                    FORM_PARAM_VALUE_INVALID.at(param, long_message="A character in it cannot be shown.")
                )
        now = self._clock()

        def work(tx: Tx) -> Account:
            store.set_names(tx, signed_in.user_id, first_name, last_name, now)
            self._events.user(tx, "user.updated", signed_in.user_id, now=now)
            return self._account(tx, signed_in.user_id)

        return await self._database.write(work)

    async def change_password(
        self,
        signed_in: SignedIn,
        current_password: str,
        new_password: str,
        *,
        sign_out_of_other_sessions: bool = True,
    ) -> Account:
        """The current password is the proof this change needs. By default every other session and every OAuth grant
        ends. Raises Refused (422)."""
        user, address = signed_in.user, signed_in.email_address
        if user.password_hash is None:
            raise Refused(NO_PASSWORD_SET)
        chosen = rules.normalise_password(new_password)
        problem = rules.password_problem(
            chosen,
            email_address=address,
            context=(self._settings.application_name,),
            param="new_password",
        )
        if problem is not None:
            raise Refused(problem)
        try:
            await self._sessions.check_password(signed_in.account, current_password)
        except Refused as refused:
            if refused.errors[0].code != FORM_PASSWORD_INCORRECT.code:
                raise
            raise Refused(FORM_PASSWORD_VALIDATION_FAILED) from refused
        if chosen == rules.normalise_password(current_password):
            raise Refused(FORM_PASSWORD_MATCHES_CURRENT)
        encoded = await self._hasher.hash(chosen)
        now = self._clock()

        def work(tx: Tx) -> Account:
            store.set_password(tx, user.id, encoded, now)
            session_store.set_verified(tx, signed_in.session.id, now)
            if sign_out_of_other_sessions:
                self._sessions.finish_of_user(tx, user.id, but=signed_in.session.id, now=now, actor=user.id)
                grants.revoke_of_user(tx, user.id, because="password_changed", now=now)
            audit.record(tx, now=now, actor=user.id, action="user.password_changed", object_id=user.id)
            self._events.user(tx, "user.updated", user.id, now=now)
            return self._account(tx, user.id)

        account = await self._database.write(work)
        self._mails.post(
            mail.password_changed(address, self._settings.origin, self._settings.application_name)
        )
        return account

    async def delete_account(self, signed_in: SignedIn) -> None:
        """The account, its sessions, grants and consents are gone. Needs a fresh proof (403)."""
        self._sessions.require_recent_proof(signed_in)
        if not signed_in.user.delete_self_enabled:
            raise Refused(AUTHORIZATION_INVALID)
        await self.delete(signed_in.user_id, actor=signed_in.user_id)

    async def delete(self, user_id: str, *, actor: str) -> UserRecord:
        """Who it was. Raises Refused (404, 409 for the last administrator)."""
        now = self._clock()

        def work(tx: Tx) -> UserRecord:
            user = self._account(tx, user_id).user
            require_one_left(tx, [user_id], now=now)
            self._sessions.finish_of_user(tx, user_id, but=None, now=now, actor=actor)
            store.delete_user(tx, user_id)
            tx.notify(BARRED_CHANNEL, user_id)
            audit.record(tx, now=now, actor=actor, action="user.deleted", object_id=user_id)
            self._events.user_deleted(tx, user, now=now)
            return user

        return await self._database.write(work)

    async def tell_of_link(self, news: LinkNews) -> bool:
        """Mail the owner of a link that a machine was linked; false when that has to be tried again later.

        Counted apart from the codes of this address: whoever links machine after machine must not keep its owner
        from signing in.
        """
        account = await self.find(news.user_id)
        if account is None:
            return True
        to = account.primary_email.address
        try:
            await self._restrictions.spend("link mail", to, self._settings.limits.link_mail_per_address)
        except Refused:
            return False
        origin, application = self._settings.origin, self._settings.application_name
        return await self._mails.deliver(machine_linked(to, news, origin=origin, application=application))

    # -- e-mail addresses

    async def add_email(self, signed_in: SignedIn, text: str) -> EmailAddress:
        """An unproved address. Needs a fresh proof (403). A foreign account's address is not told apart."""
        self._sessions.require_recent_proof(signed_in)
        address = rules.normalise_email(text)
        if address is None:
            raise Refused(rules.email_problem("email_address"))
        now, email_id = self._clock(), new_id("idn")
        record = EmailAddressRecord(email_id, signed_in.user_id, address, None, now, now, None)

        def work(tx: Tx) -> EmailAddress:
            self._restrictions.require_address_allowed(tx, address)
            own = store.emails_of(tx, signed_in.user_id)
            is_taken = store.find_by_verified_email(tx, address) is not None
            if any(email.address == address for email in own) or (
                is_taken and not self._settings.hide_accounts
            ):
                raise Refused(FORM_IDENTIFIER_EXISTS)
            if len(own) >= MAX_EMAIL_ADDRESSES:
                raise Refused(
                    FORM_PARAM_VALUE_INVALID.at(
                        "email_address",
                        long_message=f"An account has at most {MAX_EMAIL_ADDRESSES} addresses.",
                    )
                )
            store.insert_email(tx, record)
            self._events.user(tx, "user.updated", signed_in.user_id, now=now)
            return EmailAddress(record, None)

        return await self._database.write(work)

    async def prepare_email(self, signed_in: SignedIn, email_id: str, strategy: str) -> EmailAddress:
        """Mail a code to the new address."""
        if strategy != "email_code":
            raise Refused(VERIFICATION_STRATEGY_INVALID.at("strategy"))
        known = await self.email(signed_in, email_id)
        await self._restrictions.spend("mail", known.record.address, self._settings.limits.mail_per_address)
        now, code = self._clock(), verification_rules.new_code()

        def work(tx: Tx) -> tuple[EmailAddress, bool]:
            record = self._email(tx, signed_in, email_id)
            if record.verified_at is not None:
                raise Refused(VERIFICATION_ALREADY_VERIFIED)
            verification = self._codes.issue(tx, email_id, strategy=strategy, code=code, now=now)
            return EmailAddress(record, verification), store.find_by_verified_email(
                tx, record.address
            ) is not None

        email, is_taken = await self._database.write(work)
        if not is_taken:
            self._mails.post(
                mail.verification_code(email.record.address, code, self._settings.application_name)
            )
        return email

    async def attempt_email(self, signed_in: SignedIn, email_id: str, code: str) -> EmailAddress:
        """Prove the new address; the account's main address is told. Raises Refused."""
        now = self._clock()

        def work(tx: Tx) -> EmailAddress | Problem:
            record = self._email(tx, signed_in, email_id)
            problem = self._codes.attempt(tx, email_id, strategy="email_code", code=code, now=now)
            if problem is not None:
                return problem
            store.set_email_verified(tx, email_id, "email_code", now)
            audit.record(tx, now=now, actor=signed_in.user_id, action="user.email_added", object_id=record.id)
            self._events.user(tx, "user.updated", signed_in.user_id, now=now)
            return EmailAddress(self._email(tx, signed_in, email_id), verifications.find(tx, email_id))

        try:
            outcome = await self._database.write(work)
        except ConstraintViolated as error:
            raise Refused(IDENTIFICATION_CLAIMED) from error
        if isinstance(outcome, Problem):
            raise Refused(outcome)
        self._tell_of_emails(signed_in)
        return outcome

    async def email(self, signed_in: SignedIn, email_id: str) -> EmailAddress:
        return await self._database.read(
            lambda tx: EmailAddress(self._email(tx, signed_in, email_id), verifications.find(tx, email_id))
        )

    async def emails(self, signed_in: SignedIn) -> list[EmailAddress]:
        def find(tx: Tx) -> list[EmailAddress]:
            return [
                EmailAddress(record, verifications.find(tx, record.id))
                for record in store.emails_of(tx, signed_in.user_id)
            ]

        return await self._database.read(find)

    async def set_primary_email(self, signed_in: SignedIn, email_id: str) -> Account:
        """Only a proved address. Needs a fresh proof (403)."""
        self._sessions.require_recent_proof(signed_in)
        now = self._clock()

        def work(tx: Tx) -> Account:
            record = self._email(tx, signed_in, email_id)
            if record.verified_at is None:
                raise Refused(FORM_PARAM_VALUE_INVALID.at("primary_email_address_id"))
            store.set_primary_email(tx, signed_in.user_id, email_id, now)
            audit.record(
                tx, now=now, actor=signed_in.user_id, action="user.primary_email_changed", object_id=email_id
            )
            self._events.user(tx, "user.updated", signed_in.user_id, now=now)
            return self._account(tx, signed_in.user_id)

        account = await self._database.write(work)
        self._tell_of_emails(signed_in)
        return account

    async def delete_email(self, signed_in: SignedIn, email_id: str) -> None:
        """Never the last proved one, never the main one. Needs a fresh proof (403)."""
        self._sessions.require_recent_proof(signed_in)
        now = self._clock()

        def work(tx: Tx) -> None:
            record = self._email(tx, signed_in, email_id)
            proved = [one for one in store.emails_of(tx, signed_in.user_id) if one.verified_at is not None]
            is_last = record.verified_at is not None and len(proved) == 1
            user = store.find_user(tx, signed_in.user_id)
            if is_last or (user is not None and user.primary_email_address_id == email_id):
                raise Refused(IDENTIFICATION_DELETION_FAILED)
            store.delete_email(tx, email_id)
            verifications.forget(tx, email_id)
            audit.record(
                tx, now=now, actor=signed_in.user_id, action="user.email_removed", object_id=email_id
            )
            self._events.user(tx, "user.updated", signed_in.user_id, now=now)

        await self._database.write(work)
        self._tell_of_emails(signed_in)

    # -- what an administrator or the command line does

    async def ban(self, user_id: str, *, actor: str | None) -> None:
        """Refused everywhere from now on: sessions end, grants die. Raises Refused (404, 409 for the last administrator)."""
        await self.set_banned([user_id], True, actor=actor)

    async def unban(self, user_id: str, *, actor: str | None) -> None:
        await self.set_banned([user_id], False, actor=actor)

    async def set_banned(
        self, user_ids: Sequence[str], is_banned: bool, *, actor: str | None
    ) -> list[Account]:
        """All of them or, with one unknown id, none. Every node learns of it with the commit (`BARRED_CHANNEL`)."""
        now = self._clock()

        def work(tx: Tx) -> list[Account]:
            if is_banned:
                require_one_left(tx, user_ids, now=now)
            for user_id in user_ids:
                if not store.set_banned(tx, user_id, is_banned, now):
                    raise Refused(not_found("User not found"))
                if is_banned:
                    self._sessions.finish_of_user(tx, user_id, but=None, now=now, actor=actor)
                    grants.revoke_of_user(tx, user_id, because="banned", now=now)
                tx.notify(BARRED_CHANNEL, user_id)
                action = "user.banned" if is_banned else "user.unbanned"
                audit.record(tx, now=now, actor=actor, action=action, object_id=user_id)
                self._events.user(tx, "user.updated", user_id, now=now)
            return [self._account(tx, user_id) for user_id in user_ids]

        return await self._database.write(work)

    async def lock(self, user_id: str, *, until: int | None, actor: str | None) -> None:
        """Keep the person from getting anything new until then (ms), or, with None, let them in again.
        Raises Refused (404, 409 for the last administrator)."""
        now = self._clock()

        def work(tx: Tx) -> None:
            if until is not None:
                require_one_left(tx, [user_id], now=now)
            if not store.set_locked_until(tx, user_id, until, now):
                raise Refused(not_found("User not found"))
            if until is None:
                for email in store.emails_of(tx, user_id):
                    self._restrictions.clear_failures(tx, email.address)
            action = "user.unlocked" if until is None else "user.locked"
            audit.record(tx, now=now, actor=actor, action=action, object_id=user_id)
            self._events.user(tx, "user.updated", user_id, now=now)

        await self._database.write(work)

    def _account(self, tx: Tx, user_id: str) -> Account:
        account = store.find_account(tx, user_id)
        if account is None:
            raise Refused(not_found("User not found"))
        return account

    def _email(self, tx: Tx, signed_in: SignedIn, email_id: str) -> EmailAddressRecord:
        record = store.find_email(tx, signed_in.user_id, email_id)
        if record is None:
            raise Refused(not_found("Email address not found"))
        return record

    def _tell_of_emails(self, signed_in: SignedIn) -> None:
        self._mails.post(mail.email_changed(signed_in.email_address, self._settings.application_name))
