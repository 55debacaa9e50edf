"""E-mail addresses and phone numbers, as holders of a secret key add, prove and remove them.

An address counts as proved when the back end says so, or by a code that is mailed to it. There is no way to send to a
phone yet, so a number is proved by the back end's word alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeVar

from msgspec.structs import replace

from doorward.identity import mail
from doorward.identity.accounts import phones, store
from doorward.identity.accounts.administration import taken
from doorward.identity.accounts.administrators import require_may_let_in
from doorward.identity.accounts.new_accounts import email_of, phone_of
from doorward.identity.accounts.phones import PhoneNumberRecord
from doorward.identity.accounts.store import EmailAddress, EmailAddressRecord, UserRecord
from doorward.identity.audit import store as audit
from doorward.identity.errors import (
    FORM_VERIFICATION_NEEDED,
    IDENTIFICATION_DELETION_FAILED,
    VERIFICATION_ALREADY_VERIFIED,
    Refused,
    not_found,
)
from doorward.identity.identifiers import new_id
from doorward.identity.restrictions.service import Restrictions
from doorward.identity.settings import IdentitySettings
from doorward.identity.verification import rules as verification_rules
from doorward.identity.verification import store as verifications
from doorward.identity.verification.service import Codes
from doorward.identity.verification.store import VerificationRecord
from doorward.identity.webhooks.events import Events
from doorward.store import Clock, ConstraintViolated, Database, Tx

T = TypeVar("T")
Status = Literal["verified", "reserved", "unverified"]
_STRATEGY = "email_code"


class Addresses:
    """`actor` is the id of the secret key that asks, an administrator's, or an operator's name. An administrator's e-mail
    addresses are not a secret key's to change: 403."""

    def __init__(
        self,
        settings: IdentitySettings,
        database: Database,
        clock: Clock,
        *,
        codes: Codes,
        restrictions: Restrictions,
        mails: mail.MailQueue,
        events: Events,
    ) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._codes = codes
        self._restrictions = restrictions
        self._mails = mails
        self._events = events

    # -- e-mail addresses

    async def email(self, email_id: str) -> EmailAddress:
        """Raises Refused (404)."""
        return await self._database.read(lambda tx: self._shown(tx, email_id))

    async def add_email(
        self,
        user_id: str,
        text: str,
        *,
        is_verified: bool,
        is_primary: bool,
        is_told: bool = False,
        actor: str,
    ) -> EmailAddress:
        """`is_told`: the former main address hears of it by mail. Raises Refused (404, 422)."""
        address = email_of(text)
        if is_primary and not is_verified:
            raise Refused(FORM_VERIFICATION_NEEDED.at("primary"))
        now = self._clock()
        proof = "admin" if is_verified else None
        record = EmailAddressRecord(
            new_id("idn"), user_id, address, now if is_verified else None, now, now, proof
        )

        def work(tx: Tx) -> EmailAddress:
            require_may_let_in(tx, self._user(tx, user_id), actor)
            own = store.emails_of(tx, user_id)
            is_own = any(email.address == address for email in own)
            if is_own or store.find_by_verified_email(tx, address) is not None:
                raise Refused(taken("email_address"))
            store.insert_email(tx, record)
            if is_primary:
                store.set_primary_email(tx, user_id, record.id, now)
            self._note(tx, user_id, "user.email_added", record.id, now=now, actor=actor)
            return self._shown(tx, record.id)

        return await self._write_told(work, lambda _: user_id, is_told=is_told and is_primary)

    async def change_email(
        self,
        email_id: str,
        *,
        is_verified: bool | None,
        is_primary: bool | None,
        is_told: bool = False,
        actor: str,
    ) -> EmailAddress:
        """None leaves it as it is. `is_told` as above. Raises Refused (404, 422)."""
        now = self._clock()

        def work(tx: Tx) -> EmailAddress:
            record = self._changeable(tx, email_id, actor)
            if is_verified is not None and is_verified != (record.verified_at is not None):
                self._refuse_last(tx, record, is_gone=not is_verified)
                store.set_email_verified(tx, email_id, "admin" if is_verified else None, now)
                record = self._shown(tx, email_id).record
            if is_primary:
                if record.verified_at is None:
                    raise Refused(FORM_VERIFICATION_NEEDED.at("primary"))
                store.set_primary_email(tx, record.user_id, email_id, now)
            self._note(tx, record.user_id, "user.email_changed", email_id, now=now, actor=actor)
            return self._shown(tx, email_id)

        return await self._write_told(
            work, lambda tx: self._shown(tx, email_id).record.user_id, is_told=is_told and bool(is_primary)
        )

    async def delete_email(self, email_id: str, *, actor: str) -> None:
        """Another proved one becomes the main one. Raises Refused (404, 400 for the last)."""
        now = self._clock()

        def work(tx: Tx) -> None:
            record = self._changeable(tx, email_id, actor)
            self._refuse_last(tx, record, is_gone=True)
            user = store.find_user(tx, record.user_id)
            if user is not None and user.primary_email_address_id == email_id:
                rest = [email for email in store.emails_of(tx, record.user_id) if email.id != email_id]
                heir = next((email for email in rest if email.verified_at is not None), rest[0])
                store.set_primary_email(tx, record.user_id, heir.id, now)
            store.delete_email(tx, email_id)
            verifications.forget(tx, email_id)
            self._note(tx, record.user_id, "user.email_removed", email_id, now=now, actor=actor)

        await self._database.write(work)

    async def replace_emails(
        self, user_id: str, text: str, *, status: Status, is_told: bool = False, actor: str
    ) -> EmailAddress:
        """This address, as the only and the main one. `is_told` as above. Raises Refused (404, 422)."""
        address, now, is_verified = email_of(text), self._clock(), status == "verified"
        if status == "unverified":
            # It would be the only one: nobody could sign in with it, and anybody else could claim it.
            raise Refused(FORM_VERIFICATION_NEEDED.at("identification_status"))
        record = EmailAddressRecord(
            id=new_id("idn"),
            user_id=user_id,
            address=address,
            verified_at=now if is_verified else None,
            created_at=now,
            updated_at=now,
            verified_by="admin" if is_verified else None,
            is_reserved=not is_verified,
        )

        def work(tx: Tx) -> EmailAddress:
            require_may_let_in(tx, self._user(tx, user_id), actor)
            owner = store.find_by_verified_email(tx, address)
            if owner is not None and owner.user.id != user_id:
                raise Refused(taken("email_address"))
            for email in store.emails_of(tx, user_id):
                store.delete_email(tx, email.id)
                verifications.forget(tx, email.id)
            store.insert_email(tx, record)
            store.set_primary_email(tx, user_id, record.id, now)
            self._note(tx, user_id, "user.emails_replaced", record.id, now=now, actor=actor)
            return self._shown(tx, record.id)

        return await self._write_told(work, lambda _: user_id, is_told=is_told)

    async def prepare_email(self, email_id: str, *, actor: str) -> VerificationRecord:
        """Mail a code. Raises Refused (404, 400 for one that is verified, 429)."""
        known = (await self.email(email_id)).record
        await self._restrictions.spend("mail", known.address, self._settings.limits.mail_per_address)
        now, code = self._clock(), verification_rules.new_code()

        def work(tx: Tx) -> tuple[VerificationRecord, bool]:
            record = self._shown(tx, email_id).record
            if record.verified_at is not None:
                raise Refused(VERIFICATION_ALREADY_VERIFIED)
            issued = self._codes.issue(tx, email_id, strategy=_STRATEGY, code=code, now=now)
            audit.record(tx, now=now, actor=actor, action="user.email_code_sent", object_id=email_id)
            owner = store.find_by_verified_email(tx, record.address)
            return issued, owner is None or owner.user.id == record.user_id

        issued, is_free = await self._database.write(work)
        if is_free:
            self._mails.post(mail.verification_code(known.address, code, self._settings.application_name))
        return issued

    async def attempt_email(self, email_id: str, code: str, *, actor: str) -> VerificationRecord:
        """Where the verification stands now; a wrong code is no refusal. Raises Refused (404, 400 when verified)."""
        now = self._clock()

        def work(tx: Tx) -> VerificationRecord:
            record = self._changeable(tx, email_id, actor)
            if record.verified_at is not None:
                raise Refused(VERIFICATION_ALREADY_VERIFIED)
            if self._codes.attempt(tx, email_id, strategy=_STRATEGY, code=code, now=now) is None:
                store.set_email_verified(tx, email_id, _STRATEGY, now)
                self._note(tx, record.user_id, "user.email_verified", email_id, now=now, actor=actor)
            verification = verifications.find(tx, email_id)
            if verification is None:
                raise Refused(not_found("Verification not found"))
            return verification

        return await self._write_unique(work, "email_address")

    # -- phone numbers

    async def phone(self, phone_id: str) -> PhoneNumberRecord:
        """Raises Refused (404)."""
        return await self._database.read(lambda tx: self._phone(tx, phone_id))

    async def add_phone(
        self, user_id: str, text: str, *, is_verified: bool, is_primary: bool, is_second: bool, actor: str
    ) -> PhoneNumberRecord:
        """Raises Refused (404, 422)."""
        number = phone_of(text)
        if is_primary and not is_verified:
            raise Refused(FORM_VERIFICATION_NEEDED.at("primary"))
        now = self._clock()
        record = PhoneNumberRecord(
            id=new_id("idn"),
            user_id=user_id,
            number=number,
            verified_at=now if is_verified else None,
            is_reserved=False,
            is_second_factor=is_second,
            created_at=now,
            updated_at=now,
        )

        def work(tx: Tx) -> PhoneNumberRecord:
            self._user(tx, user_id)
            is_own = any(phone.number == number for phone in phones.phones_of(tx, user_id))
            if is_own or phones.is_number_owned(tx, number):
                raise Refused(taken("phone_number"))
            phones.insert_phone(tx, record)
            if is_primary:
                store.set_primary_phone(tx, user_id, record.id, now)
            store.refresh_search(tx, user_id)
            self._note(tx, user_id, "user.phone_added", record.id, now=now, actor=actor)
            return record

        return await self._write_unique(work, "phone_number")

    async def change_phone(
        self,
        phone_id: str,
        *,
        is_verified: bool | None,
        is_primary: bool | None,
        is_second: bool | None,
        actor: str,
    ) -> PhoneNumberRecord:
        """None leaves it as it is. Raises Refused (404, 422)."""
        now = self._clock()

        def work(tx: Tx) -> PhoneNumberRecord:
            record = replace(self._phone(tx, phone_id), updated_at=now)
            if is_verified is not None:
                record = replace(record, verified_at=now if is_verified else None)
            if is_second is not None:
                record = replace(record, is_second_factor=is_second)
            if is_primary and record.verified_at is None:
                raise Refused(FORM_VERIFICATION_NEEDED.at("primary"))
            phones.update_phone(tx, record)
            if is_primary:
                store.set_primary_phone(tx, record.user_id, phone_id, now)
            self._note(tx, record.user_id, "user.phone_changed", phone_id, now=now, actor=actor)
            return record

        return await self._write_unique(work, "phone_number")

    async def delete_phone(self, phone_id: str, *, actor: str) -> None:
        """Raises Refused (404)."""
        now = self._clock()

        def work(tx: Tx) -> None:
            record = self._phone(tx, phone_id)
            phones.delete_phone(tx, phone_id)
            user = store.find_user(tx, record.user_id)
            if user is not None and user.primary_phone_number_id == phone_id:
                rest = [phone for phone in phones.phones_of(tx, user.id) if phone.verified_at is not None]
                store.set_primary_phone(tx, user.id, rest[0].id if rest else None, now)
            store.refresh_search(tx, record.user_id)
            self._note(tx, record.user_id, "user.phone_removed", phone_id, now=now, actor=actor)

        await self._database.write(work)

    async def replace_phones(
        self, user_id: str, text: str, *, status: Status, actor: str
    ) -> PhoneNumberRecord:
        """This number, as the only one. Raises Refused (404, 422)."""
        number, now = phone_of(text), self._clock()
        record = PhoneNumberRecord(
            id=new_id("idn"),
            user_id=user_id,
            number=number,
            verified_at=now if status == "verified" else None,
            is_reserved=status == "reserved",
            is_second_factor=False,
            created_at=now,
            updated_at=now,
        )

        def work(tx: Tx) -> PhoneNumberRecord:
            self._user(tx, user_id)
            for phone in phones.phones_of(tx, user_id):
                phones.delete_phone(tx, phone.id)
            if phones.is_number_owned(tx, number):
                raise Refused(taken("phone_number"))
            phones.insert_phone(tx, record)
            store.set_primary_phone(tx, user_id, record.id if status == "verified" else None, now)
            store.refresh_search(tx, user_id)
            self._note(tx, user_id, "user.phones_replaced", record.id, now=now, actor=actor)
            return record

        return await self._write_unique(work, "phone_number")

    def _shown(self, tx: Tx, email_id: str) -> EmailAddress:
        record = store.find_any_email(tx, email_id)
        if record is None:
            raise Refused(not_found("Email address not found"))
        return EmailAddress(record, verifications.find(tx, email_id))

    def _phone(self, tx: Tx, phone_id: str) -> PhoneNumberRecord:
        record = phones.find_phone(tx, phone_id)
        if record is None:
            raise Refused(not_found("Phone number not found"))
        return record

    def _changeable(self, tx: Tx, email_id: str, actor: str) -> EmailAddressRecord:
        record = self._shown(tx, email_id).record
        require_may_let_in(tx, self._user(tx, record.user_id), actor)
        return record

    def _user(self, tx: Tx, user_id: str) -> UserRecord:
        user = store.find_user(tx, user_id)
        if user is None:
            raise Refused(not_found("User not found"))
        return user

    def _refuse_last(self, tx: Tx, record: EmailAddressRecord, *, is_gone: bool) -> None:
        """An account keeps an address to sign in with. Raises Refused (400)."""
        others = [email for email in store.emails_of(tx, record.user_id) if email.id != record.id]
        if is_gone and not any(email.is_owned for email in others):
            raise Refused(
                IDENTIFICATION_DELETION_FAILED.at(
                    long_message="It is the only address this user can sign in with."
                )
            )

    def _note(self, tx: Tx, user_id: str, action: str, object_id: str, *, now: int, actor: str) -> None:
        audit.record(tx, now=now, actor=actor, action=action, object_id=object_id, detail=user_id)
        self._events.user(tx, "user.updated", user_id, now=now)

    async def _write_told(
        self, work: Callable[[Tx], EmailAddress], user_of: Callable[[Tx], str], *, is_told: bool
    ) -> EmailAddress:
        """With `is_told`, what was the user's main address until this very write is mailed, if another one is now."""

        def told(tx: Tx) -> tuple[str | None, EmailAddress]:
            former = _primary_of(tx, user_of(tx)) if is_told else None
            return former, work(tx)

        former, shown = await self._write_unique(told, "email_address")
        if former is not None and former != shown.record.address:
            self._mails.post(mail.email_changed(former, self._settings.application_name))
        return shown

    async def _write_unique(self, work: Callable[[Tx], T], param: str) -> T:
        """Two accounts may claim one at once; the database lets one of them have it."""
        try:
            return await self._database.write(work)
        except ConstraintViolated as error:
            raise Refused(taken(param)) from error


def _primary_of(tx: Tx, user_id: str) -> str | None:
    account = store.find_account(tx, user_id)
    return None if account is None else account.primary_email.address
