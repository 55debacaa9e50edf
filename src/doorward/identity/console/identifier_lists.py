"""The allow-list and the block-list."""

import msgspec
from starlette.responses import Response

from doorward.identity.console.call import Call
from doorward.identity.console.paging import PAGE_SIZE, offset_of, pager
from doorward.identity.console.sections import Question, Section, asking
from doorward.identity.errors import RESOURCE_NOT_FOUND, Refused
from doorward.identity.restrictions.list_rules import ListName

PATH = "/admin/lists"
_LIST = f"{PATH}/{{name}}"
TITLES: dict[ListName, str] = {"allow": "Allow-list", "block": "Block-list"}
WORDS = {"email_address": "Address", "phone_number": "Phone number", "web3_wallet": "Wallet"}


class IdentifierForm(msgspec.Struct):
    identifier: str = ""
    notify: str = ""


def _name(call: Call) -> ListName:
    """Raises Refused (404)."""
    for name in TITLES:
        if name == call.path["name"]:
            return name
    raise Refused(RESOURCE_NOT_FOUND)


async def choose(call: Call) -> Response:
    return call.see(f"{PATH}/allow")


async def show(call: Call) -> Response:
    name, settings = _name(call), call.identity.instance.current
    found, total = await call.identity.listed_identifiers.page(name, PAGE_SIZE, offset_of(call))
    return call.page(
        "identifiers.html",
        name=name,
        title=TITLES[name],
        titles=list(TITLES.items()),
        words=WORDS,
        page=pager(call, found, total),
        is_on=settings.allowlist if name == "allow" else settings.blocklist,
    )


async def show_new(call: Call) -> Response:
    name = _name(call)
    return call.form("identifier_new.html", IdentifierForm(), name=name, title=TITLES[name])


async def add(call: Call) -> Response:
    name, form = _name(call), await call.form_of(IdentifierForm)
    try:
        await call.identity.listed_identifiers.add(
            name, form.identifier, notify=name == "allow" and form.notify == "true", actor=call.actor
        )
    except Refused as refused:
        return call.form("identifier_new.html", form, refused, name=name, title=TITLES[name])
    return call.see(f"{PATH}/{name}", told="added")


async def ask_remove(call: Call) -> Question:
    name = _name(call)
    entry = await call.identity.listed_identifiers.get(name, call.path["entry_id"])
    return Question(
        title=f"Remove this from the {TITLES[name].lower()}?",
        text="Whoever has an account keeps it."
        if name == "allow"
        else "Whoever it kept out can sign up and sign in again.",
        action="Remove",
        busy="Removing…",
        back=f"{PATH}/{name}",
        facts=(("Entry", entry.identifier),),
    )


async def remove(call: Call) -> Response:
    name = _name(call)
    await call.identity.listed_identifiers.remove(name, call.path["entry_id"], actor=call.actor)
    return call.see(f"{PATH}/{name}", told="removed")


SECTION = Section(
    "Allow-list and block-list",
    PATH,
    "People",
    pages=(
        ("GET", PATH, choose),
        ("GET", _LIST, show),
        ("GET", f"{_LIST}/new", show_new),
        ("POST", f"{_LIST}/new", add),
        *asking(f"{_LIST}/{{entry_id}}/remove", ask_remove, remove),
    ),
    told={"added": "The entry was added.", "removed": "The entry was removed."},
)
