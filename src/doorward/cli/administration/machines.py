"""`doorward machines`: services that call one another with M2M tokens. (Machines behind a door are `doorward list`.)"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from doorward.cli.administration.answers import Page, answer_change, answer_page, answer_record
from doorward.cli.administration.options import Target, administration, confirmed, json_object, yes_option
from doorward.cli.administration.tables import Column, Record
from doorward.cli.options import Number

if TYPE_CHECKING:
    from doorward.cli.administration.api import Api


def _scopes(machine: Record) -> str:
    return ", ".join(one["name"] for one in machine["scoped_machines"]) or "–"


COLUMNS = (
    Column("Machine", "id", is_whole=True),
    Column("Name", "name"),
    Column("May call", _scopes),
    Column("Created", "created_at", is_whole=True),
)


def _token_state(token: Record) -> str:
    return "revoked" if token["revoked"] else "expired" if token["expired"] else "good"


TOKEN_COLUMNS = (
    Column("Token", "id", is_whole=True),
    Column("State", _token_state, is_whole=True),
    Column("Good at", "scopes"),
    Column("Ends", "expiration", is_whole=True),
    Column("Last used", "last_used_at"),
)


@click.group("machines")
def machines() -> None:
    """Services that call one another: keys, scopes, M2M tokens.

    A MACHINE is an id or a name. Machines behind a door are in `doorward list`.
    """


@machines.command("list")
@click.argument("query", required=False)
@click.option(
    "--order", type=click.Choice(["name", "-name", "created_at", "-created_at"]), default="-created_at"
)
@click.option("--limit", type=Number(1, 500), default=20, show_default=True)
@click.option("--offset", type=Number(0), default=0, show_default=True)
@administration
def list_machines(target: Target, query: str | None, order: str, limit: int, offset: int) -> None:
    """List machines, or those whose id or name contains QUERY."""
    asked = {"query": query, "order_by": order, "limit": limit, "offset": offset}
    answer = target.run(lambda api: api.ask("GET", "/machines", query=asked))
    answer_page(target, answer, Page.of(answer, asked), COLUMNS, nothing="No machine matches.")


@machines.command("show")
@click.argument("machine")
@administration
def show_machine(target: Target, machine: str) -> None:
    """Show one machine."""
    found = target.run(lambda api: find_machine(api, machine))
    shown = [("Id", found["id"]), ("Scoped machines", _scopes(found))]
    answer_record(target, found, shown=shown)


@machines.command("create")
@click.argument("name")
@click.option(
    "--scope", "scopes", multiple=True, metavar="MACHINE", help="A machine it may call; may be repeated."
)
@click.option("--token-ttl", type=Number(1), help="Seconds its tokens live (default: 3600).")
@administration
def create_machine(target: Target, name: str, scopes: tuple[str, ...], token_ttl: int | None) -> None:
    """Make a machine, and show its secret key."""
    from doorward.cli.administration.api import given

    async def work(api: Api) -> Any:
        others = [(await find_machine(api, scope))["id"] for scope in scopes]
        body = given(name=name, scoped_machines=others, default_token_ttl=token_ttl)
        return await api.ask("POST", "/machines", body=body)

    made = target.run(work)
    answer_change(
        target, made, f"{name} is now machine {made['id']}.", secret=("secret key", made["secret_key"])
    )


@machines.command("update")
@click.argument("machine")
@click.option("--name")
@click.option("--token-ttl", type=Number(1), help="Seconds its tokens live from now on.")
@administration
def update_machine(target: Target, machine: str, name: str | None, token_ttl: int | None) -> None:
    """Change a machine's name, or how long its tokens live."""
    from doorward.cli.administration.api import given

    body = given(name=name, default_token_ttl=token_ttl)
    if not body:
        raise click.UsageError("Say what to change.")

    async def work(api: Api) -> Any:
        return await api.ask("PATCH", f"/machines/{(await find_machine(api, machine))['id']}", body=body)

    changed = target.run(work)
    answer_change(target, changed, f"{changed['name']} is changed.")


@machines.command("delete")
@click.argument("machine")
@yes_option
@administration
def delete_machine(target: Target, machine: str, yes: bool) -> None:
    """Delete a machine with its keys, scopes and tokens."""
    found = target.run(lambda api: find_machine(api, machine))
    if confirmed(target, f"Delete {found['name']}? Its keys and tokens end at once.", yes=yes):
        gone = target.run(lambda api: api.ask("DELETE", f"/machines/{found['id']}"))
        answer_change(target, gone, f"Deleted: {found['name']}.")


@machines.command("allow")
@click.argument("machine")
@click.argument("other")
@administration
def allow(target: Target, machine: str, other: str) -> None:
    """Let MACHINE make tokens that are good at OTHER."""

    async def work(api: Api) -> Any:
        one, two = await find_machine(api, machine), await find_machine(api, other)
        return await api.ask("POST", f"/machines/{one['id']}/scopes", body={"to_machine_id": two["id"]})

    answer_change(target, target.run(work), f"Tokens of {machine} are good at {other} from now on.")


