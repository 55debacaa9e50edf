"""The connector of a linked machine: started, kept, replaced and stopped as the relay's configuration says.

A Doorward connector token starts the tunnel in this process. Any other token belongs to `cloudflared`, which
this version does not run: that is a status, with the reason, never a silence.
"""

import asyncio
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from doorward.t3_connect.messages import EndpointRuntime, EndpointRuntimeStatus
from doorward.t3_connect.wire import unset_if_none
from doorward.tunnel import ConnectorToken, InvalidConnectorToken

log = logging.getLogger(__name__)


class ConnectorState(Protocol):
    """`word` is one of connecting, connected, superseded, refused, stopped; `message` a sentence for a person."""

    @property
    def word(self) -> str: ...
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


class ConnectorRefused(Exception):
    """The configuration cannot be carried out; nothing of it may be stored."""

    code = "connector_refused"

    def __init__(self, status: EndpointRuntimeStatus) -> None:
        super().__init__(str(status.reason))
        self.status = status


class Supervisor:
    """Every operation is serialised: the last configuration applied is the one that runs."""

    def __init__(self) -> None:
        self._factory: ConnectorFactory | None = None
        self._lock = asyncio.Lock()
        self._config: EndpointRuntime | None = None
        self._connector: RunningConnector | None = None
        self._task: asyncio.Task[None] | None = None
        self._status = EndpointRuntimeStatus(status="disabled")

    def use(self, factory: ConnectorFactory) -> None:
        """Say how connectors are made, before the first configuration is applied."""
        self._factory = factory

    @property
    def status(self) -> EndpointRuntimeStatus:
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
                return self._status
            await self._stop()
            self._config = config
            self._status = self._start(config)
            return self._status

    async def close(self) -> None:
        """Stop the connector; the configuration stays what it was."""
        async with self._lock:
            await self._stop()

    def _start(self, config: EndpointRuntime | None) -> EndpointRuntimeStatus:
        if config is None:
            return EndpointRuntimeStatus(status="disabled")
        if config.provider_kind != "cloudflare_tunnel":
            return EndpointRuntimeStatus(status="unsupported", provider_kind=config.provider_kind)
        try:
            token = ConnectorToken.decode(config.connector_token)
        except InvalidConnectorToken:
            return _failed(
                config, "The relay client is not installed: this token is not for Doorward's tunnel."
            )
        if self._factory is None:
            return _failed(config, "This process carries no tunnel.")
        try:
            connector = self._factory(token)
        except (ValueError, OSError) as error:
            return _failed(config, f"The tunnel cannot be opened: {error}")
        self._connector = connector
        self._task = asyncio.create_task(self._run(connector), name="connector")
        return EndpointRuntimeStatus(
            status="running",
            provider_kind=config.provider_kind,
            pid=os.getpid(),
            tunnel_id=unset_if_none(config.tunnel_id),
            tunnel_name=unset_if_none(config.tunnel_name),
        )

    async def _run(self, connector: RunningConnector) -> None:
        try:
            await connector.run()
        except Exception:
            log.exception("the tunnel connector stopped unexpectedly")

    async def _stop(self) -> None:
        task, self._task, self._connector = self._task, None, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def _failed(config: EndpointRuntime, reason: str) -> EndpointRuntimeStatus:
    return EndpointRuntimeStatus(
        status="failed",
        provider_kind=config.provider_kind,
        reason=reason,
        tunnel_id=unset_if_none(config.tunnel_id),
        tunnel_name=unset_if_none(config.tunnel_name),
    )
