"""What a back end wants of a new user, judged and made into records. Pure but for the new ids.

Restrictions on who may sign up do not hold here, and addresses count as proved unless said otherwise: whoever holds a
secret key answers for both.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from doorward.identity.accounts import foreign_hashes, metadata, rules
from doorward.identity.accounts.metadata import Metadata
from doorward.identity.accounts.phones import PhoneNumberRecord
from doorward.identity.accounts.store import Account, EmailAddressRecord, UserRecord
from doorward.identity.errors import (
    FORM_CONDITIONAL_PARAM_DISALLOWED,
    FORM_CONDITIONAL_PARAM_MISSING,
    FORM_DATA_MISSING,
    FORM_PARAM_FORMAT_INVALID,
    FORM_PARAM_MAX_LENGTH,
    FORM_PARAM_VALUE_INVALID,
    FORM_PASSWORD_DIGEST_INVALID,
    Refused,
)
from doorward.identity.identifiers import new_id

LOCK_MS = 60 * 60_000
EXTERNAL_ID_MAX_LENGTH = 256
Status = Literal["verified", "reserved", "unverified"]


class Identifier(msgspec.Struct, frozen=True):
    """An address or a number, and whether it counts as proved."""

    value: str
    status: Status = "verified"


class NewPassword(msgspec.Struct, frozen=True, kw_only=True):
    """A password to hash, or the digest somebody else's hasher made of one."""

    password: str | None = None
    digest: str | None = None
    hasher: str | None = None
    is_checked: bool = True

    def __repr__(self) -> str:
        return "NewPassword(…)"


class Details(msgspec.Struct, frozen=True, kw_only=True):
    """What can be set and changed of a user; UNSET stays as it is."""

    external_id: str | msgspec.UnsetType | None = msgspec.UNSET
    username: str | msgspec.UnsetType | None = msgspec.UNSET
    first_name: str | msgspec.UnsetType | None = msgspec.UNSET
    last_name: str | msgspec.UnsetType | None = msgspec.UNSET
    locale: str | msgspec.UnsetType | None = msgspec.UNSET
    timezone: str | msgspec.UnsetType | None = msgspec.UNSET
    delete_self_enabled: bool | msgspec.UnsetType = msgspec.UNSET
    create_organization_enabled: bool | msgspec.UnsetType = msgspec.UNSET
    create_organizations_limit: int | msgspec.UnsetType | None = msgspec.UNSET
    bypass_client_trust: bool | msgspec.UnsetType = msgspec.UNSET
    legal_accepted_at: int | msgspec.UnsetType | None = msgspec.UNSET
    created_at: int | msgspec.UnsetType = msgspec.UNSET
    primary_email_address_id: str | msgspec.UnsetType = msgspec.UNSET
    primary_phone_number_id: str | msgspec.UnsetType = msgspec.UNSET
    public_metadata: Metadata | msgspec.UnsetType = msgspec.UNSET
    private_metadata: Metadata | msgspec.UnsetType = msgspec.UNSET
    unsafe_metadata: Metadata | msgspec.UnsetType = msgspec.UNSET

    def given(self) -> dict[str, Any]:
        """The members that are set, metadata in their stored form. Raises Refused (422)."""
        members = {
            name: value
            for name in self.__struct_fields__
            if (value := getattr(self, name)) is not msgspec.UNSET
        }
        for name in ("public_metadata", "private_metadata", "unsafe_metadata"):
            if name in members:
                members[name] = metadata.as_text(name, members[name])
        if "username" in members:
            members["username"] = members["username"].lower() if members["username"] else None
        _check(members)
        return members


class NewUser(msgspec.Struct, frozen=True, kw_only=True):
    """A user to be made; the first address and number become the primary ones. `id` where they bring one along."""

    details: Details
    email_addresses: tuple[Identifier, ...]
    phone_numbers: tuple[Identifier, ...] = ()
    password: NewPassword = NewPassword()
    is_banned: bool = False
    is_locked: bool = False
    id: str | None = None