@machines.command("disallow")
@click.argument("machine")
@click.argument("other")
@administration
def disallow(target: Target, machine: str, other: str) -> None:
    """Let MACHINE make no more tokens that are good at OTHER.

    Those that exist stay good until they end.
    """

    async def work(api: Api) -> Any:
        one, two = await find_machine(api, machine), await find_machine(api, other)
        return await api.ask("DELETE", f"/machines/{one['id']}/scopes/{two['id']}")

    answer_change(target, target.run(work), f"New tokens of {machine} are not good at {other}.")


@machines.command("rotate-key")
@click.argument("machine")
@click.option(
    "--grace", type=Number(0), default=0, show_default=True, help="Seconds the old key still works."
)
@administration
def rotate_key(target: Target, machine: str, grace: int) -> None:
    """Replace a machine's secret key, and show the new one."""

    async def work(api: Api) -> Any:
        found = await find_machine(api, machine)
        body = {"previous_token_ttl": grace}
        return await api.ask("POST", f"/machines/{found['id']}/secret_key/rotate", body=body)

    made = target.run(work)
    until = f"works for {grace} seconds more" if grace else "works no more"
    answer_change(
        target, made, f"{machine} has a new secret key; the old one {until}.", secret=("key", made["secret"])
    )


@machines.command("tokens")
@click.argument("machine")
@click.option("--all", "all_tokens", is_flag=True, help="Those too that are revoked or expired.")
@click.option("--limit", type=Number(1, 100), default=20, show_default=True)
@click.option("--offset", type=Number(0), default=0, show_default=True)
@administration
def list_tokens(target: Target, machine: str, all_tokens: bool, limit: int, offset: int) -> None:
    """List a machine's M2M tokens."""
    asked: dict[str, object] = {
        "revoked": all_tokens,
        "expired": all_tokens,
        "limit": limit,
        "offset": offset,
    }

    async def work(api: Api) -> Any:
        found = await find_machine(api, machine)
        return await api.ask("GET", "/m2m_tokens", query={**asked, "subject": found["id"]})

    answer = target.run(work)
    page = Page.of(answer, asked, "m2m_tokens")
    answer_page(target, answer, page, TOKEN_COLUMNS, nothing="This machine has no token.")


@machines.command("create-token")
@click.argument("machine")
@click.option("--seconds", type=Number(1), help="How long it lives (default: the machine's).")
@click.option("--claims", help="A JSON object, or @file.")
@click.option(
    "--jwt", "is_jwt", is_flag=True, help="A JWT, which others verify by themselves; nobody can revoke it."
)
@administration
def create_token(target: Target, machine: str, seconds: int | None, claims: str | None, is_jwt: bool) -> None:
    """Make an M2M token as MACHINE would, and show it."""
    from doorward.cli.administration.api import given

    body = given(
        seconds_until_expiration=seconds,
        claims=json_object(target, claims, "--claims"),
        token_format="jwt" if is_jwt else "opaque",
    )

    async def work(api: Api) -> Any:
        found = await find_machine(api, machine)
        key = await api.ask("GET", f"/machines/{found['id']}/secret_key")
        return await api.ask("POST", "/m2m_tokens", body=body, key=key["secret"])

    made = target.run(work)
    answer_change(target, made, f"{machine} has a token.", secret=("token", made["token"]))


@machines.command("revoke-token")
@click.argument("token_id")
@click.option("--reason", help="Why, for the log.")
@administration
def revoke_token(target: Target, token_id: str, reason: str | None) -> None:
    """End an M2M token now."""
    from doorward.cli.administration.api import given, path_of

    path = f"{path_of('m2m_tokens', token_id)}/revoke"
    body = given(revocation_reason=reason)
    answer_change(target, target.run(lambda api: api.ask("POST", path, body=body)), f"{token_id} is revoked.")


async def find_machine(api: Api, named: str) -> Any:
    """The machine of this id, or the only one of this name. Raises ApiRefused."""
    from doorward.cli.administration.api import ApiRefused, path_of

    if named.startswith("mch_"):
        return await api.ask("GET", path_of("machines", named))
    found = [one async for one in api.every("/machines", {"query": named}) if one["name"] == named]
    if len(found) == 1:
        return found[0]
    if found:
        raise ApiRefused(
            f"{len(found)} machines are called {named!r}: {', '.join(one['id'] for one in found)}. Name one by its id.",
            code="ambiguous",
            status=404,
        )
    raise ApiRefused(
        f"There is no machine {named!r}. Look with `doorward machines list`.",
        code="resource_not_found",
        status=404,
    )
