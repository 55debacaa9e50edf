"""`doorward api-keys`: long-lived keys of users and organizations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from doorward.cli.administration.answers import Page, answer_change, answer_page, answer_record
from doorward.cli.administration.options import (
    Target,
    administration,
    confirmed,
    json_object,
    yes_option,
)
from doorward.cli.administration.tables import Column, Record
from doorward.cli.administration.users import find_user
from doorward.cli.options import Number

if TYPE_CHECKING:
    from doorward.cli.administration.api import Api


def _state(key: Record) -> str:
    return "revoked" if key["revoked"] else "expired" if key["expired"] else "good"


COLUMNS = (
    Column("Key", "id", is_whole=True),
    Column("Name", "name"),
    Column("State", _state, is_whole=True),
    Column("Scopes", "scopes"),
    Column("Last used", "last_used_at"),
)


@click.group("api-keys")
def api_keys() -> None:
    """API keys of users and organizations: list, make, revoke.

    An OWNER is an organization's id, or a user's id, address, username or external id.
    """


@api_keys.command("list")
@click.argument("owner")
@click.option("--all", "all_keys", is_flag=True, help="Those too that are revoked or expired.")
@click.option("--query", help="Whose name or id contains this.")
@click.option("--limit", type=Number(1, 100), default=20, show_default=True)
@click.option("--offset", type=Number(0), default=0, show_default=True)
@administration
def list_keys(target: Target, owner: str, all_keys: bool, query: str | None, limit: int, offset: int) -> None:
    """List an owner's keys."""
    asked = {"include_invalid": all_keys, "query": query, "limit": limit, "offset": offset}

    async def work(api: Api) -> Any:
        return await api.ask("GET", "/api_keys", query={**asked, "subject": await _subject(api, owner)})

    answer = target.run(work)
    answer_page(target, answer, Page.of(answer, asked), COLUMNS, nothing="No key matches.")


@api_keys.command("show")
@click.argument("key_id")
@administration
def show_key(target: Target, key_id: str) -> None:
    """Show one key, without its secret."""
    from doorward.cli.administration.api import path_of

    answer_record(target, target.run(lambda api: api.ask("GET", path_of("api_keys", key_id))))


@api_keys.command("create")
@click.argument("owner")
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, help="May be repeated.")
@click.option("--seconds", type=Number(1), help="How long it lives (default: until it is revoked).")
@click.option("--description")
@click.option("--claims", help="A JSON object, or @file.")
@administration
def create_key(
    target: Target,
    owner: str,
    name: str,
    scopes: tuple[str, ...],
    seconds: int | None,
    description: str | None,
    claims: str | None,
) -> None:
    """Make a key, and show it."""
    from doorward.cli.administration.api import given

    members = given(
        name=name,
        scopes=list(scopes) or None,
        seconds_until_expiration=seconds,
        description=description,
        claims=json_object(target, claims, "--claims"),
    )

    async def work(api: Api) -> Any:
        return await api.ask("POST", "/api_keys", body={**members, "subject": await _subject(api, owner)})

    made = target.run(work)
    answer_change(target, made, f"{name} is now key {made['id']}.", secret=("API key", made["secret"]))


@api_keys.command("revoke")
@click.argument("key_id")
@click.option("--reason", help="Why, for the log.")
@administration
def revoke_key(target: Target, key_id: str, reason: str | None) -> None:
    """End a key now; it stays in the list."""
    from doorward.cli.administration.api import given, path_of

    path, body = f"{path_of('api_keys', key_id)}/revoke", given(revocation_reason=reason)
    answer_change(target, target.run(lambda api: api.ask("POST", path, body=body)), f"{key_id} is revoked.")


@api_keys.command("delete")
@click.argument("key_id")
@yes_option
@administration
def delete_key(target: Target, key_id: str, yes: bool) -> None:
    """Delete a key; whoever uses it is refused at once."""
    from doorward.cli.administration.api import path_of

    if confirmed(target, f"Delete {key_id}? Whoever uses it is refused at once.", yes=yes):
        gone = target.run(lambda api: api.ask("DELETE", path_of("api_keys", key_id)))
        answer_change(target, gone, f"Deleted: {key_id}.")


async def _subject(api: Api, owner: str) -> str:
    return owner if owner.startswith("org_") else str((await find_user(api, owner))["id"])
