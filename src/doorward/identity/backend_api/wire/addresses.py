"""Bodies about e-mail addresses and phone numbers, and a verification as the Backend API shows it."""

from __future__ import annotations

from typing import Literal

import msgspec

from doorward.identity.backend_api.wire.shapes import Body

Identified = Literal["verified", "reserved", "unverified"]


class Verification(msgspec.Struct):
    id: str
    status: str
    strategy: str
    attempts: int | None
    expire_at: int | None
    object: str = "verification"


class CreateEmailAddress(Body, frozen=True, kw_only=True):
    user_id: str
    email_address: str
    verified: bool | None = None
    primary: bool | None = None
    notify_primary_email_address_changed: bool | None = None


class UpdateEmailAddress(Body, frozen=True, kw_only=True):
    verified: bool | None = None
    primary: bool | None = None
    notify_primary_email_address_changed: bool | None = None


class ReplaceEmailAddress(Body, frozen=True, kw_only=True):
    email_address: str
    identification_status: Identified = "verified"
    notify_primary_email_address_changed: bool | None = None


class AttemptVerification(Body, frozen=True, kw_only=True):
    verification_id: str
    code: str

    def __repr__(self) -> str:
        return "AttemptVerification(…)"


class CreatePhoneNumber(Body, frozen=True, kw_only=True):
    user_id: str
    phone_number: str
    verified: bool | None = None
    primary: bool | None = None
    reserved_for_second_factor: bool | None = None


class UpdatePhoneNumber(Body, frozen=True, kw_only=True):
    verified: bool | None = None
    primary: bool | None = None
    reserved_for_second_factor: bool | None = None


class ReplacePhoneNumber(Body, frozen=True, kw_only=True):
    phone_number: str
    identification_status: Identified = "verified"
