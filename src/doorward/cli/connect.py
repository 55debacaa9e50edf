"""`doorward connect …`: the account of this home folder, its link, and who may come in."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import click

from doorward.cli.options import home_option, json_option
from doorward.cli.output import answer_json, fail, run

if TYPE_CHECKING:
    from doorward.cli.session import Session
    from doorward.client.sign_in import DeviceAuthorization, Grant
    from doorward.environment.approvals.mode import SecurityMode
    from doorward.environment.local import LocalMachine

T = TypeVar("T")


@click.group("connect")
def connect() -> None:
    """Sign in, link this machine, decide who may come in."""


@connect.command("login")
@click.option("--device", is_flag=True, help="Show a code to type on another device; needs no browser here.")
@home_option
@json_option
def login(device: bool, home: Path | None, as_json: bool) -> None:
    """Sign in to your account."""
    run(_login(home, device or not _has_browser(), as_json), as_json=as_json)
    if as_json:
        answer_json({"authenticated": True})
    else:
        print("Signed in to T3 Connect.")


async def _login(home: Path | None, by_device: bool, as_json: bool) -> None:
    from doorward.cli.session import signed_in
    from doorward.environment.link.cli_token import CliTokenRefused

    async with signed_in(home) as session:
        try:
            if await session.tokens.existing() is not None:
                return
        except CliTokenRefused:
            pass  # a token that cannot be refreshed any more: sign in anew
        session.store(await _authorize(session, by_device, as_json))


async def _authorize(session: Session, by_device: bool, as_json: bool) -> Grant:
    from doorward.client.sign_in import authorize_device, authorize_on_loopback

    public = session.configuration
    if by_device:
        return await authorize_device(
            session.outbound,
            accounts_origin=public.accounts_origin,
            client_id=public.cli_client_id,
            show=lambda asked: _show_device(asked, as_json),
        )
    return await authorize_on_loopback(
        session.outbound,
        accounts_origin=public.accounts_origin,
        client_id=public.cli_client_id,
        show_url=lambda url: _show_url(url, as_json),
    )


def _show_url(url: str, as_json: bool) -> None:
    if as_json:
        answer_json({"authorizationUrl": url})
    else:
        print(f"Open this URL to authorize T3 Connect:\n{url}", flush=True)
    import webbrowser

    webbrowser.open(url)


def _show_device(asked: DeviceAuthorization, as_json: bool) -> None:
    if as_json:
        answer_json(
            {
                "verificationUri": asked.verification_uri,
                "userCode": asked.user_code,
                "expiresIn": asked.expires_in,
            }
        )
        return
    print(f"On any device, open {asked.verification_uri} and enter this code:\n\n    {asked.user_code}\n")
    print(f"Waiting for you there. The code is good for {asked.expires_in // 60} minutes.", flush=True)


def _has_browser() -> bool:
    """Whether a browser started here can come back to 127.0.0.1 of this machine."""
    if os.environ.get("SSH_CONNECTION") or os.environ.get("SSH_TTY"):
        return False
    return sys.platform in ("darwin", "win32") or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or os.environ.get("BROWSER")
    )


@connect.command("link")
@home_option
@json_option
def link(home: Path | None, as_json: bool) -> None:
    """Expose this machine from the agent's next start on."""
    running = run(_link(home, as_json), as_json=as_json)
    if as_json:
        answer_json({"desired": True, "agentRunning": running})
    elif running:
        print("The running agent links this machine now. `doorward connect status` shows the outcome.")
    else:
        print("This T3 environment will be available through T3 Connect the next time T3 starts.")
        print("Here that is the next `doorward expose`.")


async def _link(home: Path | None, as_json: bool) -> bool:
    from doorward.cli.session import machine_of, signed_in
    from doorward.environment.link.cli_token import CliTokenRefused

    async with signed_in(home) as session:
        try:
            token = await session.tokens.existing()
        except CliTokenRefused:
            token = None
        if token is None:
            session.store(await _authorize(session, not _has_browser(), as_json))
        async with machine_of(session.home, session.configuration) as machine:
            await machine.link()
            return await machine.is_agent_running()


