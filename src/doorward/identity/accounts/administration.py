"""What holders of a secret key do with users: make, change, ban, lock and delete them, and look after their passwords.

Restrictions on who may sign up do not hold here, and addresses count as proved: the back end answers for both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from doorward.identity import mail
from doorward.identity.accounts import images, metadata, phones, rules, store
from doorward.identity.accounts.administrators import require_may_let_in
from doorward.identity.accounts.new_accounts import (
    LOCK_MS,
    Details,
    NewPassword,
    NewUser,
    new_account,
    stored_digest,
    with_password,
)
from doorward.identity.accounts.passwords import PasswordHasher
from doorward.identity.accounts.phones import PhoneNumberRecord
from doorward.identity.accounts.service import Accounts
from doorward.identity.accounts.store import Account, EmailAddressRecord, UserRecord
from doorward.identity.audit import store as audit
from doorward.identity.errors import (
    FORM_CONDITIONAL_PARAM_DISALLOWED,
    FORM_IDENTIFIER_EXISTS,
    FORM_PARAM_VALUE_INVALID,
    FORM_VERIFICATION_NEEDED,
    INCORRECT_PASSWORD,
    NO_PASSWORD_SET,
    Problem,
    Refused,
    not_found,
)
from doorward.identity.oauth import grants
from doorward.identity.sessions.service import Sessions
from doorward.identity.settings import IdentitySettings
from doorward.identity.webhooks.events import Events
from doorward.store import Clock, ConstraintViolated, Database, Tx

T = TypeVar("T")


class Administration:
    """`actor` is the id of the secret key that asks, an administrator's, or an operator's name."""

    def __init__(
        self,
        settings: IdentitySettings,
        database: Database,
        clock: Clock,
        *,
        accounts: Accounts,
        sessions: Sessions,
        hasher: PasswordHasher,
        mails: mail.MailQueue,
        events: Events,
    ) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._accounts = accounts
        self._sessions = sessions
        self._hasher = hasher
        self._mails = mails
        self._events = events

    async def get(self, user_id: str) -> Account:
        """Raises Refused (404)."""
        return await self._database.read(lambda tx: self._account(tx, user_id))

    async def create(self, wish: NewUser, *, actor: str) -> Account:
        """Raises Refused (422)."""
        now = self._clock()
        account = new_account(wish, now)
        encoded = await self.encoded(wish.password, account.primary_email.address)
        account = with_password(account, encoded, now)

        def work(tx: Tx) -> Account:
            _refuse_taken(tx, account.user, account.email_addresses, account.phone_numbers)
            store.insert_accounts(tx, [account])
            audit.record(tx, now=now, actor=actor, action="user.created", object_id=account.user.id)
            self._events.user(tx, "user.created", account.user.id, now=now)
            return self._account(tx, account.user.id)

        return await self._write_unique(work)

    async def update(
        self,
        user_id: str,
        details: Details,
        *,
        password: NewPassword,
        sign_out_of_other_sessions: bool = False,
        is_told: bool = False,
        actor: str,
    ) -> Account:
        """Raises Refused (403 for what an administrator signs in with, 404, 422)."""
        account = await self.get(user_id)
        members, now = details.given(), self._clock()
        encoded = await self.encoded(password, account.primary_email.address)
        for name, is_given in (
            ("sign_out_of_other_sessions", sign_out_of_other_sessions),
            ("skip_password_checks", not password.is_checked),
        ):
            if is_given and encoded is None:
                sentence = f"{name} goes with a new password alone."
                raise Refused(FORM_CONDITIONAL_PARAM_DISALLOWED.at(name, long_message=sentence))

        def work(tx: Tx) -> tuple[str, Account]:
            current = self._account(tx, user_id)
            if encoded is not None or "primary_email_address_id" in members:
                require_may_let_in(tx, current.user, actor)
            _check_primaries(current, members)
            user = replace(current.user, **members, updated_at=now)
            if encoded is not None:
                user = replace(
                    user, password_hash=encoded, password_updated_at=now, is_password_compromised=False
                )
            _refuse_taken(tx, user, (), ())
            store.update_user(tx, user)
            if sign_out_of_other_sessions:
                self._sessions.finish_of_user(tx, user_id, but=None, now=now, actor=actor)
                grants.revoke_of_user(tx, user_id, because="password_changed", now=now)
            audit.record(
                tx, now=now, actor=actor, action="user.updated", object_id=user_id, detail=" ".join(members)
            )
            if encoded is not None:
                audit.record(tx, now=now, actor=actor, action="user.password_changed", object_id=user_id)
            self._events.user(tx, "user.updated", user_id, now=now)
            return current.primary_email.address, self._account(tx, user_id)

        former, changed = await self._write_unique(work)
        if is_told and changed.primary_email.address != former:
            self._mails.post(mail.email_changed(former, self._settings.application_name))
        return changed

    async def merge_metadata(self, user_id: str, changes: Details, *, actor: str) -> Account:
        """Deeply, inside one transaction: two back ends that change different keys at once both succeed."""
        now = self._clock()

        def work(tx: Tx) -> Account:
            user, members = self._account(tx, user_id).user, dict[str, str]()
            for name in ("public_metadata", "private_metadata", "unsafe_metadata"):
                given = getattr(changes, name)
                if given is not msgspec.UNSET:
                    stored = msgspec.json.decode(getattr(user, name))
                    members[name] = metadata.as_text(name, metadata.merged(stored, given))
            store.update_user(tx, replace(user, **members, updated_at=now))
            audit.record(
                tx, now=now, actor=actor, action="user.updated", object_id=user_id, detail=" ".join(members)
            )
            self._events.user(tx, "user.updated", user_id, now=now)
            return self._account(tx, user_id)

        return await self._database.write(work)

    async def delete(self, user_id: str, *, actor: str) -> UserRecord:
        """With sessions, grants, addresses and image. Raises Refused (404, 409 for the last administrator)."""
        return await self._accounts.delete(user_id, actor=actor)

    async def ban(self, user_ids: Iterable[str], *, actor: str) -> list[Account]:
        """All of them or, with one unknown id, none. Raises Refused (404, 409 when no administrator would be left)."""
        return await self._accounts.set_banned(list(user_ids), True, actor=actor)

    async def unban(self, user_ids: Iterable[str], *, actor: str) -> list[Account]:
        return await self._accounts.set_banned(list(user_ids), False, actor=actor)

    async def lock(self, user_id: str, *, actor: str) -> Account:
        """Nothing new for an hour; what is open stays open. Raises Refused (404, 409 for the last administrator)."""
        await self._accounts.lock(user_id, until=self._clock() + LOCK_MS, actor=actor)
        return await self.get(user_id)

    async def unlock(self, user_id: str, *, actor: str) -> Account:
        """Lets the person in again, and forgets the wrong passwords that were counted."""
        await self._accounts.lock(user_id, until=None, actor=actor)
        return await self.get(user_id)

    # -- passwords

    async def verify_password(self, user_id: str, password: str) -> None:
        """Raises Refused (404, 400 without a password, 422 for a wrong one)."""
        user = (await self.get(user_id)).user
        stored = user.password_hash
        if stored is None:
            raise Refused(NO_PASSWORD_SET)
        check = await self._hasher.check(stored, rules.normalise_password(password))
        if not check.is_correct:
            raise Refused(INCORRECT_PASSWORD)
        if (rehash := check.rehash) is not None:
            await self._database.write(
                lambda tx: store.upgrade_password_hash(tx, user_id, old=stored, new=rehash)
            )

    async def remove_password(self, user_id: str, *, sign_out: bool, actor: str) -> Account:
        """Nothing happens to a user without one. Raises Refused (403 for an administrator's, 404)."""
        now = self._clock()

        def work(tx: Tx) -> Account:
            user = self._account(tx, user_id).user
            require_may_let_in(tx, user, actor)
            if user.password_hash is not None:
                store.set_password(tx, user_id, None, now)
                audit.record(tx, now=now, actor=actor, action="user.password_removed", object_id=user_id)
                self._events.user(tx, "user.updated", user_id, now=now)
                if sign_out:
                    self._sessions.finish_of_user(tx, user_id, but=None, now=now, actor=actor)
            return self._account(tx, user_id)

        return await self._database.write(work)

    async def set_password_compromised(
        self, user_id: str, is_compromised: bool, *, sign_out: bool = False, actor: str
    ) -> Account:
        """Whether others may know the password: then it signs nobody in, and a new one has to be chosen with a mailed
        code. Raises Refused (403 for an administrator's, 404, 400 without a password)."""
        now = self._clock()
        action = "user.password_compromised" if is_compromised else "user.password_cleared"

        def work(tx: Tx) -> Account:
            user = self._account(tx, user_id).user
            require_may_let_in(tx, user, actor)
            if user.password_hash is None:
                raise Refused(NO_PASSWORD_SET)
            store.update_user(tx, replace(user, is_password_compromised=is_compromised, updated_at=now))
            audit.record(tx, now=now, actor=actor, action=action, object_id=user_id)
            if sign_out:
                self._sessions.finish_of_user(tx, user_id, but=None, now=now, actor=actor)
                grants.revoke_of_user(tx, user_id, because="password_compromised", now=now)
            self._events.user(tx, "user.updated", user_id, now=now)
            return self._account(tx, user_id)

        return await self._database.write(work)

    async def encoded(self, wanted: NewPassword, address: str) -> str | None:
        """What to store of a password, or None where none was given. Raises Refused (422)."""
        if wanted.digest is not None or wanted.hasher is not None:
            return stored_digest(wanted)
        if wanted.password is None:
            return None
        chosen = rules.normalise_password(wanted.password)
        if wanted.is_checked:
            problem = rules.password_problem(
                chosen, email_address=address, context=(self._settings.application_name,)
            )
            if problem is not None:
                raise Refused(problem)
        elif not 1 <= len(chosen) <= rules.PASSWORD_MAX_LENGTH:
            raise Refused(
                FORM_PARAM_VALUE_INVALID.at(
                    "password", long_message=f"A password has 1 to {rules.PASSWORD_MAX_LENGTH} characters."
                )
            )
        return await self._hasher.hash(chosen)

    # -- the image

    async def set_image(self, user_id: str, content: bytes, *, actor: str) -> Account:
        """Raises Refused (404, 400 for what is no image)."""
        return await self._replace_image(user_id, images.checked(user_id, content), actor=actor)

    async def delete_image(self, user_id: str, *, actor: str) -> Account:
        return await self._replace_image(user_id, None, actor=actor)

    async def image(self, image_id: str) -> tuple[str, bytes] | None:
        """Media type and bytes; whoever knows its id may see an image."""
        return await self._database.read(lambda tx: images.find(tx, image_id))

    async def _replace_image(self, user_id: str, image: images.Image | None, *, actor: str) -> Account:
        now = self._clock()

        def work(tx: Tx) -> Account:
            user = self._account(tx, user_id).user
            image_id = images.replace(tx, user.image_id, image, now)
            store.update_user(tx, replace(user, image_id=image_id, updated_at=now))
            audit.record(tx, now=now, actor=actor, action="user.image_changed", object_id=user_id)
            self._events.user(tx, "user.updated", user_id, now=now)
            return self._account(tx, user_id)

        return await self._database.write(work)

    def _account(self, tx: Tx, user_id: str) -> Account:
        account = store.find_account(tx, user_id)
        if account is None:
            raise Refused(not_found("User not found"))
        return account

    async def _write_unique(self, work: Callable[[Tx], T]) -> T:
        """Two requests may find a name free at once; the database lets one of them have it."""
        try:
            return await self._database.write(work)
        except ConstraintViolated as error:
            raise Refused(
                FORM_IDENTIFIER_EXISTS.at(
                    long_message="Another user has one of these identifiers, or one was given twice."
                )
            ) from error


def _check_primaries(account: Account, members: dict[str, Any]) -> None:
    """A primary one belongs to the user and is proved. Raises Refused (422)."""
    owned: tuple[tuple[str, tuple[EmailAddressRecord | PhoneNumberRecord, ...]], ...] = (
        ("primary_email_address_id", account.email_addresses),
        ("primary_phone_number_id", account.phone_numbers),
    )
    for name, records in owned:
        if name in members:
            record = next((each for each in records if each.id == members[name]), None)
            if record is None:
                raise Refused(
                    FORM_PARAM_VALUE_INVALID.at(name, long_message=f"{name} is none of this user's.")
                )
            if record.verified_at is None:
                raise Refused(FORM_VERIFICATION_NEEDED.at(name))


def _refuse_taken(
    tx: Tx, user: UserRecord, emails: Iterable[EmailAddressRecord], numbers: Iterable[PhoneNumberRecord]
) -> None:
    """Raises Refused (422 form_identifier_exists), naming the parameter."""
    for name in ("external_id", "username"):
        value = getattr(user, name)
        if value is not None and store.is_taken(tx, name, value, but=user.id):
            raise Refused(taken(name))
    if any(store.find_by_verified_email(tx, email.address) is not None for email in emails):
        raise Refused(taken("email_address"))
    if any(phones.is_number_owned(tx, phone.number) for phone in numbers):
        raise Refused(taken("phone_number"))


def taken(param: str) -> Problem:
    sentence = f"That {param.replace('_', ' ')} is taken. Please try another."
    return replace(FORM_IDENTIFIER_EXISTS, param=param, message=sentence)
