"""`doorward connect …`: the account of this home folder, its link, and who may come in."""

from __future__ import annotations

import enum
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import typer

from doorward.cli.output import answer_json, fail, run

if TYPE_CHECKING:
    from doorward.cli.session import Session
    from doorward.client.sign_in import DeviceAuthorization, Grant
    from doorward.environment.local import LocalMachine

T = TypeVar("T")


class Mode(enum.Enum):
    """The rule for new devices."""

    ACCOUNT = "account"
    CLIENT_APPROVAL = "client-approval"


app = typer.Typer(help="Sign in, link this machine, decide who may come in.", no_args_is_help=True)
security_app = typer.Typer(
    help="Show or set who may come in without being asked about; decide about devices.",
    invoke_without_command=True,
)
app.add_typer(security_app, name="security")

_HOME = typer.Option(
    None, "--base-dir", "--home", help="Data folder (default: DOORWARD_HOME, or the user's data folder)."
)
_JSON = typer.Option(False, "--json", help="Answer in JSON.")


@app.command("login")
def login(
    device: bool = typer.Option(
        False, "--device", help="Show a code to type on another device; needs no browser here."
    ),
    home: Path = _HOME,
    as_json: bool = _JSON,
) -> None:
    """Sign in to the account that owns, or visits, machines."""
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


@app.command("link")
def link(home: Path = _HOME, as_json: bool = _JSON) -> None:
    """Make this machine available to your other devices, from the agent's next start on."""
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


@app.command("status")
def status(home: Path = _HOME, as_json: bool = _JSON) -> None:
    """Show whether this machine is exposed, signed in, linked and connected."""
    from doorward.cli import status as view

    state = run(_with_machine(home, lambda machine: machine.status()), as_json=as_json)
    if as_json:
        answer_json(view.status_answer(state))
    else:
        print(view.status_text(state))


@app.command("page")
def page(home: Path = _HOME, as_json: bool = _JSON) -> None:
    """Print a one-time link to this machine's Connections page."""

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
        print(f"Open this link in a browser on this machine. It works once, for 5 minutes:\n{url}")


@app.command("unlink")
def unlink(home: Path = _HOME, as_json: bool = _JSON) -> None:
    """Stop exposing this machine; devices and settings are kept."""
    _undo(home, as_json, forget_sign_in=False)


@app.command("logout")
def logout(home: Path = _HOME, as_json: bool = _JSON) -> None:
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


@security_app.callback()
def security(
    context: typer.Context,
    mode: Mode | None = typer.Option(
        None,
        "--mode",
        help="account: every device of the account comes in. client-approval: each device waits for you.",
    ),
    home: Path = _HOME,
    as_json: bool = _JSON,
) -> None:
    """Show the rule for new devices, or set it with --mode."""
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
        await machine.set_security_mode(mode.value)
        return mode.value

    now = run(_with_machine(home, command), as_json=as_json)
    if as_json:
        answer_json({"mode": now})
    elif now == "client-approval":
        print("T3 Connect client approval is required.")
    else:
        print("T3 Connect uses account-wide access.")


@security_app.command("clients")
def clients(home: Path = _HOME, as_json: bool = _JSON) -> None:
    """List the devices that asked to come in, with their key phrases."""
    from doorward.cli import status as view

    found = run(_with_machine(home, lambda machine: machine.clients()), as_json=as_json)
    if as_json:
        answer_json({"clients": found})
    else:
        print(view.clients_text(found))


# A thumbprint is base64url and may start with `-`, which is no option.
_DASHES = {"ignore_unknown_options": True}
_THUMBPRINT = typer.Argument(
    ..., metavar="THUMBPRINT", help="The device's key, as `security clients` lists it."
)


@security_app.command("approve", context_settings=_DASHES)
def approve(
    thumbprint: str = _THUMBPRINT,
    administrator: bool = typer.Option(
        False, "--administrator", help="Let the device also decide about others, where --remote-admin is on."
    ),
    home: Path = _HOME,
    as_json: bool = _JSON,
) -> None:
    """Let a device in. Compare its key phrase with the one the device shows first."""
    role: Literal["administrator"] | None = "administrator" if administrator else None
    found = run(_with_machine(home, lambda machine: machine.approve(thumbprint, role=role)), as_json=as_json)
    _told(thumbprint, "Approved", found is not None, as_json, {"client": found})


@security_app.command("reject", context_settings=_DASHES)
def reject(thumbprint: str = _THUMBPRINT, home: Path = _HOME, as_json: bool = _JSON) -> None:
    """Refuse a device; it is told so."""
    found = run(_with_machine(home, lambda machine: machine.reject(thumbprint)), as_json=as_json)
    _told(thumbprint, "Rejected", found is not None, as_json, {"client": found})


@security_app.command("revoke", context_settings=_DASHES)
def revoke(thumbprint: str = _THUMBPRINT, home: Path = _HOME, as_json: bool = _JSON) -> None:
    """Take a device's access away at once; it may ask again."""
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
