"""`doorward expose`: the agent on the owner's machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from doorward.cli.options import Number, home_option, json_option
from doorward.cli.output import event_json, fail, run

if TYPE_CHECKING:
    from doorward.cli.session import Session
    from doorward.environment.agent import Agent
    from doorward.environment.settings import HostHeader, Service


DEFAULT_PORT = 3773


class Exposed(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What `expose --json` prints once it runs."""

    connections: str
    services: list[dict[str, object]]


@click.command("expose")
@click.argument("port", type=Number(1, 65535), required=False)
@click.option("--name", help="First label of the service's public host name (default: this machine's name).")
@click.option(
    "--remote-admin",
    is_flag=True,
    help="Let devices approved as administrator decide about others from anywhere.",
)
@click.option(
    "--host-header",
    type=click.Choice(["public", "local"]),
    default="public",
    show_default=True,
    help="local: tell the service localhost:PORT, for programs that answer to nothing else.",
)
@click.option(
    "--install-service", is_flag=True, help="Keep the agent running with systemd instead of in this terminal."
)
@click.option("--remove", metavar="NAME", help="Instead: expose the service of this name no longer.")
@click.option(
    "--environment-port",
    type=Number(0, 65535),
    default=DEFAULT_PORT,
    show_default=True,
    help="Loopback port of this machine's own page.",
)
@home_option
@json_option
def expose(
    port: int | None,
    name: str | None,
    remote_admin: bool,
    host_header: HostHeader,
    install_service: bool,
    remove: str | None,
    environment_port: int,
    home: Path | None,
    as_json: bool,
) -> None:
    """Expose a local service to approved devices.

    PORT is where a local HTTP or WebSocket service listens. Runs until Ctrl-C.
    Without PORT the services exposed before are exposed again.
    """
    from doorward.cli.serving import use_fast_loop

    if remove is not None:
        if port is not None or name is not None or install_service:
            raise click.UsageError(
                "--remove takes a service's name, and nothing else is exposed or installed with it."
            )
        _remove(remove, home, as_json)
        return
    use_fast_loop()
    wanted = _service(port, name, host_header) if port is not None else None
    run(_expose(wanted, remote_admin, install_service, environment_port, home, as_json), as_json=as_json)


def _remove(name: str, home: Path | None, as_json: bool) -> None:
    from doorward.cli.machine import with_machine

    if run(with_machine(home, lambda machine: machine.remove_service(name)), as_json=as_json):
        _say(f"{name} is exposed no longer.", as_json)
    else:
        _say(f"No service named {name} is exposed here.", as_json)


def _service(port: int, name: str | None, host_header: HostHeader) -> Service:
    from doorward.environment.settings import Service

    try:
        return Service(
            name=name or default_name(socket.gethostname(), port), port=port, host_header=host_header
        )
    except ValueError as error:
        raise click.BadParameter(f"{name!r}: {error}.", param_hint="--name") from error


def default_name(machine: str, port: int) -> str:
    """What of the machine's name a host name may hold: it may be written in any script, and be longer."""
    label = "".join(c if c.isascii() and c.isalnum() else "-" for c in machine.lower())
    return label.strip("-")[:63].strip("-") or f"service-{port}"


async def _expose(
    wanted: Service | None,
    remote_admin: bool,
    install_service: bool,
    environment_port: int,
    home: Path | None,
    as_json: bool,
) -> None:
    from doorward.cli.session import machine_of, signed_in
    from doorward.client.errors import Unavailable

    _admin_listen()
    async with signed_in(home, logs_to_file=False) as session:
        pins = _pins(session)
        # A machine that is linked serves on while the accounts server is down.
        with contextlib.suppress(Unavailable):
            await session.account()
        async with machine_of(session.home, session.configuration) as machine:
            await machine.link()
            if wanted is not None:
                await machine.add_service(wanted)
            if not await machine.services():
                fail("Nothing to expose yet. Name a port: doorward expose PORT.", as_json=as_json)
            is_running = await machine.is_agent_running()
        if install_service:
            from doorward.cli.systemd import UNIT, install

            path = install(session.home, os.environ, options_of(remote_admin, environment_port))
            _say(f"The agent runs as {UNIT} ({path}). Its log: journalctl --user -u {UNIT}", as_json)
        elif is_running:
            _say(
                "The agent that runs for this data folder exposes it now. `doorward connect status` shows where.",
                as_json,
            )
        else:
            await _run_agent(session, remote_admin, environment_port, pins, as_json)


