"""`doorward orgs`: organizations, who belongs to them as what, and whom they invite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from doorward.cli.administration.answers import Page, answer_change, answer_page, answer_record
from doorward.cli.administration.options import Target, administration, confirmed, yes_option
from doorward.cli.administration.tables import Column, Record
from doorward.cli.administration.users import find_user
from doorward.cli.options import Number

if TYPE_CHECKING:
    from doorward.cli.administration.api import Api

COLUMNS = (
    Column("Organization", "id", is_whole=True),
    Column("Name", "name"),
    Column("Slug", "slug"),
    Column("Members", "members_count", is_whole=True),
    Column("Created", "created_at", is_whole=True),
)


def _person(membership: Record) -> str:
    return str(membership["public_user_data"]["identifier"])


def _person_id(membership: Record) -> str:
    return str(membership["public_user_data"]["user_id"])


MEMBER_COLUMNS = (
    Column("User", _person_id, is_whole=True),
    Column("E-mail address", _person),
    Column("Role", "role"),
    Column("Since", "created_at", is_whole=True),
)


def _permissions(role: Record) -> str:
    return ", ".join(permission["key"] for permission in role["permissions"]) or "–"


ROLE_COLUMNS = (
    Column("Role", "key", is_whole=True),
    Column("Name", "name"),
    Column("May", _permissions),
)
INVITATION_COLUMNS = (
    Column("Invitation", "id", is_whole=True),
    Column("E-mail address", "email_address"),
    Column("Role", "role"),
    Column("State", "status", is_whole=True),
    Column("Ends", "expires_at"),
)
limit_option = click.option("--limit", type=Number(1, 500), default=20, show_default=True)
offset_option = click.option("--offset", type=Number(0), default=0, show_default=True)


@click.group("orgs")
def orgs() -> None:
    """Organizations: members, roles, invitations.

    An ORG is an id or a slug; a USER an id, an address, a username or an external id.
    """


@orgs.command("list")
@click.argument("query", required=False)
@limit_option
@offset_option
@administration
def list_organizations(target: Target, query: str | None, limit: int, offset: int) -> None:
    """List organizations, or find some.

    QUERY is part of an id, a name or a slug.
    """
    asked = {"query": query, "limit": limit, "offset": offset, "include_members_count": True}
    answer = target.run(lambda api: api.ask("GET", "/organizations", query=asked))
    answer_page(target, answer, Page.of(answer, asked), COLUMNS, nothing="No organization matches.")


@orgs.command("show")
@click.argument("org")
@administration
def show_organization(target: Target, org: str) -> None:
    """Show one organization."""
    answer_record(target, target.run(lambda api: _find(api, org)))


@orgs.command("create")
@click.argument("name")
@click.option("--slug", help="Its name in addresses (default: made of NAME).")
@click.option("--creator", metavar="USER", help="Who is its first administrator.")
@click.option("--max-members", type=Number(0), help="0 is without limit.")
@administration
def create_organization(
    target: Target, name: str, slug: str | None, creator: str | None, max_members: int | None
) -> None:
    """Make an organization."""
    from doorward.cli.administration.api import given

    async def work(api: Api) -> Any:
        owner = None if creator is None else (await find_user(api, creator))["id"]
        body = given(name=name, slug=slug, created_by=owner, max_allowed_memberships=max_members)
        return await api.ask("POST", "/organizations", body=body)

    made = target.run(work)
    answer_change(target, made, f"{made['name']} is now organization {made['id']} ({made['slug']}).")


@orgs.command("update")
@click.argument("org")
@click.option("--name")
@click.option("--slug")
@click.option("--max-members", type=Number(0), help="0 is without limit.")
@administration
def update_organization(
    target: Target, org: str, name: str | None, slug: str | None, max_members: int | None
) -> None:
    """Change an organization."""
    from doorward.cli.administration.api import given

    body = given(name=name, slug=slug, max_allowed_memberships=max_members)
    if not body:
        raise click.UsageError("Say what to change.")

    async def work(api: Api) -> Any:
        return await api.ask("PATCH", f"/organizations/{(await _find(api, org))['id']}", body=body)

    changed = target.run(work)
    answer_change(target, changed, f"{changed['name']} is changed.")


@orgs.command("delete")
@click.argument("org")
@yes_option
@administration
def delete_organization(target: Target, org: str, yes: bool) -> None:
    """Delete an organization. Its memberships and invitations go with it."""
    found = target.run(lambda api: _find(api, org))
    if confirmed(target, f"Delete {found['name']}, with its memberships and invitations?", yes=yes):
        gone = target.run(lambda api: api.ask("DELETE", f"/organizations/{found['id']}"))
        answer_change(target, gone, f"Deleted: {found['name']}.")


@orgs.command("members")
@click.argument("org")
@click.option("--role", multiple=True, help="Those of this role, such as org:admin; may be repeated.")
@limit_option
@offset_option
@administration
def list_members(target: Target, org: str, role: tuple[str, ...], limit: int, offset: int) -> None:
    """List an organization's members."""
    asked: dict[str, Any] = {"role": role, "limit": limit, "offset": offset, "paginated": True}

    async def work(api: Api) -> Any:
        return await api.ask(
            "GET", f"/organizations/{(await _find(api, org))['id']}/memberships", query=asked
        )

    answer = target.run(work)
    answer_page(target, answer, Page.of(answer, asked), MEMBER_COLUMNS, nothing="It has no such member.")


