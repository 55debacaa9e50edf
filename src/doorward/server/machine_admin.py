"""The admin listener of a machine: `DOORWARD_ADMIN_LISTEN` at `doorward expose` names its address."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence

from doorward.environment.agent import Agent
from doorward.environment.environment import Environment
from doorward.server.admin import admin_listener, database_state
from doorward.server.metrics import Metric, machine_gauges
from doorward.store import Tx

_DEVICES = "SELECT status, count(*) FROM auth_connect_clients WHERE revoked_at IS NULL GROUP BY status"


class MachineSubject:
    """An agent: ready when its state can be read and its tunnel is open."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    async def state(self) -> str:
        state = await database_state(self._environment.database)
        return "tunnel_down" if state == "ready" and not self._is_connected else state

    async def open_now(self) -> Sequence[Metric]:
        def count(tx: Tx) -> dict[str, int]:
            return {str(status): int(number) for status, number in tx.fetch_all(_DEVICES)}

        devices = await self._environment.database.read(count)
        return list(machine_gauges(devices, is_connected=self._is_connected))

    @property
    def _is_connected(self) -> bool:
        connector = self._environment.supervisor.connector
        return connector is not None and connector.state.word == "connected"


@contextlib.asynccontextmanager
async def machine_admin(listen: str, agent: Agent) -> AsyncIterator[None]:
    """Metrics and health of the agent at `listen`, while the block runs. Raises ConfigurationInvalid, CannotListen."""
    async with admin_listener(listen, ("machine",)) as admin:
        admin.runs(MachineSubject(agent.environment))
        yield
