"""A node that queues three events, says their ids, and sends until it is killed: DATABASE_URL CA_FILE RECEIVER_URL."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from doorward.identity import SCHEMA
from doorward.identity.webhooks import outbox
from doorward.identity.webhooks.deliverer import Deliverer
from doorward.identity.webhooks.service import Webhooks
from doorward.outbound import Outbound
from doorward.store import Sealer, open_database, system_clock
from tests.identity_webhooks.receiver import HOST


async def main(database_url: str, ca_file: str, receiver_url: str) -> None:
    database = await open_database(database_url, schemas=[SCHEMA])
    sealer = Sealer(b"k" * 32)
    service = Webhooks(database, system_clock, sealer=sealer, private_hosts=[HOST])
    await service.create(receiver_url, actor=None)
    for number in range(3):
        event_id = await database.write(
            lambda tx, role=f"role_{number}": outbox.enqueue(
                tx, "role.created", {"object": "role", "id": role}, now=system_clock()
            )
        )
        print(event_id, flush=True)
    outbound = Outbound(ca_file=Path(ca_file), private_hosts=[HOST])
    await Deliverer(database, sealer, outbound, system_clock, instance_id="ins_1").start()
    await asyncio.Event().wait()


asyncio.run(main(*sys.argv[1:]))
