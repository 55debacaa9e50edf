"""Our words into Clerk's structs."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from doorward.identity.accounts.phones import PhoneNumberRecord
from doorward.identity.accounts.service import EmailAddress
from doorward.identity.accounts.store import Account, EmailAddressRecord, UserRecord
from doorward.identity.frontend_api import wire
from doorward.identity.sessions import rules as session_rules
from doorward.identity.sessions.service import SignedIn
from doorward.identity.sessions.store import SessionRecord
from doorward.identity.sign_in.service import SignIn
from doorward.identity.sign_up import rules as sign_up_rules
from doorward.identity.sign_up.service import SignUp
from doorward.identity.verification.rules import status_of
from doorward.identity.verification.store import VerificationRecord

_BROWSERS = re.compile(r"(Edg|OPR|Firefox|Chrome|Version)/(\d+)")
_BROWSER_NAMES = {"Edg": "Edge", "OPR": "Opera", "Version": "Safari"}
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Macintosh", "Macintosh"),
    ("Windows", "Windows"),
    ("Linux", "Linux"),
)


class Views:
    """`origin` is where images live."""

    def __init__(self, origin: str) -> None:
        self._images = f"{origin}/v1/images"

    def image_url(self, user: UserRecord) -> str:
        """The person's own picture, or the one everybody has."""
        return f"{self._images}/{user.image_id or 'avatar.svg'}"

    def user(self, account: Account, now: int, last_active_at: int | None = None) -> wire.User:
        user = account.user
        locked, image = user.is_locked(now), self.image_url(user)
        return wire.User(
            id=user.id,
            first_name=user.first_name,
            last_name=user.last_name,
            image_url=image,
            profile_image_url=image,
            has_image=user.image_id is not None,
            username=user.username,
            external_id=user.external_id,
            locale=user.locale,
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
        )

    def email(
        self, record: EmailAddressRecord, verification: VerificationRecord | None, now: int
    ) -> wire.EmailAddress:
        shown = None
        if record.verified_at is not None:
            shown = proof_by(record.verified_by or "email_code")
        elif verification is not None:
            shown = self._otp(verification, now)
        return wire.EmailAddress(
            record.id,
            record.address,
            shown,
            record.created_at,
            record.updated_at,
            reserved=record.is_reserved and record.verified_at is None,
        )

    def phone(self, record: PhoneNumberRecord) -> wire.PhoneNumber:
        return wire.PhoneNumber(
            record.id,
            record.number,
            record.is_second_factor,
            None if record.verified_at is None else proof_by("admin"),
            record.created_at,
            record.updated_at,
            reserved=record.is_reserved and record.verified_at is None,
        )

    def email_of(self, email: EmailAddress, now: int) -> wire.EmailAddress:
        return self.email(email.record, email.verification, now)

    def session(self, signed_in: SignedIn, now: int, jwt: str | None) -> wire.Session:
        session, account = signed_in.session, signed_in.account
        return wire.Session(
            id=session.id,
            status=session_rules.status_of(session, now),
            expire_at=session.expire_at,
            abandon_at=session.abandon_at,
            last_active_at=session.last_active_at,
            factor_verification_age=(session_rules.factor_age_minutes(session, now), -1),
            created_at=session.created_at,
            updated_at=session.updated_at,
            user=self.user(account, now, session.last_active_at),
            public_user_data=wire.PublicUserData(
                first_name=account.user.first_name,
                last_name=account.user.last_name,
                image_url=self.image_url(account.user),
                profile_image_url=self.image_url(account.user),
                has_image=account.user.image_id is not None,
                username=account.user.username,
                identifier=account.primary_email.address,
                user_id=account.user.id,
                banned=account.user.is_banned,
            ),
            last_active_token=None if jwt is None else wire.Token(jwt),
            actor=_actor(session),
        )

    def bare_session(self, session: SessionRecord, now: int) -> wire.Session:
        """A session in the list of one's devices: no user, no token, but what it runs on."""
        return wire.Session(
            id=session.id,
            status=session_rules.status_of(session, now),
            expire_at=session.expire_at,
            abandon_at=session.abandon_at,
            last_active_at=session.last_active_at,
            factor_verification_age=(session_rules.factor_age_minutes(session, now), -1),
            created_at=session.created_at,
            updated_at=session.updated_at,
            user=None,
            public_user_data=None,
            last_active_token=None,
            actor=_actor(session),
            latest_activity=activity(session),
        )

    def sign_up(self, sign_up: SignUp, now: int) -> wire.SignUp:
        record = sign_up.record
        has_password = record.password_hash is not None or record.created_user_id is not None
        return wire.SignUp(
            id=record.id,
            status=sign_up.status,
            required_fields=list(sign_up_rules.REQUIRED_FIELDS),
            optional_fields=list(sign_up_rules.OPTIONAL_FIELDS),
            missing_fields=sign_up.missing_fields,
            unverified_fields=sign_up.unverified_fields,
            verifications=wire.SignUpVerifications(self._sign_up_verification(sign_up, now)),
            email_address=record.email_address,
            password_enabled=has_password,
            has_password=has_password,
            first_name=record.first_name,
            last_name=record.last_name,
            unsafe_metadata=msgspec.Raw(record.unsafe_metadata.encode()),
            created_session_id=record.created_session_id,
            created_user_id=record.created_user_id,
            abandon_at=record.abandon_at,
        )

    def _sign_up_verification(self, sign_up: SignUp, now: int) -> wire.SignUpVerification | None:
        record, verification = sign_up.record, sign_up.verification
        if record.email_address is None:
            return None
        if record.email_verified_at is not None and verification is None:
            return wire.SignUpVerification("", [], "verification_ticket", "verified", "ticket", None, None)
        if verification is None:
            return wire.SignUpVerification("needs_prepare", ["email_code"])
        status = status_of(verification, now)
        next_action: Literal["", "needs_prepare", "needs_attempt"] = "needs_prepare"
        if status == "verified":
            next_action = ""
        elif status == "unverified":
            next_action = "needs_attempt"
        return wire.SignUpVerification(
            next_action,
            ["email_code"],
            "verification_otp",
            status,
            "email_code",
            verification.attempts,
            verification.expire_at,
        )

    def sign_in(self, sign_in: SignIn, now: int) -> wire.SignIn:
        record, account = sign_in.record, sign_in.account
        data = None
        if account is not None:
            image = self.image_url(account.user)
            data = wire.UserData(
                account.user.first_name,
                account.user.last_name,
                image,
                image,
                account.user.image_id is not None,
            )
        return wire.SignIn(
            id=record.id,
            status=sign_in.status,
            supported_identifiers=["email_address"],
            supported_first_factors=self._first_factors(sign_in),
            first_factor_verification=self._first_factor_verification(sign_in, now),
            identifier=record.identifier,
            user_data=data,
            created_session_id=record.created_session_id,
            abandon_at=record.abandon_at,
        )

    def _first_factors(self, sign_in: SignIn) -> list[wire.Factor] | None:
        identifier = sign_in.record.identifier
        if identifier is None:
            return None
        return [
            wire.Factor("password"),
            wire.Factor("email_code", identifier, sign_in.email_address_id, True),
            wire.Factor("reset_password_email_code", identifier, sign_in.email_address_id, True),
        ]

    def _first_factor_verification(self, sign_in: SignIn, now: int) -> wire.Verification | None:
        if sign_in.record.first_factor == "ticket":
            return proof_by("ticket")
        if sign_in.record.first_factor == "password":
            return wire.Verification("verification_password", "verified", "password", None, None)
        return None if sign_in.verification is None else self._otp(sign_in.verification, now)

    def _otp(self, verification: VerificationRecord, now: int) -> wire.Verification:
        return wire.Verification(
            "verification_otp",
            status_of(verification, now),
            verification.strategy,
            verification.attempts,
            verification.expire_at,
        )


