"""Who waits to be let in."""

from typing import get_args

import msgspec
from starlette.responses import Response

from doorward.identity.console.call import Call
from doorward.identity.console.paging import PAGE_SIZE, offset_of, pager
from doorward.identity.console.sections import Question, Section, asking
from doorward.identity.errors import Refused
from doorward.identity.paging import Slice
from doorward.identity.waitlist.rules import WaitlistStatus
from doorward.identity.waitlist.service import JoinWish

PATH = "/admin/waitlist"
_ONE = f"{PATH}/{{entry_id}}"
STATUSES: dict[WaitlistStatus, tuple[str, str]] = {
    "pending": ("Waiting", "warn"),
    "invited": ("Invited", "good"),
    "completed": ("Has an account", "good"),
    "rejected": ("Turned down", "bad"),
}


class EntryForm(msgspec.Struct):
    email_address: str = ""
    notify: str = ""


async def show(call: Call) -> Response:
    wanted, given = call.query.get("query", "").strip(), call.query.get("status", "")
    status = next((each for each in get_args(WaitlistStatus) if each == given), None)
    found, total = await call.identity.waitlist.page(
        Slice(PAGE_SIZE, offset_of(call), is_descending=False), query=wanted or None, status=status
    )
    return call.page(
        "waitlist.html",
        page=pager(call, found, total),
        wanted=wanted,
        status=status or "",
        statuses=[("", "Everybody"), *((key, words) for key, (words, _) in STATUSES.items())],
        words=STATUSES,
        is_filtered=bool(wanted or status),
        mode=call.identity.instance.sign_up_mode,
    )


async def show_new(call: Call) -> Response:
    return call.form("waitlist_new.html", EntryForm(notify="true"))


async def add(call: Call) -> Response:
    form = await call.form_of(EntryForm)
    try:
        await call.identity.waitlist.join(
            [JoinWish(form.email_address, notify=form.notify == "true")], actor=call.actor
        )
    except Refused as refused:
        return call.form("waitlist_new.html", form, refused)
    return call.see(PATH, told="added")


async def _question(
    call: Call, title: str, text: str, action: str, busy: str, *, is_dangerous: bool = True
) -> Question:
    entry = await call.identity.waitlist.get(call.path["entry_id"])
    return Question(
        title=title,
        text=text,
        action=action,
        busy=busy,
        back=PATH,
        facts=(("Address", entry.email_address),),
        is_dangerous=is_dangerous,
    )


async def ask_invite(call: Call) -> Question:
    return await _question(
        call,
        "Invite this person?",
        "A mail with a link is sent; with it they can make an account.",
        "Invite",
        "Inviting…",
        is_dangerous=False,
    )


async def invite(call: Call) -> Response:
    await call.identity.waitlist.invite(call.path["entry_id"], ignore_existing=False, actor=call.actor)
    return call.see(PATH, told="invited")


async def ask_reject(call: Call) -> Question:
    return await _question(
        call,
        "Turn this person down?",
        "An invitation they may have got no longer works. They are not told.",
        "Turn down",
        "Turning down…",
    )


async def reject(call: Call) -> Response:
    await call.identity.waitlist.reject(call.path["entry_id"], actor=call.actor)
    return call.see(PATH, told="rejected")


async def ask_delete(call: Call) -> Question:
    return await _question(
        call,
        "Remove this entry?",
        "Nothing is kept of it. They can join the waitlist again.",
        "Remove",
        "Removing…",
    )


async def delete(call: Call) -> Response:
    await call.identity.waitlist.delete(call.path["entry_id"], actor=call.actor)
    return call.see(PATH, told="deleted")


SECTION = Section(
    "Waitlist",
    PATH,
    "People",
    pages=(
        ("GET", PATH, show),
        ("GET", f"{PATH}/new", show_new),
        ("POST", f"{PATH}/new", add),
        *asking(f"{_ONE}/invite", ask_invite, invite),
        *asking(f"{_ONE}/reject", ask_reject, reject),
        *asking(f"{_ONE}/remove", ask_delete, delete),
    ),
    told={
        "added": "They are on the waitlist.",
        "invited": "The invitation is on its way.",
        "rejected": "They were turned down.",
        "deleted": "The entry was removed.",
    },
)
