"""An installation that a page asked for: it outlives the request, and every open page sees how far it is."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import get_args

from doorward.environment.keys import SecretStoreFailed
from doorward.environment.relay_client.finding import RelayClient
from doorward.environment.relay_client.installing import InstallFailed, Progress, Stage

STAGES: tuple[Stage, ...] = get_args(Stage)


class PageInstallation:
    """`stage` while one is under way, `failure` (a sentence) after one that failed. `announce` wakes the pages."""

    def __init__(self, client: RelayClient, announce: Callable[[], Awaitable[None]]) -> None:
        self._client = client
        self._announce = announce
        self._task: asyncio.Task[None] | None = None
        self.stage: Stage | None = None
        self.failure: str | None = None

    @property
    def is_running(self) -> bool:
        return self.stage is not None

    def start(self, then: Callable[[], Awaitable[None]]) -> None:
        """Begin; `then` follows an installation that succeeded. One at a time: the caller looks first."""
        self.stage, self.failure = STAGES[0], None
        self._task = asyncio.create_task(self._run(then), name="install the relay client")

    async def close(self) -> None:
        """Stop what is under way; nothing of it is left."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self, then: Callable[[], Awaitable[None]]) -> None:
        changed = asyncio.Event()
        changed.set()

        def report(progress: Progress) -> None:
            if progress.stage != self.stage:
                self.stage = progress.stage
                changed.set()

        async def tell() -> None:
            while True:
                await changed.wait()
                changed.clear()
                await self._announce()

        telling = asyncio.create_task(tell())
        try:
            await self._client.install(report)
            await then()
        except (InstallFailed, SecretStoreFailed) as error:
            self.failure = str(error)
        finally:
            self.stage = None
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
        await self._announce()
