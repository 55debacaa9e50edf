"""`doorward list`, `open` and `forward`: reaching machines as a device."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from doorward.cli.options import home_option, json_option
from doorward.cli.output import answer_json, plain, run

if TYPE_CHECKING:
    from doorward.client.relay import RelayClient
    from doorward.t3_connect.messages import EnvironmentEntry


@click.command("list")
@home_option
@json_option
def list_machines(home: Path | None, as_json: bool) -> None:
    """List your machines and services."""

    async def command() -> tuple[EnvironmentEntry, ...]:
        from doorward.cli.session import signed_in

        async with signed_in(home) as session:
            return await session.relay.machines()

    machines = run(command(), as_json=as_json)
    if as_json:
        answer_json({"machines": machines})
    elif not machines:
        print(
            "No machine is linked to this account yet.\nOn a machine of yours: doorward connect login, then doorward expose PORT."
        )
    else:
        print("\n".join(line for machine in machines for line in listed(machine)))


def listed(machine: EnvironmentEntry) -> list[str]:
    """A machine's line and those of its services. Its names are its own word."""
    from doorward.client.relay import services_of

    services = [f"  {plain(service.name):<20} {plain(service.url)}" for service in services_of(machine)]
    return [f"{plain(machine.label)}  {_state(machine)}  {plain(machine.environment_id)}", *services]


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
            return await _service_url(session.relay, name)

    url = run(command(), as_json=as_json)
    if as_json:
        answer_json({"url": url})
        return
    print(url)
    import webbrowser

    webbrowser.open(url)


@click.command("forward")
@click.argument("name")
@click.argument("local_port", type=click.IntRange(0, 65535), default=0)
@home_option
@json_option
def forward(name: str, local_port: int, home: Path | None, as_json: bool) -> None:
    """Serve a remote service on a local port.

    NAME is a service, or a machine that has one; LOCAL_PORT is on 127.0.0.1 (default: any free one).
    Runs until Ctrl-C.
    """
    run(_forward(name, local_port, home, as_json), as_json=as_json)


async def _forward(name: str, local_port: int, home: Path | None, as_json: bool) -> None:
    from doorward.cli.session import signed_in
    from doorward.client.connection import MachineConnection
    from doorward.client.device_key import load_device_key
    from doorward.client.forward import Forwarder
    from doorward.listening import bind
    from doorward.outbound import tls_context
    from doorward.server.serve import stop_signal

    async with signed_in(home) as session:
        machine, service = await session.relay.find(name)
        url = service.url if service else await _service_url(session.relay, name)
        listener = bind("127.0.0.1", local_port, option="another LOCAL_PORT")
        connection = MachineConnection(
            session.outbound,
            session.relay,
            machine,
            load_device_key(session.home, machine.environment_id),
            clock=session.clock,
            on_waiting=lambda phrase: _say_waiting(machine.label, phrase, as_json),
        )
        await connection.token()
        forwarder = Forwarder(connection, url, tls=lambda: tls_context(session.ca_file))
        stopped = stop_signal()
        await forwarder.serve(listener)
        local = f"http://127.0.0.1:{listener.getsockname()[1]}"
        if as_json:
            answer_json({"url": local, "service": url})
        else:
            print(f"{name} is at {local} until you press Ctrl-C.", flush=True)
        try:
            await stopped.wait()
        finally:
            await forwarder.close()


def _say_waiting(label: str, phrase: str, as_json: bool) -> None:
    if as_json:
        answer_json({"waiting": {"machine": label, "keyPhrase": phrase}})
        return
    print(f"Waiting for approval on {plain(label)}. This device's key phrase:\n\n    {phrase}\n")
    print(
        "The same six words stand on the machine's Connections page. This command goes on by itself.",
        flush=True,
    )


async def _service_url(relay: RelayClient, name: str) -> str:
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


def _state(machine: EnvironmentEntry) -> str:
    if machine.connected is True:
        return "connected"
    return "not connected" if machine.connected is False else "unknown"
