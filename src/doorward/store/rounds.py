"""A background job that works whenever there may be something to do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

from doorward.store.database import Database


class Rounds:
    """Calls `work` at once while it finds something, else when `channel` tells of more, and every `look_again_s` seconds.

    The clock is for what has no event: work that another node took and did not end. `work` says whether it found
    something, and raises nothing that should not end the job.
    """

    def __init__(
        self,
        database: Database,
        channel: str,
        work: Callable[[], Awaitable[bool]],
        *,
        look_again_s: float,
        name: str,
    ) -> None:
        self._database = database
        self._channel = channel
        self._work = work
        self._look_again_s = look_again_s
        self._name = name
        self._due = asyncio.Event()
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin; returns once whatever is committed from now on is noticed."""
        self._stopping.clear()
        is_listening = asyncio.Event()
        self._task = asyncio.create_task(self._run(is_listening), name=self._name)
        await is_listening.wait()

    async def stop(self, *, grace_s: float | None = None) -> None:
        """Begin no round any more; the present one may end, within `grace_s` seconds where given."""
        self._stopping.set()
        self.wake()
        task, self._task = self._task, None
        if task is None:
            return
        _, late = await asyncio.wait([task], timeout=grace_s)
        if late:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    def wake(self) -> None:
        """There may be something to do now."""
        self._due.set()

    async def _run(self, is_listening: asyncio.Event) -> None:
        async with self._database.subscribe(self._channel) as told:
            is_listening.set()
            listening = asyncio.create_task(self._listen(told))
            try:
                while not self._stopping.is_set():
                    self._due.clear()
                    if not await self._work():
                        await self._until_due()
            finally:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)

    async def _listen(self, told: AsyncIterator[str]) -> None:
        async for _ in told:
            self.wake()

    async def _until_due(self) -> None:
        if not self._stopping.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._look_again_s):
                    await self._due.wait()
