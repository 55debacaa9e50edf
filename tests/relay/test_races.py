"""Everything at once: links, unlinks, releases and recoveries of the same machines, on both engines and both providers.

Whatever the order was, no request fails by another's doing, and what is left at the end is one story told by all rows,
by the provider and by the edge.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from doorward.relay import SCHEMA, RateLimits, TunnelAuthorized
from tests.conftest import ClockForTests, OpenTestDatabase
from tests.relay.foreign import Environment
from tests.relay.test_endpoints import connector
from tests.relay.world import World, open_world

pytestmark = pytest.mark.anyio

WORKERS = 4
STEPS = 6
UNLIMITED = RateLimits(link_challenges=9999, links=9999, token_exchanges=9999, connects=9999)


@pytest.fixture(params=("embedded", "cloudflare"))
async def busy(
    request: pytest.FixtureRequest,
    open_test_database: OpenTestDatabase,
    clock: ClockForTests,
    tmp_path: Path,
) -> AsyncIterator[World]:
    database = await open_test_database(SCHEMA)
    async with open_world(
        database, clock, tmp_path, provider=request.param, rate_limits=UNLIMITED
    ) as running:
        yield running


class Machine:
    """One machine of one account, and the last link's answer it heard."""

    def __init__(self, world: World, environment: Environment) -> None:
        self.world = world
        self.environment = environment
        self.linked: dict[str, Any] | None = None

    async def link(self, *, tunnel: bool = True) -> int:
        flags = {"managedTunnelsEnabled": tunnel}
        proof = self.environment.link_proof(await self.world.challenge(**flags))
        answer = await self.world.post_link(proof, **flags)
        if answer.status_code == 200:
            self.linked = answer.json()
        return answer.status_code

    async def link_without_tunnel(self) -> int:
        return await self.link(tunnel=False)

    async def unlink(self) -> int:
        answer = await self.world.unlink(environment_id=self.environment.environment_id)
        return answer.status_code

    async def release(self) -> int:
        path = f"/v1/client/environment-links/{self.environment.environment_id}/tunnel"
        answer = await self.world.http.delete(path, headers=self.world.bearer())
        return answer.status_code

    async def recover(self) -> int:
        return (await self._recover()).status_code

    async def register(self) -> int:
        runtime = (self.linked or {}).get("endpointRuntime") or {"tunnelId": "none"}
        return (await self._recover(tunnel_id=runtime["tunnelId"])).status_code

    async def _recover(self, **body: Any) -> httpx.Response:
        credential = (self.linked or {}).get("environmentCredential", "none")
        path = f"/v1/environments/{self.environment.environment_id}/tunnel"
        return await self.world.http.post(
            path + ("/recovery" if body else ""),
            json=self.environment.recovery_body(**body),
            headers={"authorization": f"Bearer {credential}"},
        )


# A link that loses its credential to the next one, or ends, may not recover any more: that is told as 401.
ALLOWED = {"recover": {200, 401}, "register": {200, 401}}


@pytest.mark.parametrize("seed", [1, 2])
async def test_whatever_the_order_all_rows_tell_one_story(busy: World, seed: int) -> None:
    machines = [Machine(busy, busy.environment), Machine(busy, busy.environment.twin("env-2"))]
    choose = random.Random(seed)
    steps = ["link"] * 3 + ["link_without_tunnel", "unlink", "unlink", "release", "recover", "register"]
    plans = [[(choose.choice(machines), choose.choice(steps)) for _ in range(STEPS)] for _ in range(WORKERS)]

    async def work(plan: list[tuple[Machine, str]]) -> list[tuple[str, int]]:
        return [(step, await getattr(machine, step)()) for machine, step in plan]

    told = [outcome for outcomes in await asyncio.gather(*map(work, plans)) for outcome in outcomes]
    assert [(step, status) for step, status in told if status not in ALLOWED.get(step, {200})] == []
    for machine in machines:
        await tells_one_story(busy, machine.environment.environment_id)
    for machine in machines:
        assert await machine.link() == 200
        assert machine.linked is not None
        await tells_one_story(busy, machine.environment.environment_id)
        if busy.relay.settings.provider == "embedded":
            token, signed = connector(machine.linked)
            answer = await busy.relay.authorize_tunnel(
                environment_id=token["environmentId"], generation=token["generation"], token=signed
            )
            assert isinstance(answer, TunnelAuthorized)


async def tells_one_story(world: World, environment_id: str) -> None:
    links = await world.rows(
        "SELECT managed_tunnels_enabled FROM relay_environment_links"
        " WHERE environment_id = ? AND revoked_at IS NULL",
        environment_id,
    )
    credentials = await world.rows(
        "SELECT 1 FROM relay_environment_credentials WHERE environment_id = ? AND revoked_at IS NULL",
        environment_id,
    )
    allocations = await world.rows(
        "SELECT hostname, tunnel_id, dns_record_id, ready_at, leased_until"
        " FROM relay_managed_endpoint_allocations WHERE environment_id = ?",
        environment_id,
    )
    assert len(credentials) == len(links)
    has_tunnel = bool(links) and bool(links[0][0])
    for hostname, tunnel_id, record_id, ready_at, leased_until in allocations:
        assert leased_until is None
        assert (ready_at is not None) == has_tunnel
        if world.relay.settings.provider == "cloudflare":
            fake = world.cloudflare
            named = [record for record in fake.records.values() if record["name"] == hostname]
            assert [record["id"] for record in named] == ([record_id] if has_tunnel else [])
            if not has_tunnel:
                assert (tunnel_id, record_id) == (None, None)
            else:
                # A released tunnel is gone at Cloudflare until its machine recovers.
                assert named[0]["content"] == f"{tunnel_id}.cfargotunnel.com"
    if world.relay.settings.provider == "cloudflare":
        recorded = {
            row[0] for row in await world.rows("SELECT tunnel_id FROM relay_managed_endpoint_allocations")
        }
        assert set(world.cloudflare.tunnels) <= recorded
