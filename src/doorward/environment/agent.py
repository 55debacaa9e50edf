"""The agent: one process that holds this machine's environment, both doors, the gate, the tunnel and the control socket.

    <home>/run/api.sock     WebSockets that the tunnel brings for the API host (its requests are answered in this process)
    <home>/run/agent.sock   the control socket of the CLI
    <host>:<port>           the machine's own door, on loopback

It may listen on nothing but loopback and needs no inbound connection: the connector dials out.
"""

import asyncio
import contextlib
import fcntl
import logging
import os
import socket
from collections.abc import AsyncIterator, Coroutine, Iterator
from pathlib import Path

from doorward.environment.app import create_environment
from doorward.environment.control import SOCKET_NAME, control_socket
from doorward.environment.environment import Environment
from doorward.environment.gate.origin import GateOrigin
from doorward.environment.gate.router import Gate
from doorward.environment.keys import SecretStoreFailed
from doorward.environment.keys.runtime_file import remove_runtime_file, write_runtime_file
from doorward.environment.link.cli_token import CliToken
from doorward.environment.link.supervisor import RunningConnector
from doorward.environment.services import PublishedService
from doorward.environment.settings import EnvironmentSettings
from doorward.http1 import UnixUpstream
from doorward.http1.asgi import AsgiUpstream
from doorward.listening import bind, bind_unix, serving
from doorward.outbound import Outbound
from doorward.store import Clock, system_clock
from doorward.t3_connect.messages import Origin
from doorward.tunnel import ConnectorToken
from doorward.tunnel.connector import Connector

__all__ = ["Agent", "AgentCannotStart", "run_agent", "running_agent"]

RESUME_SECONDS = 2.0

log = logging.getLogger(__name__)

#: A stream that waits for events would hold a stopping agent up.
GRACE_SECONDS = 1


class AgentCannotStart(Exception):
    """Something outside keeps the agent from starting; the message says what and what to do."""

    code = "agent_cannot_start"


class Agent:
    """A running agent, to the process that started it."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment

    async def link_with(self, grant: tuple[str, str, int]) -> None:
        """Link this machine to an account: (access token, refresh token, expiry in ms since the epoch)."""
        access_token, refresh_token, expires_at_ms = grant
        self.environment.tokens.store(
            CliToken(
                access_token=access_token, refresh_token=refresh_token, expires_at_epoch_ms=expires_at_ms
            )
        )
        self.environment.link.want()
        self.environment.reconciler.trigger()

    async def settled(self, *, seconds: float = 15.0) -> tuple[PublishedService, ...]:
        """The services and their public addresses, once the first attempt to link has ended or `seconds` are over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.environment.reconciler.has_tried.wait()
        return self.environment.services.published()

    @property
    def link_failure(self) -> str | None:
        """Why the last attempt to link failed."""
        return self.environment.reconciler.last_failure

    async def one_time_link(self) -> str:
        """The URL that opens the owner's page on this machine, once."""
        return await self.environment.pairing.one_time_link()


async def run_agent(settings: EnvironmentSettings, *, ca_file: Path | None = None) -> None:
    """Run until cancelled. Raises AgentCannotStart, CannotListen, StoreError, SecretStoreFailed."""
    async with running_agent(settings, ca_file=ca_file):
        await asyncio.Event().wait()


