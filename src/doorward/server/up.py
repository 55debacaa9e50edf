"""`doorward up`: everything in one process on this machine, with a demo service behind the door.

The edge owns the public port and chooses by `Host`. Whoever holds the one-time link printed here becomes the first
administrator, and this machine is linked to that account: holding the link proves being at this terminal.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from doorward.client.configuration import PublicConfiguration, save_configuration
from doorward.environment.agent import Agent, running_agent
from doorward.environment.settings import EnvironmentSettings, Service
from doorward.identity.mail import ConsoleMailer, DevelopmentInbox
from doorward.listening import ANYONE, bind, bind_unix, serving
from doorward.relay import RelaySettings
from doorward.server.banner import Banner, secret_key_of, variables_for
from doorward.server.demo import create_demo
from doorward.server.node import Node, NodePlan, running_node
from doorward.server.serve import stop_signal
from doorward.server.up_places import ZONE, Places, identity_settings, places_of
from doorward.store import Clock, system_clock

DEMO = "demo"


class UpOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`port` is the public port; with `tls` it is accounts', the next two are the relay's and the edge's."""

    home: Path
    tls: bool = False
    port: int = 8080
    environment_port: int = 3773
    database_url: str | None = None
    as_json: bool = False


class HomeUnusable(Exception):
    """The data folder cannot be used; the message says why and what to do."""


async def up(options: UpOptions) -> None:
    """Run until SIGINT or SIGTERM. Raises CannotListen, HomeUnusable or a StoreError with one clear sentence."""
    stopped = stop_signal()
    async with running_up(options) as banner:
        if options.as_json:
            print(msgspec.json.encode(banner).decode(), flush=True)
        else:
            print(banner.text(), flush=True)
        await stopped.wait()
        if not options.as_json:
            print("\nStopping. Run the same command again to find everything as it was.", flush=True)


@contextlib.asynccontextmanager
async def running_up(options: UpOptions, *, clock: Clock = system_clock) -> AsyncIterator[Banner]:
    """Start all parts; the block runs while they do."""
    places, server_folder = places_of(options.port, tls=options.tls), options.home / "server"
    _prepare(options.home, server_folder)
    async with contextlib.AsyncExitStack() as stack:
        # Sockets first: a taken port is told before anything is made.
        public = [
            stack.enter_context(contextlib.closing(bind("127.0.0.1", port, option="--port")))
            for port in places.ports
        ]
        machine = stack.enter_context(
            contextlib.closing(bind("127.0.0.1", options.environment_port, option="--environment-port"))
        )
        demo = stack.enter_context(contextlib.closing(bind("127.0.0.1", 0, option="")))
        control = stack.enter_context(contextlib.closing(bind_unix(options.home / "run" / "control.sock")))
        tls, ca_file = _authority(options, server_folder)

        public_configuration = PublicConfiguration(
            relay_url=places.relay, accounts_origin=places.accounts, ca_file=str(ca_file) if ca_file else None
        )
        save_configuration(options.home, public_configuration)
        node = await stack.enter_async_context(
            running_node(_plan(options, places, ca_file, clock), clock=clock)
        )
        assert node.identity is not None
        assert node.edge is not None
        assert node.control is not None
        await node.identity.secret_keys.accept("doorward up", secret_key_of(server_folder))
        await stack.enter_async_context(
            serving(node.control, control, trusted_proxies=ANYONE, with_websockets=False)
        )
        await node.edge.serve(public, ssl=tls)
        await stack.enter_async_context(serving(create_demo(), demo))
        agent = await stack.enter_async_context(
            running_agent(_environment(options, places, demo), listener=machine, ca_file=ca_file, clock=clock)
        )
        await stack.enter_async_context(_linking_to_the_first_administrator(node, agent))
        yield await _banner(options, places, node, agent, public_configuration, ca_file)


def _prepare(home: Path, server_folder: Path) -> None:
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        server_folder.mkdir(mode=0o700, exist_ok=True)
        probe = server_folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise HomeUnusable(
            f"The data folder {home} cannot be written ({error.strerror}). Choose another with --home or DOORWARD_HOME."
        ) from error
    if len(os.fsencode(home / "run" / "control.sock")) > 100:
        raise HomeUnusable(
            f"The data folder's path {home} is too long for a socket. Choose a shorter one with --home."
        )


def _authority(options: UpOptions, folder: Path) -> tuple[ssl.SSLContext | None, Path | None]:
    """The local certificate authority and a context with one certificate for every origin of `up --tls`."""
    if not options.tls:
        return None, None
    from doorward.server.tls import ensure_local_authority, server_context

    authority = ensure_local_authority(folder / "tls")
    certificate, key = authority.leaf(("127.0.0.1", "::1", "localhost", f"*.{ZONE}"))
    return server_context(certificate, key), authority.certificate_path


def _plan(options: UpOptions, places: Places, ca_file: Path | None, clock: Clock) -> NodePlan:
    folder = options.home / "server"
    control_socket = options.home / "run" / "control.sock"
    return NodePlan(
        roles=("identity", "relay", "edge"),
        database_url=options.database_url or f"sqlite:///{folder.absolute()}/doorward.sqlite",
        key_file=folder / "key-encryption.key",
        identity=identity_settings(places),
        relay=RelaySettings(
            origin=places.relay,
            zone=ZONE,
            endpoint_scheme="https" if options.tls else "http",
            endpoint_port=places.zone_port,
            edge_url=places.edge,
            accounts_issuer=places.accounts,
            jwks_url=f"{places.accounts}/.well-known/jwks.json",
        ),
        mailer=DevelopmentInbox(clock, None if options.as_json else ConsoleMailer()),
        ca_file=ca_file,
        control_upstreams={
            urlsplit(places.accounts).netloc: control_socket,
            urlsplit(places.relay).netloc: control_socket,
        },
    )


def _environment(options: UpOptions, places: Places, demo: socket.socket) -> EnvironmentSettings:
    return EnvironmentSettings(
        home=options.home,
        label=socket.gethostname(),
        port=options.environment_port,
        relay_url=places.relay,
        accounts_origin=places.accounts,
        services=(Service(name=DEMO, port=demo.getsockname()[1]),),
    )


@contextlib.asynccontextmanager
async def _linking_to_the_first_administrator(node: Node, agent: Agent) -> AsyncIterator[None]:
    """Link this machine when the one-time link is used; the account that used it was invited from this terminal."""
    assert node.identity is not None
    identity = node.identity

    async def watch() -> None:
        async with node.database.subscribe("identity.administrator_created") as created:
            async for user_id in created:
                if user_id:
                    await agent.link_with(await identity.issue_cli_grant(user_id))

    task = asyncio.create_task(watch())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _banner(
    options: UpOptions,
    places: Places,
    node: Node,
    agent: Agent,
    public: PublicConfiguration,
    ca_file: Path | None,
) -> Banner:
    assert node.identity is not None
    clerk, t3 = variables_for(public, secret_key=secret_key_of(options.home / "server"), ca_file=ca_file)
    return Banner(
        accounts=places.accounts,
        administrator=await node.identity.administrator_invitation(),
        service=f"{places.scheme}://{DEMO}.{places.zone}/",
        connections=await agent.one_time_link(),
        inbox=f"{places.accounts}/dev/inbox",
        console=f"{places.accounts}/admin",
        relay=places.relay,
        data=str(options.home),
        clerk=clerk,
        t3=t3,
    )
