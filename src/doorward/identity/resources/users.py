"""Users, their addresses and how those were proved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, UnsetType

from doorward.identity.resources.organizations import OrganizationMembership, membership
from doorward.identity.verification.rules import status_of

if TYPE_CHECKING:
    from doorward.identity.accounts.phones import PhoneNumberRecord
    from doorward.identity.accounts.store import Account, EmailAddressRecord, UserRecord
    from doorward.identity.accounts.store import EmailAddress as ProvedAddress
    from doorward.identity.organizations.details import Membership
    from doorward.identity.resources.images import Images
    from doorward.identity.verification.store import VerificationRecord


class Verification(msgspec.Struct):
    object: str
    status: str
    strategy: str
    attempts: int | None
    expire_at: int | None


class EmailAddress(msgspec.Struct):
    id: str
    email_address: str
    verification: Verification | None
    created_at: int
    updated_at: int
    object: str = "email_address"
    reserved: bool = False
    linked_to: list[str] = []
    matches_sso_connection: bool = False


class PhoneNumber(msgspec.Struct):
    id: str
    phone_number: str
    reserved_for_second_factor: bool
    verification: Verification | None
    created_at: int
    updated_at: int
    object: str = "phone_number"
    default_second_factor: bool = False
    reserved: bool = False
    linked_to: list[str] = []
    backup_codes: None = None


class User(msgspec.Struct):
    id: str
    first_name: str | None
    last_name: str | None
    image_url: str
    profile_image_url: str
    has_image: bool
    username: str | None
    external_id: str | None
    locale: str | None
    timezone: str | None
    primary_email_address_id: str
    primary_phone_number_id: str | None
    password_enabled: bool
    email_addresses: list[EmailAddress]
    phone_numbers: list[PhoneNumber]
    password_last_updated_at: int | None
    public_metadata: msgspec.Raw
    unsafe_metadata: msgspec.Raw
    last_sign_in_at: int | None
    banned: bool
    locked: bool
    lockout_expires_in_seconds: int | None
    delete_self_enabled: bool
    create_organization_enabled: bool
    create_organizations_limit: int | None
    legal_accepted_at: int | None
    created_at: int
    updated_at: int
    last_active_at: int | None
    object: str = "user"
    primary_web3_wallet_id: None = None
    two_factor_enabled: bool = False
    totp_enabled: bool = False
    backup_code_enabled: bool = False
    web3_wallets: list[str] = []
    passkeys: list[str] = []
    organization_memberships: list[OrganizationMembership] | UnsetType = UNSET
    external_accounts: list[str] = []
    saml_accounts: list[str] = []
    enterprise_accounts: list[str] = []
    verification_attempts_remaining: int = 100
    mfa_enabled_at: None = None
    mfa_disabled_at: None = None


class UserViews:
    def __init__(self, images: Images) -> None:
        self.images = images

    def image_url(self, user: UserRecord) -> str:
        return self.images.url(user.image_id)

    def user(
        self,
        account: Account,
        now: int,
        last_active_at: int | None = None,
        memberships: Sequence[Membership] | None = (),
    ) -> User:
        """With `memberships` None they are not told: nobody looked for them."""
        user = account.user
        locked, image = user.is_locked(now), self.image_url(user)
        return User(
            id=user.id,
            first_name=user.first_name,
            last_name=user.last_name,
            image_url=image,
            profile_image_url=image,
            has_image=user.image_id is not None,
            username=user.username,
            external_id=user.external_id,
            locale=user.locale,
            timezone=user.timezone,
            primary_email_address_id=account.primary_email.id,
            primary_phone_number_id=user.primary_phone_number_id,
            password_enabled=user.password_hash is not None,
            email_addresses=[self.email(record, None, now) for record in account.email_addresses],
            phone_numbers=[self.phone(record) for record in account.phone_numbers],
            password_last_updated_at=user.password_updated_at,
            public_metadata=msgspec.Raw(user.public_metadata.encode()),
            unsafe_metadata=msgspec.Raw(user.unsafe_metadata.encode()),
            last_sign_in_at=user.last_sign_in_at,
            banned=user.is_banned,
            locked=locked,
            lockout_expires_in_seconds=((user.locked_until or now) - now) // 1000 if locked else None,
            delete_self_enabled=user.delete_self_enabled,
            create_organization_enabled=user.create_organization_enabled,
            create_organizations_limit=user.create_organizations_limit,
            legal_accepted_at=user.legal_accepted_at,
            created_at=user.created_at,
            updated_at=user.updated_at,
            last_active_at=last_active_at or user.last_active_at,
            organization_memberships=UNSET
            if memberships is None
            else [membership(one, self.images) for one in memberships],
        )

    def email(
        self, record: EmailAddressRecord, verification: VerificationRecord | None, now: int
    ) -> EmailAddress:
        shown = None
        if record.verified_at is not None:
            shown = proof_by(record.verified_by or "email_code")
        elif verification is not None:
            shown = otp(verification, now)
        return EmailAddress(
            record.id,
            record.address,
            shown,
            record.created_at,
            record.updated_at,
            reserved=record.is_reserved and record.verified_at is None,
        )

    def phone(self, record: PhoneNumberRecord) -> PhoneNumber:
        return PhoneNumber(
            record.id,
            record.number,
            record.is_second_factor,
            None if record.verified_at is None else proof_by("admin"),
            record.created_at,
            record.updated_at,
            reserved=record.is_reserved and record.verified_at is None,
        )

    def email_of(self, email: ProvedAddress, now: int) -> EmailAddress:
        return self.email(email.record, email.verification, now)


_PROOFS = {"admin": "verification_admin", "ticket": "verification_ticket"}


def proof_by(strategy: str) -> Verification:
    """A proved address: SDKs tell the kinds of proof apart by `object`, and refuse one they do not know."""
    return Verification(_PROOFS.get(strategy, "verification_otp"), "verified", strategy, None, None)


def otp(verification: VerificationRecord, now: int) -> Verification:
    return Verification(
        "verification_otp",
        status_of(verification, now),
        verification.strategy,
        verification.attempts,
        verification.expire_at,
    )