@contextlib.asynccontextmanager
async def running_agent(
    settings: EnvironmentSettings,
    *,
    listener: socket.socket | None = None,
    ca_file: Path | None = None,
    clock: Clock = system_clock,
) -> AsyncIterator[Agent]:
    """Start everything; the block runs while it does. `listener` is a bound loopback socket, else one is made.

    `ca_file`: authorities to trust besides the system's. Raises AgentCannotStart, CannotListen, StoreError, SecretStoreFailed.
    """
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(_only_agent(settings.run_dir))
        if listener is None:
            listener = stack.enter_context(
                contextlib.closing(bind(settings.host, settings.port, option="--environment-port"))
            )
        api_path = settings.run_dir / "api.sock"
        api_listener = stack.enter_context(contextlib.closing(bind_unix(api_path)))
        control_listener = stack.enter_context(contextlib.closing(bind_unix(settings.run_dir / SOCKET_NAME)))
        stack.callback(_remove, api_path, settings.run_dir / SOCKET_NAME)

        outbound = Outbound(ca_file=ca_file)
        stack.push_async_callback(outbound.close)
        environment = await create_environment(settings, outbound=outbound, clock=clock)
        stack.push_async_callback(environment.stop)
        environment.port = int(listener.getsockname()[1])
        environment.modes.initialise("client-approval")
        origin = await _gate_and_tunnel(stack, environment, api_path, ca_file)
        await environment.start()

        await stack.enter_async_context(serving(environment.tunnel_app, api_listener, grace=GRACE_SECONDS))
        await stack.enter_async_context(serving(environment.loopback_app, listener, grace=GRACE_SECONDS))
        await stack.enter_async_context(control_socket(environment, control_listener))
        write_runtime_file(settings.state_dir, host=settings.host, port=environment.port, now=clock())
        stack.callback(remove_runtime_file, settings.state_dir)

        local = Origin(local_http_host="127.0.0.1", local_http_port=origin.port)
        await stack.enter_async_context(_task(environment.reconciler.run(local), "reconcile"))
        await stack.enter_async_context(_task(_resume_tunnel(environment), "resume"))
        log.info("the agent of %s is running on port %d", environment.label, environment.port)
        stack.callback(environment.is_stopping.set)
        yield Agent(environment)


async def _gate_and_tunnel(
    stack: contextlib.AsyncExitStack, environment: Environment, api_path: Path, ca_file: Path | None
) -> GateOrigin:
    """The gate decides every request of the tunnel; the supervisor makes its connectors with it."""

    def close_tag(tag: str) -> int:
        connector = environment.supervisor.connector
        return origin.close_tag(tag) + (0 if connector is None else connector.close_tag(tag))

    api = AsgiUpstream(environment.tunnel_app)
    stack.push_async_callback(api.close)
    gate = Gate(environment, api=api, api_sockets=UnixUpstream(str(api_path)), close_tag=close_tag)
    origin = GateOrigin(gate, environment.settings.state_dir / "gate-port")
    stack.push_async_callback(origin.close)

    def connect(token: ConnectorToken) -> RunningConnector:
        return Connector(token, router=gate.route, ca_file=ca_file, pins=pins)

    pins = environment.settings.edge_pins
    environment.supervisor.use(connect, open_origin=origin.open, is_pinned=bool(pins))
    is_watching = asyncio.Event()
    await stack.enter_async_context(_task(gate.watch(is_watching), "gate streams"))
    await is_watching.wait()
    return origin


async def _resume_tunnel(environment: Environment) -> None:
    """Bring the tunnel of the last link up when the relay does not give a newer one within two seconds.

    A relay that is down must not keep an owner from a machine whose edge is up; one that is up supersedes the
    old tunnel anyway, so opening it first would only make visitors lose their connection once more.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(RESUME_SECONDS):
            await environment.reconciler.has_tried.wait()
    try:
        await environment.link.resume()
    except SecretStoreFailed:
        log.exception("the tunnel of the last link could not be resumed")


@contextlib.asynccontextmanager
async def _task(work: Coroutine[object, object, None], name: str) -> AsyncIterator[None]:
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@contextlib.contextmanager
def _only_agent(run_dir: Path) -> Iterator[None]:
    """Two agents on one data folder would fight for the tunnel; the lock dies with the process that holds it."""
    try:
        run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        run_dir.chmod(0o700)
        descriptor = os.open(run_dir / "agent.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise AgentCannotStart(
            f"The data folder {run_dir.parent} cannot be written ({error.strerror})."
            " Choose another with DOORWARD_HOME."
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise AgentCannotStart(
                f"An agent is running for {run_dir.parent} already. Stop it, or choose another folder with DOORWARD_HOME."
            ) from error
        yield
    finally:
        os.close(descriptor)


def _remove(*paths: Path) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
