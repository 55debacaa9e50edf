"""E-mail addresses and phone numbers of users."""

from __future__ import annotations

from doorward.identity.backend_api.operations import Call, operation
from doorward.identity.backend_api.wire import addresses as wire
from doorward.identity.backend_api.wire.shapes import NoBody, NoQuery
from doorward.identity.errors import FEATURE_NOT_IMPLEMENTED, Refused, not_found
from doorward.identity.resources.deleted import Deleted
from doorward.identity.resources.users import EmailAddress, PhoneNumber
from doorward.identity.verification.rules import status_of
from doorward.identity.verification.store import VerificationRecord


async def create_email_address(call: Call[NoQuery, wire.CreateEmailAddress]) -> EmailAddress:
    """Give a user an e-mail address."""
    email = await call.identity.addresses.add_email(
        call.body.user_id,
        call.body.email_address,
        is_verified=bool(call.body.verified),
        is_primary=bool(call.body.primary),
        is_told=bool(call.body.notify_primary_email_address_changed),
        actor=call.caller.id,
    )
    return call.identity.views.email_of(email, call.now)


async def get_email_address(call: Call[NoQuery, NoBody]) -> EmailAddress:
    """One e-mail address."""
    email = await call.identity.addresses.email(call.path["email_address_id"])
    return call.identity.views.email_of(email, call.now)


async def update_email_address(call: Call[NoQuery, wire.UpdateEmailAddress]) -> EmailAddress:
    """Call an address verified or not, or make it the primary one."""
    email = await call.identity.addresses.change_email(
        call.path["email_address_id"],
        is_verified=call.body.verified,
        is_primary=call.body.primary,
        is_told=bool(call.body.notify_primary_email_address_changed),
        actor=call.caller.id,
    )
    return call.identity.views.email_of(email, call.now)


async def delete_email_address(call: Call[NoQuery, NoBody]) -> Deleted:
    """Take an address away; never the last one."""
    email_id = call.path["email_address_id"]
    await call.identity.addresses.delete_email(email_id, actor=call.caller.id)
    return Deleted("email_address", email_id)


async def replace_email_address(call: Call[NoQuery, wire.ReplaceEmailAddress]) -> EmailAddress:
    """Give a user this e-mail address in place of all they have."""
    email = await call.identity.addresses.replace_emails(
        call.path["user_id"],
        call.body.email_address,
        status=call.body.identification_status,
        is_told=bool(call.body.notify_primary_email_address_changed),
        actor=call.caller.id,
    )
    return call.identity.views.email_of(email, call.now)


async def prepare_email_address_verification(call: Call[NoQuery, NoBody]) -> wire.Verification:
    """Mail a code to the address."""
    record = await call.identity.addresses.prepare_email(call.path["email_address_id"], actor=call.caller.id)
    return _verification(record, call.now)


async def attempt_email_address_verification(
    call: Call[NoQuery, wire.AttemptVerification],
) -> wire.Verification:
    """Try a code; a wrong one is told by the status."""
    email_id = call.path["email_address_id"]
    if call.body.verification_id != _verification_id(email_id):
        raise Refused(not_found("Verification not found"))
    record = await call.identity.addresses.attempt_email(email_id, call.body.code, actor=call.caller.id)
    return _verification(record, call.now)


async def create_phone_number(call: Call[NoQuery, wire.CreatePhoneNumber]) -> PhoneNumber:
    """Give a user a phone number."""
    record = await call.identity.addresses.add_phone(
        call.body.user_id,
        call.body.phone_number,
        is_verified=bool(call.body.verified),
        is_primary=bool(call.body.primary),
        is_second=bool(call.body.reserved_for_second_factor),
        actor=call.caller.id,
    )
    return call.identity.views.phone(record)


async def get_phone_number(call: Call[NoQuery, NoBody]) -> PhoneNumber:
    """One phone number."""
    return call.identity.views.phone(await call.identity.addresses.phone(call.path["phone_number_id"]))


