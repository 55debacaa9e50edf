"""`doorward templates`: JWT templates, from files and as they would come out for a user."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from doorward.cli.administration.answers import Page, answer_change, answer_page, answer_record
from doorward.cli.administration.options import Target, administration, confirmed, yes_option
from doorward.cli.administration.tables import Column
from doorward.cli.administration.users import find_user, primary_email
from doorward.cli.options import Number
from doorward.cli.output import answer_json, plain
from doorward.cli.text_files import TextUnreadable, read_text

if TYPE_CHECKING:
    from doorward.cli.administration.api import Api

COLUMNS = (
    Column("Template", "id", is_whole=True),
    Column("Name", "name"),
    Column("Lifetime", lambda template: f"{template['lifetime']} s", is_whole=True),
    Column("Algorithm", "signing_algorithm", is_whole=True),
    Column("Changed", "updated_at", is_whole=True),
)
_FILE = (
    'FILE is JSON: {"name", "claims", "lifetime", "allowed_clock_skew", "signing_algorithm", "signing_key"}, of which all but'
    " the first two may be missing; or the claims alone, with --name."
)


@click.group("templates")
def templates() -> None:
    """JWT templates: list, make, change, try.

    A TEMPLATE is an id or a name.
    """


@templates.command("list")
@click.option("--limit", type=Number(1, 500), default=50, show_default=True)
@click.option("--offset", type=Number(0), default=0, show_default=True)
@administration
def list_templates(target: Target, limit: int, offset: int) -> None:
    """List templates."""
    asked = {"paginated": True, "limit": limit, "offset": offset}
    answer = target.run(lambda api: api.ask("GET", "/jwt_templates", query=asked))
    answer_page(target, answer, Page.of(answer, asked), COLUMNS, nothing="There is no template.")


@templates.command("show")
@click.argument("template")
@administration
def show_template(target: Target, template: str) -> None:
    """Show one template with its claims."""
    found = target.run(lambda api: find_template(api, template))
    if target.as_json:
        answer_json(found)
        return
    answer_record(target, {name: value for name, value in found.items() if name != "claims"})
    print(f"\n{_pretty(found['claims'])}")


@templates.command("create", help=f"Make a template of FILE.\n\n{_FILE}")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", help="What tokens are asked for by; in place of the file's.")
@administration
def create_template(target: Target, file: Path, name: str | None) -> None:
    body = _draft(target, file, name)
    made = target.run(lambda api: api.ask("POST", "/jwt_templates", body=body))
    answer_change(target, made, f"{made['name']} is now template {made['id']}.")


@templates.command("update", help=f"Replace a template's claims, and what else FILE names.\n\n{_FILE}")
@click.argument("template")
@click.argument("file", type=click.Path(path_type=Path))
@administration
def update_template(target: Target, template: str, file: Path) -> None:
    async def work(api: Api) -> Any:
        found = await find_template(api, template)
        body = _draft(target, file, None, else_name=found["name"])
        return await api.ask("PATCH", f"/jwt_templates/{found['id']}", body=body)

    answer_change(
        target, target.run(work), f"{template} is changed. Tokens made from now on have its claims."
    )


@templates.command("delete")
@click.argument("template")
@yes_option
@administration
def delete_template(target: Target, template: str, yes: bool) -> None:
    """Delete a template. Tokens made with it live until they expire."""
    found = target.run(lambda api: find_template(api, template))
    if confirmed(target, f"Delete template {found['name']}? Nobody gets tokens of it any more.", yes=yes):
        gone = target.run(lambda api: api.ask("DELETE", f"/jwt_templates/{found['id']}"))
        answer_change(target, gone, f"Deleted: {found['name']}.")


@templates.command("preview")
@click.argument("template")
@click.option("--user", required=True, help="For whom: id, address, username or external id.")
@administration
def preview_template(target: Target, template: str, user: str) -> None:
    """Show what TEMPLATE gives a user. What looks wrong is warned of.

    TEMPLATE is an id, a name, or a file that is not a template yet. Nothing is signed and nothing is changed.
    """
    file = Path(template)
    drafted = _draft(target, file, template)["claims"] if file.is_file() else None

    async def work(api: Api) -> tuple[Any, Any]:
        person = await find_user(api, user)
        claims = drafted or (await find_template(api, template))["claims"]
        body = {"claims": claims, "user_id": person["id"]}
        return person, await api.ask("POST", "/jwt_templates/preview", body=body)

    person, preview = target.run(work)
    if target.as_json:
        answer_json(preview)
        return
    print(f"For {primary_email(person)}, {preview['size']} bytes:\n\n{_pretty(preview['claims'])}")
    for warning in preview["warnings"]:
        print(f"\nWarning: {plain(warning['claim'])}: {plain(warning['message'])}")


@templates.command("auth-config")
@click.argument("template")
@administration
def print_auth_config(target: Target, template: str) -> None:
    """Print the AuthConfig for Hasura. With it the engine takes TEMPLATE's tokens.

    It names audience and issuer. Put it into the supergraph's auth-config.hml; with --json it is JSON.
    """
    from doorward.verify.hasura.generation import KEY_VARIABLE, as_yaml, auth_config_for

    async def work(api: Api) -> tuple[Any, str]:
        domains = await api.ask("GET", "/domains")
        return await find_template(api, template), domains["data"][0]["frontend_api_url"]

    found, origin = target.run(work)
    try:
        document = auth_config_for(
            found["claims"],
            issuer=origin,
            algorithm=found["signing_algorithm"],
            has_own_key=found["custom_signing_key"],
        )
    except ValueError as error:
        target.fail(f"Template {found['name']}: {error}", code="no_hasura_claims")
    if target.as_json:
        answer_json(document)
        return
    print(as_yaml(document), end="")
    # What the engine's document cannot say, beside it and not in it.
    if found["custom_signing_key"]:
        click.echo(f"The engine reads the template's own key from {KEY_VARIABLE}.", err=True)
    if not found["claims"].get("aud"):
        click.echo(
            "The template has no aud: its tokens count at every engine that trusts this server.", err=True
        )


async def find_template(api: Api, named: str) -> Any:
    """The template of this id or name. Raises ApiRefused."""
    from doorward.cli.administration.api import ApiRefused

    async for one in api.every("/jwt_templates"):
        if named in (one["id"], one["name"]):
            return one
    raise ApiRefused(
        f"There is no template {named!r}. Look with `doorward templates list`.",
        code="resource_not_found",
        status=404,
    )


def _draft(target: Target, file: Path, name: str | None, *, else_name: str | None = None) -> dict[str, Any]:
    try:
        found = json.loads(read_text(file))
    except TextUnreadable as error:
        target.fail(str(error), code="file_unreadable")
    except ValueError as error:
        target.fail(f"{file} is not JSON: {error}.", code="json_invalid")
    if not isinstance(found, dict):
        target.fail(f"{file} has to be a JSON object.", code="json_invalid")
    if not isinstance(found.get("claims"), dict):
        found = {"claims": found}
    # What another server said of the template it was copied from.
    for member in ("id", "object", "created_at", "updated_at"):
        found.pop(member, None)
    if name or "name" not in found:
        found["name"] = name or else_name
    if not found["name"]:
        target.fail(f"{file} names no template. Add --name.", code="name_missing")
    return dict(found)


def _pretty(value: Any) -> str:
    """Indented; what terminals obey is written as JSON escapes."""
    return json.dumps(value, indent=2, ensure_ascii=True)
