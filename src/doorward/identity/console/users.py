"""All users: finding them, and making one."""

import msgspec
from starlette.responses import Response

from doorward.identity.accounts.directory import Ordering
from doorward.identity.accounts.filters import Filter
from doorward.identity.accounts.new_accounts import Details, Identifier, NewPassword, NewUser
from doorward.identity.console import user, user_access, user_addresses
from doorward.identity.console.call import Call
from doorward.identity.console.paging import PAGE_SIZE, offset_of, pager
from doorward.identity.console.sections import Section
from doorward.identity.errors import Refused

PATH = "/admin/users"

ORDERS: dict[str, tuple[str, Ordering]] = {
    "newest": ("Newest first", Ordering("created_at")),
    "oldest": ("Oldest first", Ordering("created_at", is_descending=False)),
    "address": ("By address", Ordering("email_address", is_descending=False)),
    "sign-in": ("Last signed in", Ordering("last_sign_in_at")),
    "active": ("Last active", Ordering("last_active_at")),
}
BANNED = {"": None, "banned": True, "not-banned": False}


class NewUserForm(msgspec.Struct):
    email_address: str = ""
    first_name: str = ""
    last_name: str = ""
    password: str = ""


async def show(call: Call) -> Response:
    wanted = call.query.get("query", "").strip()
    order = call.query.get("order", "") if call.query.get("order", "") in ORDERS else "newest"
    standing = call.query.get("standing", "") if call.query.get("standing", "") in BANNED else ""
    found = await call.identity.directory.list(
        Filter(text=wanted or None, is_banned=BANNED[standing]),
        ORDERS[order][1],
        limit=PAGE_SIZE + 1,
        offset=offset_of(call),
    )
    return call.page(
        "users.html",
        page=pager(call, found),
        wanted=wanted,
        order=order,
        standing=standing,
        orders=[(key, words) for key, (words, _) in ORDERS.items()],
        is_filtered=bool(wanted or standing),
        now=call.now,
    )


async def show_new(call: Call) -> Response:
    return call.form("user_new.html", NewUserForm())


async def create(call: Call) -> Response:
    form = await call.form_of(NewUserForm)
    try:
        account = await call.identity.administration.create(
            NewUser(
                details=Details(first_name=form.first_name or None, last_name=form.last_name or None),
                email_addresses=(Identifier(form.email_address),),
                password=NewPassword(password=form.password or None),
            ),
            actor=call.actor,
        )
    except Refused as refused:
        return call.form("user_new.html", form, refused)
    return call.see(f"{PATH}/{account.user.id}", told="created")


SECTION = Section(
    "Users",
    PATH,
    "People",
    pages=(
        ("GET", PATH, show),
        ("GET", f"{PATH}/new", show_new),
        ("POST", f"{PATH}/new", create),
        *user.PAGES,
        *user_addresses.PAGES,
        *user_access.PAGES,
    ),
    told={**user.TOLD, **user_addresses.TOLD, **user_access.TOLD, "created": "The account was made."},
)
