"""Users as people name them in forms: by an address of theirs."""

from doorward.identity.accounts.directory import Ordering
from doorward.identity.accounts.filters import Filter
from doorward.identity.accounts.store import Account
from doorward.identity.console.call import Call
from doorward.identity.errors import FORM_RESOURCE_NOT_FOUND, Refused


async def user_of_address(call: Call, param: str, text: str) -> Account:
    """Whoever has the whole address. Raises Refused (422) where nobody has it, or several claim it unproved."""
    found = await call.identity.directory.list(
        Filter(email_addresses=(text.strip().lower(),)), Ordering(), limit=2, offset=0
    )
    if len(found) != 1:
        raise Refused(FORM_RESOURCE_NOT_FOUND.at(param, long_message="No single user has this address."))
    return found[0]
