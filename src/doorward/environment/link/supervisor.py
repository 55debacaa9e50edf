"""The connector of a linked machine: started, kept, replaced and stopped as the relay's configuration says.

A Doorward connector token starts the tunnel in this process. Any other token belongs to `cloudflared`, which runs as a
child. What cannot be started is a status, with the reason, never a silence.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

import msgspec

from doorward.environment.relay_client import CannotRun, RelayClient, RelayClientProcess
from doorward.t3_connect.messages import EndpointRuntime, EndpointRuntimeStatus
from doorward.t3_connect.wire import unset_if_none
from doorward.tunnel import ConnectorToken, InvalidConnectorToken

log = logging.getLogger(__name__)


class ConnectorState(Protocol):
    """`word` is one of connecting, connected, superseded, refused, stopped; `reason` stable, `message` for a person."""

    @property
    def word(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def message(self) -> str: ...


class RunningConnector(Protocol):
    """What the tunnel's Connector offers us."""

    @property
    def state(self) -> ConnectorState: ...

    async def run(self) -> None: ...

    def close_tag(self, tag: str) -> int: ...


#: Makes a connector for a token; None where this process carries no tunnel (a CLI beside no agent).
ConnectorFactory = Callable[[ConnectorToken], RunningConnector]
OpenOrigin = Callable[[], Awaitable[None]]


class ConnectorRefused(Exception):
    """The configuration cannot be carried out; nothing of it may be stored."""

    code = "connector_refused"

    def __init__(self, status: EndpointRuntimeStatus) -> None:
        super().__init__(str(status.reason))
        self.status = status


class Supervisor:
    """Every operation is serialised: the last configuration applied is the one that runs."""

    def __init__(self, relay_client: RelayClient) -> None:
        self._relay_client = relay_client
        self._factory: ConnectorFactory | None = None
        self._open_origin: OpenOrigin | None = None
        self._is_pinned = False
        self._lock = asyncio.Lock()
        self._config: EndpointRuntime | None = None
        self._connector: RunningConnector | None = None
        self._task: asyncio.Task[None] | None = None
        self._status = EndpointRuntimeStatus(status="disabled")

    def use(
        self, factory: ConnectorFactory, *, open_origin: OpenOrigin | None = None, is_pinned: bool = False
    ) -> None:
        """Say how connectors are made, before the first configuration is applied.

        `open_origin` starts listening where the link proof said that this machine is: cloudflared carries there. Where
        the edge's keys are pinned (`is_pinned`) it never does, for it would take any.
        """
        self._factory = factory
        self._open_origin = open_origin
        self._is_pinned = is_pinned

    @property
    def status(self) -> EndpointRuntimeStatus:
        if isinstance(self._connector, RelayClientProcess):
            return msgspec.structs.replace(self._status, pid=self._connector.pid)
        return self._status

    @property
    def config(self) -> EndpointRuntime | None:
        return self._config

    @property
    def connector(self) -> RunningConnector | None:
        """The connector that runs now; its own state says whether the tunnel is up."""
        return self._connector

    async def apply(self, config: EndpointRuntime | None) -> EndpointRuntimeStatus:
        """Bring about this configuration. The same one twice keeps the running connector."""
        async with self._lock:
            if (
                config is not None
                and config == self._config
                and self._task is not None
                and not self._task.done()
            ):
                return self.status
            await self._stop()
            self._config = config
            self._status = await self._start(config)
            return self._status

    async def close(self) -> None:
        """Stop the connector; the configuration stays what it was."""
        async with self._lock:
            await self._stop()

    async def _start(self, config: EndpointRuntime | None) -> EndpointRuntimeStatus:
        if self._factory is not None:
            # Also where none is wanted now: what a killed agent left would carry visitors for a link that ended.
            await self._relay_client.end_leftover()
        if config is None:
            return EndpointRuntimeStatus(status="disabled")
        if config.provider_kind != "cloudflare_tunnel":
            return EndpointRuntimeStatus(status="unsupported", provider_kind=config.provider_kind)
        if self._factory is None:
            return _failed(config, "This process carries no tunnel.")
        try:
            connector = await self._connector_for(config.connector_token, self._factory)
        except CannotRun as error:
            return _failed(config, str(error))
        except (ValueError, OSError) as error:
            return _failed(config, f"The tunnel cannot be opened: {error}")
        self._connector = connector
        self._task = asyncio.create_task(self._run(connector), name="connector")
        # A task that is cancelled before its first step never ends what it was made for.
        await asyncio.sleep(0)
        return EndpointRuntimeStatus(
            status="running",
            provider_kind=config.provider_kind,
            pid=connector.pid if isinstance(connector, RelayClientProcess) else os.getpid(),
            tunnel_id=unset_if_none(config.tunnel_id),
            tunnel_name=unset_if_none(config.tunnel_name),
        )

    async def _connector_for(self, token: str, factory: ConnectorFactory) -> RunningConnector:
        try:
            ours = ConnectorToken.decode(token)
        except InvalidConnectorToken:
            if self._is_pinned:
                raise CannotRun(
                    "The relay gave a tunnel of cloudflared, which checks no pinned key. Unset DOORWARD_EDGE_PINS if that"
                    " is meant."
                ) from None
            connector = await self._relay_client.start(token)
            try:
                if self._open_origin is not None:
                    await self._open_origin()
            except BaseException:
                await connector.stop()
                raise
            return connector
        return factory(ours)

    async def _run(self, connector: RunningConnector) -> None:
        try:
            await connector.run()
        except Exception:
            log.exception("the tunnel connector stopped unexpectedly")

    async def _stop(self) -> None:
        task, self._task = self._task, None
        connector, self._connector = self._connector, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        if isinstance(connector, RelayClientProcess):
            # A task that is cancelled before its first step never ran, and so never ended what it was made for.
            await connector.stop()


def _failed(config: EndpointRuntime, reason: str) -> EndpointRuntimeStatus:
    return EndpointRuntimeStatus(
        status="failed",
        provider_kind=config.provider_kind,
        reason=reason,
        tunnel_id=unset_if_none(config.tunnel_id),
        tunnel_name=unset_if_none(config.tunnel_name),
    )
