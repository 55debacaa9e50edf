"""`doorward invitations`: links that let somebody sign up."""

from __future__ import annotations

from typing import Any

import click

from doorward.cli.administration.answers import Page, answer_change, answer_page
from doorward.cli.administration.options import Target, administration, json_object
from doorward.cli.administration.tables import Column
from doorward.cli.options import Number

COLUMNS = (
    Column("Invitation", "id", is_whole=True),
    Column("E-mail address", "email_address"),
    Column("State", "status", is_whole=True),
    Column("Made", "created_at", is_whole=True),
    Column("Ends", "expires_at"),
)


@click.group("invitations")
def invitations() -> None:
    """Invitations to sign up: list, make, revoke."""


@invitations.command("list")
@click.argument("query", required=False)
@click.option("--status", multiple=True, type=click.Choice(["pending", "accepted", "revoked", "expired"]))
@click.option("--limit", type=Number(1, 500), default=20, show_default=True)
@click.option("--offset", type=Number(0), default=0, show_default=True)
@administration
def list_invitations(
    target: Target, query: str | None, status: tuple[str, ...], limit: int, offset: int
) -> None:
    """List invitations, newest first; revoked ones only where asked for."""
    asked: dict[str, Any] = {
        "query": query,
        "status": status,
        "limit": limit,
        "offset": offset,
        "paginated": True,
    }
    answer = target.run(lambda api: api.ask("GET", "/invitations", query=asked))
    answer_page(target, answer, Page.of(answer, asked), COLUMNS, nothing="No invitation matches.")


@invitations.command("create")
@click.argument("email_address")
@click.option("--quiet", is_flag=True, help="Send no message: you hand the link over.")
@click.option("--days", type=Number(1, 365), help="How long it can be used (default: 30).")
@click.option("--redirect-url", help="Where to go after the sign-up.")
@click.option("--public-metadata", help="What the new user has from the start: a JSON object, or @file.")
@administration
def create_invitation(
    target: Target,
    email_address: str,
    quiet: bool,
    days: int | None,
    redirect_url: str | None,
    public_metadata: str | None,
) -> None:
    """Invite an address; the link is shown as well."""
    from doorward.cli.administration.api import given

    body = given(
        email_address=email_address,
        notify=not quiet,
        expires_in_days=days,
        redirect_url=redirect_url,
        public_metadata=json_object(target, public_metadata, "--public-metadata"),
    )
    made = target.run(lambda api: api.ask("POST", "/invitations", body=body))
    answer_change(target, made, f"{made['email_address']} is invited.", secret=("link", made["url"]))


@invitations.command("revoke")
@click.argument("invitation_id")
@administration
def revoke_invitation(target: Target, invitation_id: str) -> None:
    """Void an invitation that was not accepted."""
    from doorward.cli.administration.api import path_of

    path = f"{path_of('invitations', invitation_id)}/revoke"
    gone = target.run(lambda api: api.ask("POST", path))
    answer_change(target, gone, f"The invitation of {gone['email_address']} is void.")
