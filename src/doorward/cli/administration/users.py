"""`doorward users`: finding, making, changing, banning and deleting people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from doorward.cli.administration.answers import Page, answer_change, answer_page, answer_record
from doorward.cli.administration.exporting import export_users
from doorward.cli.administration.importing import import_users
from doorward.cli.administration.options import (
    Target,
    administration,
    confirmed,
    json_object,
    yes_option,
)
from doorward.cli.administration.tables import Column, Record
from doorward.cli.options import Number
from doorward.cli.output import answer_json

if TYPE_CHECKING:
    from doorward.cli.administration.api import Api

ORDERS = (
    "created_at",
    "updated_at",
    "email_address",
    "first_name",
    "last_name",
    "phone_number",
    "username",
    "last_active_at",
    "last_sign_in_at",
)


def primary_email(user: Record) -> str:
    return _primary(user, "email_addresses", "email_address", "primary_email_address_id")


def _primary(user: Record, members: str, member: str, primary: str) -> str:
    owned = user[members]
    for one in owned:
        if one["id"] == user[primary]:
            return str(one[member])
    return str(owned[0][member]) if owned else ""


def name_of(user: Record) -> str:
    return " ".join(part for part in (user["first_name"], user["last_name"]) if part)


def _state(user: Record) -> str:
    return "banned" if user["banned"] else "locked" if user["locked"] else "active"


COLUMNS = (
    Column("User", "id", is_whole=True),
    Column("E-mail address", primary_email),
    Column("Name", name_of),
    Column("State", _state, is_whole=True),
    Column("Signed in", "last_sign_in_at", is_whole=True),
)


@click.group("users")
def users() -> None:
    """People: find, make, change, ban, import, export.

    A USER is an id, an e-mail address, a username, or an external id.
    """


@users.command("list")
@click.argument("query", required=False)
@click.option("--email", "email_address", multiple=True, help="Who has this address; may be repeated.")
@click.option("--phone", "phone_number", multiple=True, help="Who has this number; may be repeated.")
@click.option("--username", multiple=True, help="Who is called so; may be repeated.")
@click.option("--external-id", multiple=True, help="Whom another system calls so; may be repeated.")
@click.option("--banned/--not-banned", default=None, help="Those who are, or are not.")
@click.option(
    "--order",
    type=click.Choice([sign + name for name in ORDERS for sign in ("", "-")]),
    default="-created_at",
    show_default=True,
    metavar="[-]MEMBER",
    help="What to sort by; - from the end.",
)
@click.option("--limit", type=Number(1, 500), default=20, show_default=True)
@click.option("--offset", type=Number(0), default=0, show_default=True)
@click.option(
    "--after", "starting_after", help="With the order of created_at: the last user of the page before."
)
@administration
def list_users(target: Target, query: str | None, order: str, **filters: Any) -> None:
    """List users, or find some.

    QUERY is part of an id, a name, an address or a number.
    """
    asked = {"query": query, "order_by": order, **filters}
    answer = target.run(lambda api: api.ask("GET", "/users", query=asked))
    answer_page(target, answer, Page.of(answer, asked), COLUMNS, nothing="No user matches.")


@users.command("count")
@click.argument("query", required=False)
@click.option("--banned/--not-banned", default=None, help="Those who are, or are not.")
@administration
def count_users(target: Target, query: str | None, banned: bool | None) -> None:
    """How many users there are, or match QUERY."""
    asked = {"query": query, "banned": banned}
    answer = target.run(lambda api: api.ask("GET", "/users/count", query=asked))
    if target.as_json:
        answer_json(answer)
    else:
        print(answer["total_count"])


@users.command("show")
@click.argument("user")
@administration
def show_user(target: Target, user: str) -> None:
    """Show everything about one user."""
    found = target.run(lambda api: find_user(api, user))
    answer_record(target, found if target.as_json else _shown(found), shown=_summary(found))


@users.command("create")
@click.argument("email_address")
@click.option("--email", "more", multiple=True, help="Another address; may be repeated.")
@click.option("--phone", multiple=True, help="A number as +15551234567; may be repeated.")
@click.option("--username")
@click.option("--first-name")
@click.option("--last-name")
@click.option("--external-id", help="What another system calls them.")
@click.option("--password-stdin", is_flag=True, help="Read a password from standard input.")
@click.option(
    "--unverified", is_flag=True, help="Addresses and numbers are kept for them, and not yet proved."
)
@click.option("--public-metadata", help="A JSON object, or @file.")
@click.option("--private-metadata", help="A JSON object, or @file.")
@administration
def create_user(
    target: Target,
    email_address: str,
    more: tuple[str, ...],
    phone: tuple[str, ...],
    username: str | None,
    first_name: str | None,
    last_name: str | None,
    external_id: str | None,
    password_stdin: bool,
    unverified: bool,
    public_metadata: str | None,
    private_metadata: str | None,
) -> None:
    """Make a user. Addresses count as proved, and restrictions on who may sign up do not hold."""
    from doorward.cli.administration.api import given

    addresses = [email_address, *more]
    body = given(
        email_address=addresses,
        email_address_identification_status=["reserved"] * len(addresses) if unverified else None,
        phone_number=list(phone),
        phone_number_identification_status=["reserved"] * len(phone) if unverified else None,
        username=username,
        first_name=first_name,
        last_name=last_name,
        external_id=external_id,
        password=_password() if password_stdin else None,
        public_metadata=json_object(target, public_metadata, "--public-metadata"),
        private_metadata=json_object(target, private_metadata, "--private-metadata"),
    )
    made = target.run(lambda api: api.ask("POST", "/users", body=body))
    answer_change(target, made, f"{primary_email(made)} is now user {made['id']}.")


@users.command("update")
@click.argument("user")
@click.option("--username", help="Empty takes it away, here as of the others.")
@click.option("--first-name")
@click.option("--last-name")
@click.option("--external-id")
@click.option("--password-stdin", is_flag=True, help="Read a new password from standard input.")
@click.option("--sign-out", is_flag=True, help="With a new password: end every session.")
@click.option("--public-metadata", help="A JSON object, or @file; merged, null removes a key.")
@click.option("--private-metadata", help="A JSON object, or @file; merged, null removes a key.")
@administration
def update_user(
    target: Target,
    user: str,
    password_stdin: bool,
    sign_out: bool,
    public_metadata: str | None,
    private_metadata: str | None,
    **names: str | None,
) -> None:
    """Change what is given of a user."""
    from doorward.cli.administration.api import given, path_of

    changes: dict[str, object] = {name: text or None for name, text in names.items() if text is not None}
    changes.update(
        given(password=_password() if password_stdin else None, sign_out_of_other_sessions=sign_out or None)
    )
    metadata = given(
        public_metadata=json_object(target, public_metadata, "--public-metadata"),
        private_metadata=json_object(target, private_metadata, "--private-metadata"),
    )
    if not changes and not metadata:
        raise click.UsageError("Say what to change.")

    async def work(api: Api) -> Any:
        found = await find_user(api, user)
        path = path_of("users", found["id"])
        if changes:
            found = await api.ask("PATCH", path, body=changes)
        return await api.ask("PATCH", f"{path}/metadata", body=metadata) if metadata else found

    changed = target.run(work)
    answer_change(target, changed, f"{primary_email(changed)} is changed.")


def _acting(name: str, action: str, done: str, help_text: str) -> click.Command:
    """A command that does one thing to each user it names."""

    @users.command(name, help=help_text)
    @click.argument("user", nargs=-1, required=True)
    @administration
    def act(target: Target, user: tuple[str, ...]) -> None:
        async def work(api: Api) -> list[Any]:
            found = [await find_user(api, one) for one in user]
            return [await api.ask("POST", f"/users/{one['id']}/{action}") for one in found]

        changed = target.run(work)
        said = ", ".join(primary_email(one) for one in changed)
        answer_change(target, changed, f"{said} {'is' if len(changed) == 1 else 'are'} {done}.")

    return act


ban = _acting(
    "ban", "ban", "banned: every session and token ended", "Ban users. Their sessions and tokens end at once."
)
unban = _acting("unban", "unban", "no longer banned", "Let banned users sign in again.")
lock = _acting("lock", "lock", "locked for an hour", "Keep users from new sign-ins for an hour.")
unlock = _acting(
    "unlock", "unlock", "unlocked", "Unlock users, and forget the wrong passwords that were counted."
)


@users.command("delete")
@click.argument("user", nargs=-1, required=True)
@yes_option
@administration
def delete_users(target: Target, user: tuple[str, ...], yes: bool) -> None:
    """Delete users with all that is theirs. It cannot be undone."""

    async def find(api: Api) -> list[Any]:
        return [await find_user(api, one) for one in user]

    found = target.run(find)
    said = ", ".join(primary_email(one) for one in found)
    if not confirmed(target, f"Delete {said}, with sessions, memberships and metadata?", yes=yes):
        return

    async def work(api: Api) -> list[Any]:
        return [await api.ask("DELETE", f"/users/{one['id']}") for one in found]

    answer_change(target, target.run(work), f"Deleted: {said}.")


SESSION_COLUMNS = (
    Column("Session", "id", is_whole=True),
    Column("State", "status", is_whole=True),
    Column("Last active", "last_active_at", is_whole=True),
    Column("Ends", "expire_at", is_whole=True),
)


@users.command("sessions")
@click.argument("user")
@click.option(
    "--status", default="active", show_default=True, help="active, ended, removed, revoked, expired…"
)
@administration
def list_sessions(target: Target, user: str, status: str) -> None:
    """List a user's sessions."""
    asked = {"status": status, "limit": 100}

    async def work(api: Api) -> Any:
        return await api.ask(
            "GET", "/sessions", query={**asked, "user_id": (await find_user(api, user))["id"]}
        )

    answer = target.run(work)
    answer_page(target, answer, Page.of(answer, asked), SESSION_COLUMNS, nothing=f"No session is {status}.")


