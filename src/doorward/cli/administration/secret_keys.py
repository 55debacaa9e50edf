"""`doorward keys secret`: the secret keys that back ends hold. On the server's own machine alone."""

from __future__ import annotations

import click

from doorward.cli.administration.answers import Page, answer_change, answer_page
from doorward.cli.administration.options import Target, administration, confirmed, yes_option
from doorward.cli.administration.tables import Column, Record


def _state(key: Record) -> str:
    return "revoked" if key["revoked"] else "good"


COLUMNS = (
    Column("Key", "id", is_whole=True),
    Column("Name", "name"),
    Column("State", _state, is_whole=True),
    Column("Made", "created_at", is_whole=True),
)


@click.group("secret")
def secret_keys() -> None:
    """Secret keys (sk_live_…, sk_test_…) that back ends hold.

    Whoever has one may do everything the Backend API offers but make another: that takes the server's own machine.
    """


@secret_keys.command("list")
@administration
def list_secret_keys(target: Target) -> None:
    """List secret keys, revoked ones among them."""
    _only_here(target)
    answer = target.run(lambda api: api.ask("GET", "/secret_keys"))
    answer_page(target, answer, Page.of(answer, {}), COLUMNS, nothing="There is no secret key.")


@secret_keys.command("create")
@click.argument("name")
@administration
def create_secret_key(target: Target, name: str) -> None:
    """Make a secret key for NAME, and show it."""
    _only_here(target)
    made = target.run(lambda api: api.ask("POST", "/secret_keys", body={"name": name}))
    answer_change(target, made, f"{name} is now key {made['id']}.", secret=("secret key", made["secret"]))


@secret_keys.command("revoke")
@click.argument("key_id")
@yes_option
@administration
def revoke_secret_key(target: Target, key_id: str, yes: bool) -> None:
    """End a secret key: whoever uses it is refused at once."""
    from doorward.cli.administration.api import path_of

    _only_here(target)
    if confirmed(target, f"Revoke {key_id}? Whoever uses it is refused at once.", yes=yes):
        path = f"{path_of('secret_keys', key_id)}/revoke"
        answer_change(target, target.run(lambda api: api.ask("POST", path)), f"{key_id} is revoked.")


def _only_here(target: Target) -> None:
    if target.url is not None:
        target.fail(
            "Secret keys are looked after on the server's own machine alone: run this there, with --config or --home.",
            code="local_only",
        )
