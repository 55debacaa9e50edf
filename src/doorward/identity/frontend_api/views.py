"""Attempts to sign up and to sign in, put into Clerk's structs."""

from __future__ import annotations

from typing import Literal

import msgspec

from doorward.identity.frontend_api import wire
from doorward.identity.resources.images import Images
from doorward.identity.resources.users import Verification, otp, proof_by
from doorward.identity.sign_in.service import SignIn
from doorward.identity.sign_up import rules as sign_up_rules
from doorward.identity.sign_up.service import SignUp
from doorward.identity.verification.rules import status_of


def sign_up_view(sign_up: SignUp, now: int) -> wire.SignUp:
    record = sign_up.record
    has_password = record.password_hash is not None or record.created_user_id is not None
    return wire.SignUp(
        id=record.id,
        status=sign_up.status,
        required_fields=list(sign_up_rules.REQUIRED_FIELDS),
        optional_fields=list(sign_up_rules.OPTIONAL_FIELDS),
        missing_fields=sign_up.missing_fields,
        unverified_fields=sign_up.unverified_fields,
        verifications=wire.SignUpVerifications(_sign_up_verification(sign_up, now)),
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


def _sign_up_verification(sign_up: SignUp, now: int) -> wire.SignUpVerification | None:
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


def sign_in_view(sign_in: SignIn, images: Images, now: int) -> wire.SignIn:
    record, account = sign_in.record, sign_in.account
    data = None
    if account is not None:
        image = images.url(account.user.image_id)
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
        supported_first_factors=_first_factors(sign_in),
        first_factor_verification=_first_factor_verification(sign_in, now),
        identifier=record.identifier,
        user_data=data,
        created_session_id=record.created_session_id,
        abandon_at=record.abandon_at,
    )


def _first_factors(sign_in: SignIn) -> list[wire.Factor] | None:
    identifier = sign_in.record.identifier
    if identifier is None:
        return None
    return [
        wire.Factor("password"),
        wire.Factor("email_code", identifier, sign_in.email_address_id, True),
        wire.Factor("reset_password_email_code", identifier, sign_in.email_address_id, True),
    ]


def _first_factor_verification(sign_in: SignIn, now: int) -> Verification | None:
    if sign_in.record.first_factor == "ticket":
        return proof_by("ticket")
    if sign_in.record.first_factor == "password":
        return Verification("verification_password", "verified", "password", None, None)
    return None if sign_in.verification is None else otp(sign_in.verification, now)
