"""A node that is killed between the commit and the answer: nothing is lost, and what was under way is sent again."""

from __future__ import annotations

import asyncio
import sys

import pytest

from doorward.identity import SCHEMA
from doorward.identity.webhooks.deliverer import LEASE_MS, Deliverer
from doorward.outbound import Outbound
from doorward.server.tls import LocalAuthority
from doorward.store import Sealer, open_database, system_clock
from tests.conftest import ClockForTests, DatabaseUrl
from tests.identity_webhooks.receiver import HOST, Receiver, answering, never


@pytest.mark.anyio
async def test_what_a_killed_node_had_committed_is_sent_by_the_next(
    database_url: DatabaseUrl, authority: LocalAuthority
) -> None:
    url = database_url(SCHEMA)
    async with Receiver(answer=never).running(authority) as receiver:
        node = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.identity_webhooks.node_program",
            url, str(authority.certificate_path), receiver.url, stdout=-1,
        )  # fmt: skip
        assert node.stdout is not None
        queued = {(await node.stdout.readline()).decode().strip() for _ in range(3)}
        under_way = {one.headers["svix-id"] for one in await receiver.wait_for(1)}
        node.kill()
        await node.wait()
        assert under_way <= queued

        receiver.answer = answering(204)
        database = await open_database(url, schemas=[SCHEMA])
        outbound = Outbound(ca_file=authority.certificate_path, private_hosts=[HOST])
        clock = ClockForTests(system_clock() + LEASE_MS)
        try:
            deliverer = Deliverer(database, Sealer(b"k" * 32), outbound, clock, instance_id="ins_1")
            assert await deliverer.work()
            assert not await deliverer.work()
        finally:
            await outbound.close()
            await database.close()
        # What the dead node sent may still arrive meanwhile; the living one's clock tells its requests apart.
        again = [one for one in receiver.received if one.headers["svix-timestamp"] == str(clock() // 1000)]
        assert sorted(one.headers["svix-id"] for one in again) == sorted(queued)
