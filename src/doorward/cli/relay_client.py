"""`doorward connect relay-client`: cloudflared, which only a relay with Cloudflare's tunnels needs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from doorward.cli.options import home_option, json_option
from doorward.cli.output import answer_json, run

if TYPE_CHECKING:
    from doorward.environment.relay_client import Progress, RelayClient, RelayClientStatus

#: T3's words for what an installation is at.
STAGES = {
    "checking": "Checking existing installation",
    "waiting_for_lock": "Waiting for installation lock",
    "downloading": "Downloading",
    "verifying": "Verifying download",
    "installing": "Installing",
    "validating": "Validating executable",
    "activating": "Activating installation",
}


@click.command("relay-client")
@click.option("--install", is_flag=True, help="Download and install the pinned release.")
@home_option
@json_option
def relay_client(install: bool, home: Path | None, as_json: bool) -> None:
    """Show or install cloudflared. A relay with Cloudflare's tunnels needs it."""
    status = run(_relay_client(home, install=install, is_quiet=as_json), as_json=as_json)
    if as_json:
        answer_json(status)
    else:
        print(text_of(status))


async def _relay_client(home: Path | None, *, install: bool, is_quiet: bool) -> RelayClientStatus:
    from doorward.client.configuration import default_home
    from doorward.environment.relay_client import RelayClient
    from doorward.outbound import Outbound

    outbound = Outbound()
    try:
        client = RelayClient((home or default_home()) / "tools", outbound)
        if not install:
            return client.status()
        say: Callable[[str], None] = (lambda line: None) if is_quiet else partial(print, flush=True)
        return await client.install(lambda progress: _say_stage(progress, say))
    finally:
        await outbound.close()


async def ready_to_link(
    client: RelayClient, *, is_needed: bool, agree: Callable[[str], bool], say: Callable[[str], None]
) -> bool:
    """Whether linking may go on: cloudflared is there, not needed, or put in place now. Raises InstallFailed.

    `agree` asks the person, or answers for them.
    """
    from doorward.environment.relay_client import Available, Missing

    status = client.status()
    if not is_needed:
        return True
    if isinstance(status, Available):
        say(text_of(status))
        return True
    if isinstance(status, Missing) and not agree(
        f"The T3 relay client is required for T3 Connect. Download and install version {status.version}?"
    ):
        say("T3 Connect setup cancelled. The relay client was not installed.")
        return False
    installed = await client.install(lambda progress: _say_stage(progress, say))
    say(text_of(installed))
    return True


def _say_stage(progress: Progress, say: Callable[[str], None]) -> None:
    """A line for each stage; of a download's pieces the first alone."""
    if not progress.received:
        say(f"Relay client: {STAGES[progress.stage]}...")


def text_of(status: RelayClientStatus) -> str:
    from doorward.environment.relay_client import Available, Missing

    match status:
        case Available():
            return f"Using relay client {status.version} from {status.executable_path}."
        case Missing():
            return (
                "The relay client is not installed. Doorward's own relay needs none; for a relay with Cloudflare's tunnels:\n"
                f"`doorward connect relay-client --install` downloads cloudflared {status.version}."
            )
        case _:
            return (
                f"There is no relay client to install on {status.platform}-{status.arch}. Install cloudflared yourself and"
                " name it with T3CODE_CLOUDFLARED_PATH."
            )
