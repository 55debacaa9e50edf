"""`doorward waitlist`: who waits to be let in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from doorward.cli.administration.answers import Page, answer_change, answer_page
from doorward.cli.administration.options import Target, administration, confirmed, yes_option
from doorward.cli.administration.tables import Column
from doorward.cli.options import Number

if TYPE_CHECKING:
    from doorward.cli.administration.api import Api

COLUMNS = (
    Column("Entry", "id", is_whole=True),
    Column("E-mail address", "email_address"),
    Column("State", "status", is_whole=True),
    Column("Joined", "created_at", is_whole=True),
)


@click.group("waitlist")
def waitlist() -> None:
    """Who waits to be let in: list, invite, reject.

    An ENTRY is an id or an e-mail address.
    """


@waitlist.command("list")
@click.argument("query", required=False)
@click.option("--status", type=click.Choice(["pending", "invited", "completed", "rejected"]))
@click.option("--limit", type=Number(1, 500), default=20, show_default=True)
@click.option("--offset", type=Number(0), default=0, show_default=True)
@administration
def list_entries(target: Target, query: str | None, status: str | None, limit: int, offset: int) -> None:
    """List entries, newest first, or those whose address contains QUERY."""
    asked = {"query": query, "status": status, "limit": limit, "offset": offset}
    answer = target.run(lambda api: api.ask("GET", "/waitlist_entries", query=asked))
    answer_page(target, answer, Page.of(answer, asked), COLUMNS, nothing="Nobody waits.")


@waitlist.command("add")
@click.argument("email_address")
@click.option("--quiet", is_flag=True, help="Send no message.")
@administration
def add_entry(target: Target, email_address: str, quiet: bool) -> None:
    """Put an address on the waitlist."""
    body = {"email_address": email_address, "notify": not quiet}
    made = target.run(lambda api: api.ask("POST", "/waitlist_entries", body=body))
    answer_change(target, made, f"{made['email_address']} waits.")


@waitlist.command("invite")
@click.argument("entry", nargs=-1, required=True)
@administration
def invite(target: Target, entry: tuple[str, ...]) -> None:
    """Invite those who wait, by mail; the links are shown as well."""

    async def work(api: Api) -> list[Any]:
        found = [await _find(api, one) for one in entry]
        return [await api.ask("POST", f"/waitlist_entries/{one['id']}/invite", body={}) for one in found]

    invited = target.run(work)
    links = "\n".join(f"{one['email_address']} is invited: {one['invitation']['url']}" for one in invited)
    answer_change(target, invited, links)


@waitlist.command("reject")
@click.argument("entry", nargs=-1, required=True)
@administration
def reject(target: Target, entry: tuple[str, ...]) -> None:
    """Turn entries down; an invitation that was sent ends."""

    async def work(api: Api) -> list[Any]:
        found = [await _find(api, one) for one in entry]
        return [await api.ask("POST", f"/waitlist_entries/{one['id']}/reject") for one in found]

    rejected = target.run(work)
    said = ", ".join(one["email_address"] for one in rejected)
    answer_change(target, rejected, f"{said} {'is' if len(rejected) == 1 else 'are'} turned down.")


@waitlist.command("delete")
@click.argument("entry")
@yes_option
@administration
def delete_entry(target: Target, entry: str, yes: bool) -> None:
    """Remove an entry that still waits; the address may join again."""
    found = target.run(lambda api: _find(api, entry))
    if confirmed(target, f"Delete {found['email_address']} from the waitlist?", yes=yes):
        gone = target.run(lambda api: api.ask("DELETE", f"/waitlist_entries/{found['id']}"))
        answer_change(target, gone, f"Deleted: {found['email_address']}.")


async def _find(api: Api, named: str) -> Any:
    """Raises ApiRefused."""
    from doorward.cli.administration.api import ApiRefused

    wanted = named.lower()
    async for one in api.every("/waitlist_entries", {"query": wanted} if "@" in named else None):
        if wanted in (one["id"].lower(), one["email_address"]):
            return one
    raise ApiRefused(f"{named!r} is not on the waitlist.", code="resource_not_found", status=404)