@connect.command("status")
@home_option
@json_option
def status(home: Path | None, as_json: bool) -> None:
    """Show how this machine is linked and exposed."""
    from doorward.cli import status as view

    state = run(_with_machine(home, lambda machine: machine.status()), as_json=as_json)
    if as_json:
        answer_json(view.status_answer(state))
    else:
        print(view.status_text(state))


@connect.command("page")
@home_option
@json_option
def page(home: Path | None, as_json: bool) -> None:
    """Print a one-time link to the Connections page."""

    async def command(machine: LocalMachine) -> str:
        if not await machine.is_agent_running():
            fail(
                "No agent is running for this data folder. Start it with `doorward expose`.", as_json=as_json
            )
        return await machine.one_time_link()

    url = run(_with_machine(home, command), as_json=as_json)
    if as_json:
        answer_json({"url": url})
    else:
        print(f"Open this link in a browser on this machine. It works once, within half an hour:\n{url}")


@connect.command("unlink")
@home_option
@json_option
def unlink(home: Path | None, as_json: bool) -> None:
    """Stop exposing; devices and settings are kept."""
    _undo(home, as_json, forget_sign_in=False)


@connect.command("logout")
@home_option
@json_option
def logout(home: Path | None, as_json: bool) -> None:
    """Unlink this machine and forget the account."""
    _undo(home, as_json, forget_sign_in=True)


def _undo(home: Path | None, as_json: bool, *, forget_sign_in: bool) -> None:
    from doorward.cli import status as view

    report = run(
        _with_machine(home, lambda machine: machine.unlink(forget_sign_in=forget_sign_in)), as_json=as_json
    )
    if as_json:
        answer_json(report)
        return
    said, warned = view.unlink_texts(report, forget_sign_in=forget_sign_in)
    for text in said:
        print(text)
    for text in warned:
        print(text, file=sys.stderr)


@connect.group("security", invoke_without_command=True)
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
                    f"{error} Nobody new is let in until it is set again: "
                    "doorward connect security --mode client-approval",
                    code=error.code,
                    as_json=as_json,
                )
        await machine.set_security_mode(mode)
        return mode

    now = run(_with_machine(home, command), as_json=as_json)
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

    found = run(_with_machine(home, lambda machine: machine.clients()), as_json=as_json)
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
    found = run(_with_machine(home, lambda machine: machine.approve(thumbprint, role=role)), as_json=as_json)
    _told(thumbprint, "Approved", found is not None, as_json, {"client": found})


@security.command("reject", context_settings=_DASHES)
@click.argument("thumbprint")
@home_option
@json_option
def reject(thumbprint: str, home: Path | None, as_json: bool) -> None:
    """Refuse a device; it is told so."""
    found = run(_with_machine(home, lambda machine: machine.reject(thumbprint)), as_json=as_json)
    _told(thumbprint, "Rejected", found is not None, as_json, {"client": found})


@security.command("revoke", context_settings=_DASHES)
@click.argument("thumbprint")
@home_option
@json_option
def revoke(thumbprint: str, home: Path | None, as_json: bool) -> None:
    """Take a device's access away at once."""
    done = run(_with_machine(home, lambda machine: machine.revoke(thumbprint)), as_json=as_json)
    _told(thumbprint, "Revoked", done, as_json, {"revoked": done})


def _told(thumbprint: str, what: str, found: bool, as_json: bool, answer: dict[str, object]) -> None:
    if as_json:
        answer_json(answer)
    elif found:
        print(f"{what} T3 Connect client {thumbprint}.")
    else:
        print(f"No active T3 Connect client found for {thumbprint}.")


async def _with_machine(home: Path | None, act: Callable[[LocalMachine], Awaitable[T]]) -> T:
    from doorward.cli.session import own_machine

    async with own_machine(home) as machine:
        return await act(machine)