async def update_phone_number(call: Call[NoQuery, wire.UpdatePhoneNumber]) -> PhoneNumber:
    """Call a number verified or not, or make it the primary one."""
    record = await call.identity.addresses.change_phone(
        call.path["phone_number_id"],
        is_verified=call.body.verified,
        is_primary=call.body.primary,
        is_second=call.body.reserved_for_second_factor,
        actor=call.caller.id,
    )
    return call.identity.views.phone(record)


async def delete_phone_number(call: Call[NoQuery, NoBody]) -> Deleted:
    """Take a phone number away."""
    phone_id = call.path["phone_number_id"]
    await call.identity.addresses.delete_phone(phone_id, actor=call.caller.id)
    return Deleted("phone_number", phone_id)


async def replace_phone_number(call: Call[NoQuery, wire.ReplacePhoneNumber]) -> PhoneNumber:
    """Give a user this phone number in place of all they have."""
    record = await call.identity.addresses.replace_phones(
        call.path["user_id"],
        call.body.phone_number,
        status=call.body.identification_status,
        actor=call.caller.id,
    )
    return call.identity.views.phone(record)


async def verify_phone_number(call: Call[NoQuery, NoBody]) -> wire.Verification:
    """Codes to phones are not offered: nothing here can send one."""
    await call.identity.addresses.phone(call.path["phone_number_id"])
    raise Refused(FEATURE_NOT_IMPLEMENTED)


async def attempt_phone_number(call: Call[NoQuery, NoBody]) -> wire.Verification:
    """Codes to phones are not offered: nothing here can send one."""
    return await verify_phone_number(call)


def _verification(record: VerificationRecord, now: int) -> wire.Verification:
    return wire.Verification(
        id=_verification_id(record.subject_id),
        status=status_of(record, now),
        strategy=record.strategy,
        attempts=record.attempts,
        expire_at=record.expire_at,
    )


def _verification_id(email_id: str) -> str:
    """An address has one verification at a time, which is why its id tells both."""
    return "ver_" + email_id.removeprefix("idn_")


_EMAIL, _PHONE = "/email_addresses/{email_address_id}", "/phone_numbers/{phone_number_id}"
OPERATIONS = (
    operation(
        "POST", "/email_addresses", create_email_address, body=wire.CreateEmailAddress, answer=EmailAddress
    ),
    operation("GET", _EMAIL, get_email_address, answer=EmailAddress),
    operation("PATCH", _EMAIL, update_email_address, body=wire.UpdateEmailAddress, answer=EmailAddress),
    operation(
        "PUT",
        "/users/{user_id}/email_address",
        replace_email_address,
        body=wire.ReplaceEmailAddress,
        answer=EmailAddress,
    ),
    operation("DELETE", _EMAIL, delete_email_address, answer=Deleted),
    operation(
        "POST", f"{_EMAIL}/prepare_verification", prepare_email_address_verification, answer=wire.Verification
    ),
    operation(
        "POST",
        f"{_EMAIL}/attempt_verification",
        attempt_email_address_verification,
        body=wire.AttemptVerification,
        answer=wire.Verification,
    ),
    operation("POST", "/phone_numbers", create_phone_number, body=wire.CreatePhoneNumber, answer=PhoneNumber),
    operation("GET", _PHONE, get_phone_number, answer=PhoneNumber),
    operation("PATCH", _PHONE, update_phone_number, body=wire.UpdatePhoneNumber, answer=PhoneNumber),
    operation(
        "PUT",
        "/users/{user_id}/phone_number",
        replace_phone_number,
        body=wire.ReplacePhoneNumber,
        answer=PhoneNumber,
    ),
    operation("DELETE", _PHONE, delete_phone_number, answer=Deleted),
    operation("POST", f"{_PHONE}/prepare_verification", verify_phone_number, answer=wire.Verification),
    operation("POST", f"{_PHONE}/attempt_verification", attempt_phone_number, answer=wire.Verification),
)
