"""`doorward list`, `open` and `forward`: reaching machines as a device."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from doorward.cli.output import answer_json, run

if TYPE_CHECKING:
    from doorward.client.relay import RelayClient
    from doorward.t3_connect.messages import EnvironmentEntry

_HOME = typer.Option(
    None, "--base-dir", "--home", help="Data folder (default: DOORWARD_HOME, or the user's data folder)."
)
_JSON = typer.Option(False, "--json", help="Answer in JSON.")


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command("list")(list_machines)
    app.command("open")(open_service)
    app.command("forward")(forward)


def list_machines(home: Path = _HOME, as_json: bool = _JSON) -> None:
    """List the machines and services linked to your account."""

    async def command() -> tuple[EnvironmentEntry, ...]:
        from doorward.cli.session import signed_in

        async with signed_in(home) as session:
            return await session.relay.machines()

    from doorward.client.relay import services_of

    machines = run(command(), as_json=as_json)
    if as_json:
        answer_json({"machines": machines})
    elif not machines:
        print(
            "No machine is linked to this account yet.\nOn a machine of yours: doorward connect login, then doorward expose PORT."
        )
    else:
        for machine in machines:
            print(f"{machine.label}  {_state(machine)}  {machine.environment_id}")
            for service in services_of(machine):
                print(f"  {service.name:<20} {service.url}")


def open_service(
    name: str = typer.Argument(..., help="Name of a service, or of a machine that has one."),
    home: Path = _HOME,
    as_json: bool = _JSON,
) -> None:
    """Open a service in the browser."""

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


def forward(
    name: str = typer.Argument(..., help="Name of a service, or of a machine that has one."),
    local_port: int = typer.Argument(0, min=0, max=65535, help="Port on 127.0.0.1 (default: any free one)."),
    home: Path = _HOME,
    as_json: bool = _JSON,
) -> None:
    """Serve a remote service on a local port until Ctrl-C."""
    run(_forward(name, local_port, home, as_json), as_json=as_json)


async def _forward(name: str, local_port: int, home: Path | None, as_json: bool) -> None:
    from doorward.cli.session import signed_in
    from doorward.client.connection import MachineConnection
    from doorward.client.device_key import load_device_key
    from doorward.client.forward import Forwarder
    from doorward.outbound import tls_context
    from doorward.server.listening import bind
    from doorward.server.serve import until_stopped

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
        await forwarder.serve(listener)
        local = f"http://127.0.0.1:{listener.getsockname()[1]}"
        if as_json:
            answer_json({"url": local, "service": url})
        else:
            print(f"{name} is at {local} until you press Ctrl-C.", flush=True)
        try:
            await until_stopped()
        finally:
            await forwarder.close()


def _say_waiting(label: str, phrase: str, as_json: bool) -> None:
    if as_json:
        answer_json({"waiting": {"machine": label, "keyPhrase": phrase}})
        return
    print(f"Waiting for approval on {label}. This device's key phrase:\n\n    {phrase}\n")
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
