"""A linked machine and a device that uses it, in whatever network this process finds itself: `python -m tests.faults.kernel_link FOLDER`.

Prints one JSON object: how many small requests succeeded beside a download, the slowest of them, and the download's speed.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

from tests.faults.visitor import Traffic, approved_visitor
from tests.faults.worlds import FaultyProcesses, linked

SIZE = 3_000_000


async def main(folder: Path) -> None:
    async with linked(FaultyProcesses(folder)) as world:
        visitor = await approved_visitor(world)
        async with Traffic(visitor) as traffic:
            began = time.monotonic()
            async with visitor.stream("GET", f"/download?bytes={SIZE}") as response:
                size = sum([len(block) async for block in response.aiter_raw()])
            took = time.monotonic() - began
            assert size == SIZE, size
            await traffic.flows("beside it", since=began, within=60)
        async with await visitor.websocket("/echo") as socket:
            await socket.send(b"x" * 100_000)
            assert len(await asyncio.wait_for(socket.recv(), 120)) == 100_000
        slowest = max(seen.ended - seen.began for seen in traffic.seen)
        print()
        print(json.dumps({"loss": traffic.loss(), "slowest": slowest, "speed": SIZE / took}))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
