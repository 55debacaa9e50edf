"""`doorward connect …`: the account of this home folder and its link.

login      login
connect    link, status, page, unlink, logout
security   who may come in
relay_client  relay-client
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from doorward.cli.availability import ConnectGroup, where_configured
from doorward.cli.login import authorize, login
from doorward.cli.machine import with_machine
from doorward.cli.options import home_option, json_option
from doorward.cli.output import answer_json, event_json, fail, run
from doorward.cli.relay_client import ready_to_link, relay_client
from doorward.cli.security import security

if TYPE_CHECKING:
    from doorward.environment.local import LocalMachine


@click.group("connect", cls=ConnectGroup)
def connect() -> None:
    """Sign in, link this machine, decide who may come in."""


connect.add_command(login)
connect.add_command(security)
connect.add_command(relay_client)


@connect.command("link")
@click.option(
    "--yes", "is_agreed", is_flag=True, help="Install cloudflared without asking, where the relay needs it."
)
@home_option
@json_option
def link(is_agreed: bool, home: Path | None, as_json: bool) -> None:
    """Expose this machine from the agent's next start on."""
    running = run(where_configured(_link(home, as_json, is_agreed)), as_json=as_json)
    if running is None:
        return
    if as_json:
        event_json({"desired": True, "agentRunning": running})
    elif running:
        print("The running agent links this machine now. `doorward connect status` shows the outcome.")
    else:
        print("This T3 environment will be available through T3 Connect the next time T3 starts.")
        print("Here that is the next `doorward expose`.")


async def _link(home: Path | None, as_json: bool, is_agreed: bool) -> bool | None:
    """Whether an agent runs that links now; None when the person did not want what linking takes."""
    from doorward.cli.session import machine_of, signed_in
    from doorward.environment.relay_client import RelayClient, RelayClientNeed

    async with signed_in(home) as session:
        need, relay_url = RelayClientNeed(session.home, session.outbound), session.configuration.relay_url
        # Linking asks no relay; where nobody is signed in yet, servers are about to be asked anyway.
        is_known = session.tokens.is_stored()
        is_needed = need.remembered(relay_url) if is_known else await need.learn(relay_url)
        if not await ready_to_link(
            RelayClient(session.home / "tools", session.outbound),
            is_needed=is_needed,
            agree=lambda question: is_agreed or _agrees(question, as_json),
            say=lambda text: None if as_json else print(text, flush=True),
        ):
            return None
        if not await session.is_signed_in():
            session.store(await authorize(session, as_json=as_json))
        async with machine_of(session.home, session.configuration) as machine:
            await machine.link()
            return await machine.is_agent_running()


def _agrees(question: str, as_json: bool) -> bool:
    """No, unless the person says yes; a program that cannot be asked is told what to say."""
    answer: bool | None = None
    if not as_json:
        try:
            answer = click.confirm(question)
        except click.Abort:
            print()
    if answer is None:
        fail(
            "This relay needs cloudflared, which is not installed. Run the command again with --yes, or"
            " `doorward connect relay-client --install` first.",
            code="relay_client_missing",
            as_json=as_json,
        )
    return answer


@connect.command("status")
@click.option("--details", is_flag=True, help="With --json: agent, tunnel and services as well.")
@home_option
@json_option
def status(details: bool, home: Path | None, as_json: bool) -> None:
    """Show how this machine is linked and exposed."""
    from doorward.cli import status as view

    state = run(with_machine(home, lambda machine: machine.status()), as_json=as_json)
    if as_json:
        answer_json(view.status_answer(state, with_details=details))
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

    url = run(with_machine(home, command), as_json=as_json)
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
        with_machine(home, lambda machine: machine.unlink(forget_sign_in=forget_sign_in)), as_json=as_json
    )
    if forget_sign_in:
        from doorward.client.configuration import default_home
        from doorward.client.environment_tokens import forget_sessions

        forget_sessions(home or default_home())
    if as_json:
        answer_json(report)
        return
    said, warned = view.unlink_texts(report, forget_sign_in=forget_sign_in)
    for text in said:
        print(text)
    for text in warned:
        print(text, file=sys.stderr)
