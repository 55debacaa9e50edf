"""Whether something listens at a service's local port, for as long as somebody looks at the page."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable

from doorward.environment.services.published import PublishedService

#: Seconds. A local port answers at once or not at all; a page asks every few seconds, several pages no more often.
PATIENCE = 0.5
KEEP = 4.0


class Liveness:
    """Opens and closes a connection; sends nothing, because nothing is known about what listens there."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._known: dict[tuple[str, int], tuple[float, bool]] = {}

    async def of(self, services: Iterable[PublishedService]) -> dict[str, bool]:
        """By name: is something listening where this service leads to?"""
        listed = list(services)
        answers = await asyncio.gather(*(self._is_listening(one.host, one.port) for one in listed))
        return {service.name: answer for service, answer in zip(listed, answers, strict=True)}

    async def _is_listening(self, host: str, port: int) -> bool:
        now = self._monotonic()
        asked_at, answer = self._known.get((host, port), (float("-inf"), False))
        if now - asked_at < KEEP:
            return answer
        answer = await _can_connect(host, port)
        self._known[host, port] = (now, answer)
        return answer


async def _can_connect(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(PATIENCE):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True
