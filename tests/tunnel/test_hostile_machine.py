"""A machine that has proved itself and then talks nonsense: it loses its tunnel, nobody else loses anything."""

import asyncio
import contextlib
import random
from typing import Any

import msgspec
import pytest

from doorward.http1 import Answer, Peer, RequestHead
from doorward.tunnel import HostOwner, TunnelGrant, TunnelHello, frames
from doorward.tunnel.frames import pack
from tests.http1.wire import client
from tests.tunnel.carriers import Registry, until
from tests.tunnel.raw_machine import raw_machine

pytestmark = pytest.mark.anyio

SEQUENCES = 60
HEADS: list[list[Any]] = [
    [200, b"OK", [], b"", -1],
    [200, b"OK", [(b"content-length", b"3")], b"", 3],
    [204, b"", [], b"", 0],
    [103, b"", [], b"", 0],
    [101, b"", [], b"websocket", -1],
    [(b"x", b"y")],
    ["moved", "", 5, False, 7, []],
    ["stopping", "", 0, True],
]


class Neighbours(Registry):
    """Two environments of two accounts; `env-1` has `hostnames[0]`."""

    async def authorize(self, hello: TunnelHello) -> TunnelGrant:
        grant = await super().authorize(hello)
        assert isinstance(grant, TunnelGrant)
        name = self.hostnames[0 if hello.environment_id == "env-1" else 1]
        return msgspec.structs.replace(grant, hostnames=(name,), account=hello.environment_id)

    async def resolve_host(self, host: str) -> HostOwner | None:
        return HostOwner("env-1" if host == self.hostnames[0] else "env-2", "account")


def nonsense(chance: random.Random) -> bytes:
    frames_said = []
    for _ in range(chance.randint(1, 25)):
        payload = chance.choice(
            [
                msgspec.msgpack.encode(chance.choice(HEADS)),
                chance.randbytes(chance.randint(0, 12)),
                bytes(chance.randint(0, 70_000)),
                chance.randbytes(4),
            ]
        )
        frames_said.append(
            pack(chance.randint(1, 14), chance.choice([0, 0, 0, 2, 1]), 2 * chance.randint(0, 4), payload)
        )
    return b"".join(frames_said)


async def test_nonsense_costs_a_machine_its_tunnel_and_its_neighbours_nothing() -> None:
    loop, complaints = asyncio.get_running_loop(), []
    loop.set_exception_handler(lambda _, context: complaints.append(context))

    def answer(head: RequestHead, peer: Peer) -> Answer:
        return Answer(200, [], b"ok")

    async with Neighbours(("app.localhost", "neighbour.localhost")) as registry:
        edge = await registry.start_edge(hold_seconds=0.05)
        neighbour = registry.token(environment_id="env-2", hostnames=["neighbour.localhost"])
        async with (
            registry.connector(router=answer, token=neighbour),
            client(registry.port) as visitor,
        ):
            for seed in range(SEQUENCES):
                chance = random.Random(seed)
                async with raw_machine(registry) as machine, client(registry.port) as victim:
                    for _ in range(2):
                        await victim.get()
                    await machine.frame(frames.OPEN)
                    wire = nonsense(chance)
                    # The edge may have heard enough before it has heard all of it.
                    with contextlib.suppress(ConnectionError):
                        while wire:
                            cut = chance.randint(1, 5000)
                            await machine.say(wire[:cut])
                            wire = wire[cut:]
                    await visitor.get(host="neighbour.localhost")
                    assert (await visitor.head())[0] == 200, seed
                    assert await visitor.body(2) == b"ok"
            await until(lambda: len(edge.links) == 1)
            assert edge.is_connected("env-2")
            assert edge.stats().streams == 0
            assert edge.budget.used == 0
    assert not complaints