def _pins(session: Session) -> frozenset[str]:
    """The only keys the edge may have. Raises ConfigurationMissing: a pin that cannot be read must not be none."""
    from doorward.client.errors import ConfigurationMissing
    from doorward.tunnel import InvalidPins, read_pins

    try:
        return read_pins(session.configuration.edge_pins or "")
    except InvalidPins as error:
        raise ConfigurationMissing(
            f"The edge's pinned keys cannot be used: {error}. Correct DOORWARD_EDGE_PINS, or unset it to pin none."
        ) from error


def options_of(remote_admin: bool, environment_port: int) -> list[str]:
    """What the agent is told anew at each start, for nothing of it is stored."""
    port = [] if environment_port == DEFAULT_PORT else ["--environment-port", str(environment_port)]
    return [*(["--remote-admin"] if remote_admin else []), *port]


def _say(text: str, as_json: bool) -> None:
    if as_json:
        event_json({"message": text})
    else:
        print(text, flush=True)


def _admin(agent: Agent) -> AbstractAsyncContextManager[None]:
    """Metrics and health for the owner's own programs, where DOORWARD_ADMIN_LISTEN says."""
    listen = _admin_listen()
    if listen is None:
        return nullcontext()
    from doorward.server.machine_admin import machine_admin

    return machine_admin(listen, agent)


def _admin_listen() -> str | None:
    """Raises ConfigurationInvalid."""
    listen = os.environ.get("DOORWARD_ADMIN_LISTEN", "").strip()
    if not listen:
        return None
    from doorward.server.configuration import ConfigurationInvalid, admin_address

    try:
        admin_address(listen)
    except ConfigurationInvalid as error:
        raise ConfigurationInvalid(f"DOORWARD_ADMIN_LISTEN: {error}") from error
    return listen


async def _run_agent(
    session: Session, remote_admin: bool, environment_port: int, pins: frozenset[str], as_json: bool
) -> None:
    from doorward.environment.agent import running_agent
    from doorward.environment.settings import EnvironmentSettings
    from doorward.server.logs import write_logs_beside_answers
    from doorward.server.serve import stop_signal

    write_logs_beside_answers()
    settings = EnvironmentSettings(
        home=session.home,
        label=socket.gethostname(),
        port=environment_port,
        relay_url=session.configuration.relay_url,
        accounts_origin=session.configuration.accounts_origin,
        cli_client_id=session.configuration.cli_client_id,
        remote_admin=remote_admin,
        edge_pins=pins,
    )

    async def announce(agent: Agent) -> None:
        link = await agent.one_time_link()
        published = await agent.settled()
        if as_json:
            event_json(
                Exposed(
                    connections=link,
                    services=[{"name": s.name, "port": s.port, "url": s.origin or None} for s in published],
                )
            )
            return
        print(f"This machine's page (once, within half an hour): {link}")
        for service in published:
            where = (
                (f"{service.origin}/" if service.origin else "")
                or service.problem
                or agent.link_failure
                or "its address is not known yet; see `doorward connect status`"
            )
            print(f"{service.name} (port {service.port}): {where}")
        print("Ctrl-C stops exposing. Devices and settings are kept.", flush=True)

    stopped = stop_signal()
    async with running_agent(settings, ca_file=session.ca_file) as agent, _admin(agent):
        # Ctrl-C does not wait for a relay that does not answer.
        announcing = asyncio.create_task(announce(agent))
        stopping = asyncio.create_task(stopped.wait())
        await asyncio.wait({announcing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if announcing.done():
            announcing.result()
        else:
            announcing.cancel()
        await stopping
