"""`doorward oauth`: applications that sign people in here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from doorward.cli.administration.answers import Page, answer_change, answer_page, answer_record
from doorward.cli.administration.options import Target, administration, confirmed, yes_option
from doorward.cli.administration.tables import Column
from doorward.cli.options import Number

if TYPE_CHECKING:
    from doorward.cli.administration.api import Api

COLUMNS = (
    Column("Application", "id", is_whole=True),
    Column("Name", "name"),
    Column("Client id", "client_id"),
    Column("Public", "public", is_whole=True),
    Column("Scopes", "scopes"),
)


@click.group("oauth")
def oauth() -> None:
    """OAuth applications: list, make, rotate, delete.

    An APPLICATION is an id, a client id or a name.
    """


@oauth.command("list")
@click.argument("query", required=False)
@click.option("--limit", type=Number(1, 500), default=20, show_default=True)
@click.option("--offset", type=Number(0), default=0, show_default=True)
@administration
def list_applications(target: Target, query: str | None, limit: int, offset: int) -> None:
    """List applications, or those whose name contains QUERY."""
    asked = {"name_query": query, "limit": limit, "offset": offset}
    answer = target.run(lambda api: api.ask("GET", "/oauth_applications", query=asked))
    answer_page(target, answer, Page.of(answer, asked), COLUMNS, nothing="No application matches.")


@oauth.command("show")
@click.argument("application")
@administration
def show_application(target: Target, application: str) -> None:
    """Show one application, with the URLs it needs."""
    answer_record(target, target.run(lambda api: _find(api, application)))


@oauth.command("create")
@click.argument("name")
@click.option(
    "--redirect-uri", "redirect_uris", multiple=True, help="Where people come back to; may be repeated."
)
@click.option("--scopes", help="Divided by blanks (default: profile email).")
@click.option("--public", is_flag=True, help="It can keep no secret: a browser or mobile application.")
@click.option(
    "--no-consent", is_flag=True, help="People are not asked whether they agree: your own application."
)
@administration
def create_application(
    target: Target,
    name: str,
    redirect_uris: tuple[str, ...],
    scopes: str | None,
    public: bool,
    no_consent: bool,
) -> None:
    """Make an application, and show its client secret."""
    from doorward.cli.administration.api import given

    body = given(
        name=name,
        redirect_uris=list(redirect_uris) or None,
        scopes=scopes,
        public=public or None,
        consent_screen_enabled=False if no_consent else None,
    )
    made = target.run(lambda api: api.ask("POST", "/oauth_applications", body=body))
    secret = made.get("client_secret")
    answer_change(
        target,
        made,
        f"{name} is now application {made['id']}; its client id is {made['client_id']}.",
        secret=("client secret", secret) if secret else None,
    )


@oauth.command("rotate-secret")
@click.argument("application")
@administration
def rotate_secret(target: Target, application: str) -> None:
    """Replace a client secret, and show the new one. The old one works no more."""

    async def work(api: Api) -> Any:
        return await api.ask(
            "POST", f"/oauth_applications/{(await _find(api, application))['id']}/rotate_secret"
        )

    made = target.run(work)
    answer_change(
        target, made, f"{made['name']} has a new secret.", secret=("client secret", made["client_secret"])
    )


@oauth.command("delete")
@click.argument("application")
@yes_option
@administration
def delete_application(target: Target, application: str, yes: bool) -> None:
    """Delete an application with every grant and token of it."""
    found = target.run(lambda api: _find(api, application))
    if confirmed(target, f"Delete {found['name']}? Its tokens end at once.", yes=yes):
        gone = target.run(lambda api: api.ask("DELETE", f"/oauth_applications/{found['id']}"))
        answer_change(target, gone, f"Deleted: {found['name']}.")


async def _find(api: Api, named: str) -> Any:
    """Raises ApiRefused."""
    from doorward.cli.administration.api import ApiRefused

    async for one in api.every("/oauth_applications"):
        if named in (one["id"], one["client_id"], one["name"]):
            return one
    raise ApiRefused(
        f"There is no application {named!r}. Look with `doorward oauth list`.",
        code="resource_not_found",
        status=404,
    )
