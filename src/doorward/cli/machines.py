"""`doorward list` and `open`: which machines there are, and their addresses."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from doorward.cli.options import home_option, json_option
from doorward.cli.output import answer_json, run

if TYPE_CHECKING:
    from doorward.client.discovery import Discovered
    from doorward.client.relay import RelayClient


@click.command("list")
@home_option
@json_option
def list_machines(home: Path | None, as_json: bool) -> None:
    """List your machines and services.

    Each is printed as soon as it is known whether it answers.
    """
    found = run(_list(home, as_json), as_json=as_json)
    if as_json:
        from doorward.cli.listing import list_answer

        answer_json(list_answer(found))
    elif not found:
        print(
            "No machine is linked to this account yet.\nOn a machine of yours: doorward connect login, then doorward expose PORT."
        )


async def _list(home: Path | None, as_json: bool) -> list[Discovered]:
    """Every machine in the relay's order; for people each is printed as soon as it is known."""
    from doorward.cli.listing import listed
    from doorward.cli.session import signed_in
    from doorward.client.device_key import load_device_key
    from doorward.client.discovery import discover

    async with signed_in(home) as session:
        machines = await session.relay.machines()
        found: dict[str, Discovered] = {}
        async for one in discover(session.relay, machines, partial(load_device_key, session.home)):
            found[one.machine.environment_id] = one
            if one.availability != "checking" and not as_json:
                print("\n".join(listed(one)), flush=True)
        return list(found.values())


@click.command("open")
@click.argument("name")
@home_option
@json_option
def open_service(name: str, home: Path | None, as_json: bool) -> None:
    """Open a service in the browser.

    NAME is a service, or a machine that has one.
    """

    async def command() -> str:
        from doorward.cli.session import signed_in

        async with signed_in(home) as session:
            return await service_url(session.relay, name)

    url = run(command(), as_json=as_json)
    if as_json:
        answer_json({"url": url})
        return
    print(url)
    import webbrowser

    webbrowser.open(url)


async def service_url(relay: RelayClient, name: str) -> str:
    """Where the service of this name is, or the only one of the machine of this name. Raises MachineUnknown."""
    from doorward.client.errors import MachineUnknown
    from doorward.client.relay import services_of

    machine, service = await relay.find(name)
    if service is None:
        names = ", ".join(service.name for service in services_of(machine))
        raise MachineUnknown(
            f"{machine.label} exposes "
            + (
                f"several services: {names}. Name one of them."
                if names
                else "no service yet. Run `doorward expose PORT` there."
            )
        )
    return service.url