_PROOFS = {"admin": "verification_admin", "ticket": "verification_ticket"}


def proof_by(strategy: str) -> wire.Verification:
    """A proved address: SDKs tell the kinds of proof apart by `object`, and refuse one they do not know."""
    return wire.Verification(_PROOFS.get(strategy, "verification_otp"), "verified", strategy, None, None)


def _actor(session: SessionRecord) -> msgspec.Raw | None:
    return None if session.actor is None else msgspec.Raw(session.actor.encode())


def activity(session: SessionRecord) -> wire.SessionActivity:
    """What the User-Agent header gives away, as far as people need it to tell their devices apart."""
    agent = session.user_agent
    browser = _BROWSERS.search(agent)
    # Edge and Opera call themselves Chrome first; the later name is the true one.
    for match in _BROWSERS.finditer(agent):
        if match[1] in ("Edg", "OPR", "Firefox"):
            browser = match
    system = next((name for mark, name in _SYSTEMS if mark in agent), None)
    return wire.SessionActivity(
        id="sess_activity_" + session.id.removeprefix("sess_"),
        device_type=system,
        is_mobile=system in ("iPhone", "iPad", "Android"),
        browser_name=None if browser is None else _BROWSER_NAMES.get(browser[1], browser[1]),
        browser_version=None if browser is None else browser[2],
        ip_address=session.ip,
    )
