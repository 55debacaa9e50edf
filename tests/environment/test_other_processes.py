"""A running agent's socket hears what other programs of this machine do: through the agent, and past it."""

import asyncio
import json
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from doorward.environment import EnvironmentSettings
from doorward.environment.access import MACHINE
from doorward.environment.app import create_environment
from doorward.environment.approvals import Knock
from doorward.environment.local import open_machine
from doorward.environment.settings import Service
from doorward.outbound import Outbound
from doorward.store import DatabaseFailed
from doorward.t3_connect.scopes import ADMINISTRATIVE_SCOPES
from tests.environment.test_agent import HOUR, agent_at, until

pytestmark = pytest.mark.anyio

KEY = "a-devices-thumbprint"


async def next_value(socket: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(60):
        chunk = json.loads(await socket.recv())
    await socket.send('{"_tag":"Ack","requestId":"0"}')
    [value] = chunk["values"]
    return dict(value)


@asynccontextmanager
async def beside(home: Path) -> Any:
    """The same data folder, opened by a program that does not ask the agent."""
    outbound = Outbound()
    environment = await create_environment(EnvironmentSettings(home=home, label="Box"), outbound=outbound)
    try:
        yield environment
    finally:
        await environment.stop()
        await outbound.close()


async def test_what_cannot_be_looked_up_after_news_ends_and_what_was_missed_is_made_up_for(
    tmp_path: Path,
) -> None:
    notes = Service(name="notes", port=9000)
    async with agent_at(tmp_path, services=(notes,)) as agent, beside(tmp_path) as other:
        environment = agent.environment
        issued = await environment.sessions.issue(
            subject="owner", scopes=ADMINISTRATIVE_SCOPES, label=None, lifetime_ms=HOUR, actor=MACHINE
        )
        ticket, _ = environment.sessions.ticket(issued.session)
        async with connect(f"ws://127.0.0.1:{environment.port}/ws?wsTicket={ticket}") as socket:
            read, is_unreadable = environment.database.read, asyncio.Event()

            async def unreadable(_: object) -> None:
                is_unreadable.set()
                raise DatabaseFailed("the disk is gone")

            environment.database.read = unreadable  # type: ignore[method-assign, assignment]
            await other.services.remove(MACHINE, "notes")
            async with asyncio.timeout(60):
                with pytest.raises(ConnectionClosed):
                    while True:
                        await socket.recv()
                await is_unreadable.wait()
            environment.database.read = read  # type: ignore[method-assign]
        await until(lambda: environment.services.published() == ())


async def test_a_socket_hears_what_is_decided_through_the_agent_and_past_it(tmp_path: Path) -> None:
    async with agent_at(tmp_path) as agent:
        environment = agent.environment
        issued = await environment.sessions.issue(
            subject="owner", scopes=ADMINISTRATIVE_SCOPES, label=None, lifetime_ms=HOUR, actor=MACHINE
        )
        ticket, _ = environment.sessions.ticket(issued.session)
        async with connect(f"ws://127.0.0.1:{environment.port}/ws?wsTicket={ticket}") as socket:
            await socket.send(
                '{"_tag":"Request","id":"0","tag":"subscribeAuthAccess","payload":{},"headers":[]}'
            )
            assert (await next_value(socket))["type"] == "snapshot"
            await environment.approvals.decide(Knock(thumbprint=KEY, cloud_user_id="user_owner"))
            assert (await next_value(socket))["payload"]["status"] == "pending"

            async with open_machine(tmp_path) as machine:
                await machine.approve(KEY)
            told = await next_value(socket)
            assert (told["type"], told["payload"]["status"]) == ("connectClientUpserted", "approved")

            async with beside(tmp_path) as other:
                await other.approvals.reject(MACHINE, KEY)
                while (told := await next_value(socket))["type"] != "snapshot":
                    pass
                [client] = told["payload"]["connectClients"]
                assert client["status"] == "rejected"

                # And one that ends the socket's own session ends the socket.
                await other.sessions.end(issued.session.id, by=MACHINE)
                async with asyncio.timeout(60):
                    with pytest.raises(ConnectionClosed):
                        while True:
                            await socket.recv()