@orgs.command("add-member")
@click.argument("org")
@click.argument("user")
@click.option("--role", default="org:member", show_default=True)
@administration
def add_member(target: Target, org: str, user: str, role: str) -> None:
    """Make a user a member, without asking them."""

    async def work(api: Api) -> Any:
        body = {"user_id": (await find_user(api, user))["id"], "role": role}
        return await api.ask("POST", f"/organizations/{(await _find(api, org))['id']}/memberships", body=body)

    made = target.run(work)
    answer_change(target, made, f"{_person(made)} is {made['role']} of {made['organization']['name']}.")


@orgs.command("set-role")
@click.argument("org")
@click.argument("user")
@click.argument("role")
@administration
def set_role(target: Target, org: str, user: str, role: str) -> None:
    """Give a member another role."""
    changed = target.run(lambda api: _of_member(api, "PATCH", org, user, {"role": role}))
    answer_change(
        target, changed, f"{_person(changed)} is {changed['role']} of {changed['organization']['name']}."
    )


@orgs.command("remove-member")
@click.argument("org")
@click.argument("user")
@yes_option
@administration
def remove_member(target: Target, org: str, user: str, yes: bool) -> None:
    """End a membership."""
    if confirmed(target, f"Remove {user} from {org}?", yes=yes):
        gone = target.run(lambda api: _of_member(api, "DELETE", org, user, None))
        answer_change(
            target, gone, f"{_person(gone)} is no member of {gone['organization']['name']} any more."
        )


@orgs.command("settings")
@click.option("--on/--off", "enabled", default=None, help="Whether there are organizations at all.")
@click.option("--max-members", type=Number(0), help="Of a new organization; 0 is without limit.")
@administration
def settings(target: Target, enabled: bool | None, max_members: int | None) -> None:
    """Show what holds for all organizations, or change it."""
    from doorward.cli.administration.api import given

    body = given(enabled=enabled, max_allowed_memberships=max_members)
    path = "/instance/organization_settings"
    found = target.run(lambda api: api.ask("PATCH" if body else "GET", path, body=body or None))
    answer_record(target, found)


@orgs.command("roles")
@administration
def list_roles(target: Target) -> None:
    """List the roles members can have, and what each may do."""
    asked = {"limit": 100, "offset": 0}
    answer = target.run(lambda api: api.ask("GET", "/organization_roles", query=asked))
    answer_page(target, answer, Page.of(answer, asked), ROLE_COLUMNS, nothing="There is no role.")


@orgs.command("invite")
@click.argument("org")
@click.argument("email_address")
@click.option("--role", default="org:member", show_default=True)
@click.option("--inviter", metavar="USER", help="A member in whose name it is sent.")
@administration
def invite(target: Target, org: str, email_address: str, role: str, inviter: str | None) -> None:
    """Invite an address by mail. The link is shown as well."""
    from doorward.cli.administration.api import given

    async def work(api: Api) -> Any:
        sender = None if inviter is None else (await find_user(api, inviter))["id"]
        body = given(email_address=email_address, role=role, inviter_user_id=sender)
        return await api.ask("POST", f"/organizations/{(await _find(api, org))['id']}/invitations", body=body)

    made = target.run(work)
    answer_change(
        target, made, f"{made['email_address']} is invited as {made['role']}.", secret=("link", made["url"])
    )


@orgs.command("invitations")
@click.argument("org")
@click.option("--status", multiple=True, type=click.Choice(["pending", "accepted", "revoked", "expired"]))
@limit_option
@offset_option
@administration
def list_invitations(target: Target, org: str, status: tuple[str, ...], limit: int, offset: int) -> None:
    """List an organization's invitations."""
    asked: dict[str, Any] = {"status": status, "limit": limit, "offset": offset}

    async def work(api: Api) -> Any:
        return await api.ask(
            "GET", f"/organizations/{(await _find(api, org))['id']}/invitations", query=asked
        )

    answer = target.run(work)
    answer_page(target, answer, Page.of(answer, asked), INVITATION_COLUMNS, nothing="It invited nobody.")


@orgs.command("revoke-invitation")
@click.argument("org")
@click.argument("invitation_id")
@administration
def revoke_invitation(target: Target, org: str, invitation_id: str) -> None:
    """Void an invitation that was not accepted."""
    from doorward.cli.administration.api import path_of

    async def work(api: Api) -> Any:
        path = path_of("organizations", (await _find(api, org))["id"], "invitations", invitation_id)
        return await api.ask("POST", f"{path}/revoke", body={})

    gone = target.run(work)
    answer_change(target, gone, f"The invitation of {gone['email_address']} is void.")


async def _find(api: Api, named: str) -> Any:
    """By id or slug. Raises ApiRefused."""
    from doorward.cli.administration.api import path_of

    return await api.ask("GET", path_of("organizations", named))


async def _of_member(api: Api, method: str, org: str, user: str, body: object) -> Any:
    from doorward.cli.administration.api import path_of

    found, person = await _find(api, org), await find_user(api, user)
    path = path_of("organizations", found["id"], "memberships", person["id"])
    return await api.ask(method, path, body=body)
