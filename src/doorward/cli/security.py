"""`doorward connect security …`: the rule for new devices, and deciding about each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from doorward.cli.machine import with_machine
from doorward.cli.options import home_option, json_option
from doorward.cli.output import answer_json, fail, run

if TYPE_CHECKING:
    from doorward.environment.approvals.mode import SecurityMode
    from doorward.environment.local import LocalMachine


@click.group("security", invoke_without_command=True)
@click.option(
    "--mode",
    type=click.Choice(["account", "client-approval"]),
    help="account: every device of the account comes in. client-approval: each device waits for you.",
)
@home_option
@json_option
@click.pass_context
def security(context: click.Context, mode: SecurityMode | None, home: Path | None, as_json: bool) -> None:
    """Show or set the rule for new devices."""
    if context.invoked_subcommand is not None:
        return

    from doorward.environment.local import VerbFailed

    async def command(machine: LocalMachine) -> str:
        if mode is None:
            try:
                return await machine.security_mode()
            except VerbFailed as error:
                if error.code != "security_mode_unreadable":
                    raise
                fail(
                    f"{str(error).removesuffix('.')}. Nobody new is let in until it is set again: "
                    "doorward connect security --mode client-approval",
                    code=error.code,
                    as_json=as_json,
                )
        await machine.set_security_mode(mode)
        return mode

    now = run(with_machine(home, command), as_json=as_json)
    if as_json:
        answer_json({"mode": now})
    elif now == "client-approval":
        print("T3 Connect client approval is required.")
    else:
        print("T3 Connect uses account-wide access.")


@security.command("clients")
@home_option
@json_option
def clients(home: Path | None, as_json: bool) -> None:
    """List devices and their key phrases."""
    from doorward.cli import status as view

    found = run(with_machine(home, lambda machine: machine.clients()), as_json=as_json)
    if as_json:
        answer_json({"clients": found})
    else:
        print(view.clients_text(found))


# A thumbprint is base64url and may start with `-` and any letter, so these commands have no short options.
_DASHES = {"ignore_unknown_options": True, "help_option_names": ["--help"]}


@security.command("approve", context_settings=_DASHES)
@click.argument("thumbprint")
@click.option(
    "--administrator",
    is_flag=True,
    help="Let the device also decide about others, where --remote-admin is on.",
)
@home_option
@json_option
def approve(thumbprint: str, administrator: bool, home: Path | None, as_json: bool) -> None:
    """Let a device in. Compare its key phrase with the one the device shows first."""
    role: Literal["administrator"] | None = "administrator" if administrator else None
    found = run(with_machine(home, lambda machine: machine.approve(thumbprint, role=role)), as_json=as_json)
    _told(thumbprint, "Approved", found is not None, as_json, {"client": found})


@security.command("reject", context_settings=_DASHES)
@click.argument("thumbprint")
@home_option
@json_option
def reject(thumbprint: str, home: Path | None, as_json: bool) -> None:
    """Refuse a device; it is told so."""
    found = run(with_machine(home, lambda machine: machine.reject(thumbprint)), as_json=as_json)
    _told(thumbprint, "Rejected", found is not None, as_json, {"client": found})


@security.command("revoke", context_settings=_DASHES)
@click.argument("thumbprint")
@home_option
@json_option
def revoke(thumbprint: str, home: Path | None, as_json: bool) -> None:
    """Take a device's access away at once. It may ask again, also where it was rejected."""
    done = run(with_machine(home, lambda machine: machine.revoke(thumbprint)), as_json=as_json)
    _told(thumbprint, "Revoked", done, as_json, {"revoked": done})


def _told(thumbprint: str, what: str, found: bool, as_json: bool, answer: dict[str, object]) -> None:
    if as_json:
        answer_json(answer)
    elif found:
        print(f"{what} T3 Connect client {thumbprint}.")
    else:
        print(f"No active T3 Connect client found for {thumbprint}.")
