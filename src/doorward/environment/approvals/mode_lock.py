"""Who may read the security mode and act on it, and who may change it, without either coming between the other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class ModeLock:
    """Any number of mints at once, or one change. A change that waits lets no further mint begin, so it is never put off.

    Mints must not wait for one another: what several of them write at once costs one COMMIT together.
    """

    def __init__(self) -> None:
        self._entrance = asyncio.Lock()
        self._mints = 0
        self._is_free = asyncio.Event()
        self._is_free.set()

    @asynccontextmanager
    async def minting(self) -> AsyncIterator[None]:
        """The mode stays what it is until the block ends."""
        async with self._entrance:
            self._mints += 1
            self._is_free.clear()
        try:
            yield
        finally:
            self._mints -= 1
            if self._mints == 0:
                self._is_free.set()

    @asynccontextmanager
    async def changing(self) -> AsyncIterator[None]:
        """Every mint under an earlier mode has ended, and none begins, until the block ends."""
        async with self._entrance:
            await self._is_free.wait()
            yield