@users.command("sign-out")
@click.argument("user")
@administration
def sign_out(target: Target, user: str) -> None:
    """End every session of a user; they may sign in again."""

    async def work(api: Api) -> list[Any]:
        asked = {"user_id": (await find_user(api, user))["id"], "status": "active"}
        open_ones = [session async for session in api.every("/sessions", asked)]
        return [await api.ask("POST", f"/sessions/{session['id']}/revoke") for session in open_ones]

    ended = target.run(work)
    answer_change(target, ended, f"{len(ended)} sessions ended.")


users.add_command(import_users)
users.add_command(export_users)


async def find_user(api: Api, named: str) -> Any:
    """The one user of this id, address, name or external id. Raises ApiRefused."""
    from doorward.cli.administration.api import ApiRefused, path_of

    if named.startswith("user_"):
        return await api.ask("GET", path_of("users", named))
    filters = ["email_address"] if "@" in named else ["username", "external_id"]
    for name in filters:
        found = await api.ask("GET", "/users", query={name: named, "limit": 2})
        if found:
            return found[0]
    raise ApiRefused(
        f"There is no user {named!r}. Look with `doorward users list`.", code="resource_not_found", status=404
    )


def _summary(user: Record) -> list[tuple[str, str]]:
    addresses = [
        _identified(one, one["email_address"], user["primary_email_address_id"])
        for one in user["email_addresses"]
    ]
    numbers = [
        _identified(one, one["phone_number"], user["primary_phone_number_id"])
        for one in user["phone_numbers"]
    ]
    return [
        (label, text)
        for label, text in (
            ("Id", user["id"]),
            ("E-mail addresses", ", ".join(addresses)),
            ("Phone numbers", ", ".join(numbers)),
            ("Name", name_of(user)),
            ("Username", user["username"] or ""),
            ("External id", user["external_id"] or ""),
            ("State", _state(user)),
            ("Password", "yes" if user["password_enabled"] else "none"),
        )
        if text
    ]


def _identified(one: Record, text: str, primary: str | None) -> str:
    verification = one.get("verification") or {}
    words = ["primary"] if one["id"] == primary else []
    words.append("verified" if verification.get("status") == "verified" else "not verified")
    return f"{text} ({', '.join(words)})"


def _shown(user: Record) -> dict[str, Any]:
    """Members that the summary does not tell, and a person asks for."""
    names = (
        "public_metadata",
        "private_metadata",
        "unsafe_metadata",
        "locale",
        "created_at",
        "updated_at",
        "last_sign_in_at",
        "last_active_at",
        "legal_accepted_at",
    )
    return {name: user.get(name) for name in names}


def _password() -> str:
    """One line; never an option, which every user of a machine can read."""
    import sys

    text = click.prompt("Password", hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.readline()
    return str(text).rstrip("\n")
