"""A user's e-mail addresses and phone numbers."""

import msgspec
from starlette.responses import Response

from doorward.identity.accounts.store import Account
from doorward.identity.console.call import Call
from doorward.identity.console.sections import PageRoute, Question, asking
from doorward.identity.console.user import ONE, account_of, path_of
from doorward.identity.errors import RESOURCE_NOT_FOUND, Refused

_EMAIL, _PHONE = f"{ONE}/addresses/{{address_id}}", f"{ONE}/numbers/{{number_id}}"


class EmailForm(msgspec.Struct):
    email_address: str = ""
    is_verified: str = ""
    is_primary: str = ""


class PhoneForm(msgspec.Struct):
    phone_number: str = ""
    is_verified: str = ""
    is_primary: str = ""


async def show_new_email(call: Call) -> Response:
    return call.form("user_address.html", EmailForm(is_verified="true"), account=await account_of(call))


async def add_email(call: Call) -> Response:
    form, account = await call.form_of(EmailForm), await account_of(call)
    try:
        await call.identity.addresses.add_email(
            account.user.id,
            form.email_address,
            is_verified=form.is_verified == "true",
            is_primary=form.is_primary == "true",
            actor=call.actor,
        )
    except Refused as refused:
        return call.form("user_address.html", form, refused, account=account)
    return call.see(path_of(account), told="address-added")


async def show_new_phone(call: Call) -> Response:
    return call.form("user_number.html", PhoneForm(is_verified="true"), account=await account_of(call))


async def add_phone(call: Call) -> Response:
    form, account = await call.form_of(PhoneForm), await account_of(call)
    try:
        await call.identity.addresses.add_phone(
            account.user.id,
            form.phone_number,
            is_verified=form.is_verified == "true",
            is_primary=form.is_primary == "true",
            is_second=False,
            actor=call.actor,
        )
    except Refused as refused:
        return call.form("user_number.html", form, refused, account=account)
    return call.see(path_of(account), told="number-added")


async def _email(call: Call) -> tuple[Account, str]:
    """The user and the address, which is theirs. Raises Refused (404)."""
    account = await account_of(call)
    for email in account.email_addresses:
        if email.id == call.path["address_id"]:
            return account, email.address
    raise Refused(RESOURCE_NOT_FOUND)


async def _phone(call: Call) -> tuple[Account, str]:
    account = await account_of(call)
    for phone in account.phone_numbers:
        if phone.id == call.path["number_id"]:
            return account, phone.number
    raise Refused(RESOURCE_NOT_FOUND)


async def ask_verify(call: Call) -> Question:
    account, address = await _email(call)
    return Question(
        title="Call this address proved?",
        text=f"{address} then counts as theirs without a code: they can sign in with it and reset the password through it.",
        action="Call it proved",
        busy="Changing…",
        back=path_of(account),
        is_dangerous=False,
    )


async def verify(call: Call) -> Response:
    account, _ = await _email(call)
    await call.identity.addresses.change_email(
        call.path["address_id"], is_verified=True, is_primary=None, actor=call.actor
    )
    return call.see(path_of(account), told="address-changed")


async def ask_primary(call: Call) -> Question:
    account, address = await _email(call)
    return Question(
        title="Make this the main address?",
        text=f"Mails to this person go to {address} from now on.",
        action="Make it the main one",
        busy="Changing…",
        back=path_of(account),
        is_dangerous=False,
    )


async def make_primary(call: Call) -> Response:
    account, _ = await _email(call)
    await call.identity.addresses.change_email(
        call.path["address_id"], is_verified=None, is_primary=True, actor=call.actor
    )
    return call.see(path_of(account), told="address-changed")


async def ask_remove_email(call: Call) -> Question:
    account, address = await _email(call)
    return Question(
        title="Remove this address?",
        text=f"{address} no longer belongs to this account. Somebody else can then claim it.",
        action="Remove",
        busy="Removing…",
        back=path_of(account),
    )


async def remove_email(call: Call) -> Response:
    account, _ = await _email(call)
    await call.identity.addresses.delete_email(call.path["address_id"], actor=call.actor)
    return call.see(path_of(account), told="address-removed")


async def ask_remove_phone(call: Call) -> Question:
    account, number = await _phone(call)
    return Question(
        title="Remove this phone number?",
        text=f"{number} no longer belongs to this account.",
        action="Remove",
        busy="Removing…",
        back=path_of(account),
    )


async def remove_phone(call: Call) -> Response:
    account, _ = await _phone(call)
    await call.identity.addresses.delete_phone(call.path["number_id"], actor=call.actor)
    return call.see(path_of(account), told="number-removed")


PAGES: tuple[PageRoute, ...] = (
    ("GET", f"{ONE}/addresses/new", show_new_email),
    ("POST", f"{ONE}/addresses/new", add_email),
    *asking(f"{_EMAIL}/verify", ask_verify, verify),
    *asking(f"{_EMAIL}/primary", ask_primary, make_primary),
    *asking(f"{_EMAIL}/remove", ask_remove_email, remove_email),
    ("GET", f"{ONE}/numbers/new", show_new_phone),
    ("POST", f"{ONE}/numbers/new", add_phone),
    *asking(f"{_PHONE}/remove", ask_remove_phone, remove_phone),
)
TOLD = {
    "address-added": "The address was added.",
    "address-changed": "The address was changed.",
    "address-removed": "The address was removed.",
    "number-added": "The phone number was added.",
    "number-removed": "The phone number was removed.",
}