def new_account(wish: NewUser, now: int) -> Account:
    """The records of the user that is wanted, still without a password. Raises Refused (422)."""
    user_id = wish.id or new_id("user")
    emails = tuple(
        EmailAddressRecord(
            id=new_id("idn"),
            user_id=user_id,
            address=email_of(each.value),
            verified_at=now if each.status == "verified" else None,
            created_at=now,
            updated_at=now,
            verified_by="admin" if each.status == "verified" else None,
            is_reserved=each.status == "reserved",
        )
        for each in wish.email_addresses
    )
    if not emails:
        raise Refused(FORM_DATA_MISSING.at(names=["email_address"]))
    numbers = tuple(
        PhoneNumberRecord(
            id=new_id("idn"),
            user_id=user_id,
            number=phone_of(each.value),
            verified_at=now if each.status == "verified" else None,
            is_reserved=each.status == "reserved",
            is_second_factor=False,
            created_at=now,
            updated_at=now,
        )
        for each in wish.phone_numbers
    )
    user = replace(
        UserRecord(
            id=user_id,
            primary_email_address_id=emails[0].id,
            password_hash=None,
            password_updated_at=None,
            first_name=None,
            last_name=None,
            public_metadata="{}",
            unsafe_metadata="{}",
            is_administrator=False,
            is_banned=wish.is_banned,
            locked_until=now + LOCK_MS if wish.is_locked else None,
            last_sign_in_at=None,
            created_at=now,
            updated_at=now,
            primary_phone_number_id=numbers[0].id if numbers else None,
        ),
        **wish.details.given(),
    )
    return Account(user, emails, numbers)


def with_password(account: Account, encoded: str | None, now: int) -> Account:
    """The same, signing in with what `encoded` is the hash of."""
    if encoded is None:
        return account
    return replace(account, user=replace(account.user, password_hash=encoded, password_updated_at=now))


def stored_digest(wanted: NewPassword) -> str:
    """What to store of a digest that somebody else made. Raises Refused (422)."""
    if wanted.digest is None or wanted.hasher is None:
        absent = "password_digest" if wanted.digest is None else "password_hasher"
        raise Refused(
            FORM_CONDITIONAL_PARAM_MISSING.at(
                absent, long_message="password_digest and password_hasher go together."
            )
        )
    if wanted.password is not None:
        raise Refused(
            FORM_CONDITIONAL_PARAM_DISALLOWED.at(
                "password", long_message="A password or its digest, not both."
            )
        )
    if wanted.hasher not in foreign_hashes.HASHERS:
        known = ", ".join(foreign_hashes.HASHERS)
        raise Refused(
            FORM_PARAM_VALUE_INVALID.at(
                "password_hasher",
                long_message=f"Known hashers are: {known}. Without a digest the user sets a new password.",
            )
        )
    try:
        return foreign_hashes.stored_form(wanted.hasher, wanted.digest)
    except foreign_hashes.BadDigest as error:
        raise Refused(
            FORM_PASSWORD_DIGEST_INVALID.at(long_message=f"The digest cannot be used: {error}.")
        ) from error


def _check(members: dict[str, Any]) -> None:
    """Raises Refused (422)."""
    for name, longest in (
        ("first_name", rules.NAME_MAX_LENGTH),
        ("last_name", rules.NAME_MAX_LENGTH),
        ("external_id", EXTERNAL_ID_MAX_LENGTH),
        ("locale", 35),
        ("timezone", 64),
    ):
        value = members.get(name)
        if value is not None and len(value) > longest:
            raise Refused(
                FORM_PARAM_MAX_LENGTH.at(name, long_message=f"{name} has at most {longest} characters.")
            )
        if value is not None and not value.isprintable():
            raise Refused(
                FORM_PARAM_VALUE_INVALID.at(
                    name, long_message=f"{name} holds a character that cannot be shown."
                )
            )
    for name in ("external_id", "locale"):
        if members.get(name) == "":
            members[name] = None
    locale = members.get("locale")
    if locale is not None and not rules.is_locale(locale):
        sentence = "locale must be a language tag of BCP 47, such as en or de-AT."
        raise Refused(FORM_PARAM_FORMAT_INVALID.at("locale", long_message=sentence))
    username = members.get("username")
    problem = None if username is None else rules.username_problem(username)
    if problem is not None:
        raise Refused(problem)


def email_of(text: str) -> str:
    """Raises Refused (422)."""
    address = rules.normalise_email(text)
    if address is None:
        raise Refused(rules.email_problem("email_address"))
    return address


def phone_of(text: str) -> str:
    """Raises Refused (422)."""
    number = rules.normalise_phone(text)
    if number is None:
        raise Refused(
            FORM_PARAM_FORMAT_INVALID.at(
                "phone_number", long_message="A phone number is written as E.164 says."
            )
        )
    return number
