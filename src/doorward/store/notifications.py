"""Fan-out of committed changes to asyncio subscribers, from whichever thread learnt of them."""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Sequence
from types import TracebackType

# A subscriber this far behind is told to reload instead of being fed a backlog without end.
MAX_BACKLOG = 1_000

#: "Something may have been missed, reload."
RELOAD = ""


class Hub:
    """The subscribers of one open database. `publish` and `reload_all` may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subscribers: dict[str, list[ChannelSubscription]] = {}
        self._closed = False

    def subscribe(self, channel: str) -> "ChannelSubscription":
        return ChannelSubscription(self, channel)

    def publish(self, channel: str, *payloads: str) -> None:
        """In this order; what is told at once wakes a subscriber once."""
        with self._lock:
            for subscriber in self._subscribers.get(channel, ()):
                subscriber.deliver(*payloads)

    def reload_all(self) -> None:
        with self._lock:
            for subscribers in self._subscribers.values():
                for subscriber in subscribers:
                    subscriber.deliver(RELOAD)

    def close(self) -> None:
        """End every subscriber's iteration, once it has read what was delivered before."""
        with self._lock:
            self._closed = True
            for subscribers in self._subscribers.values():
                for subscriber in subscribers:
                    subscriber.deliver(None)
            self._subscribers.clear()

    def add(self, subscriber: "ChannelSubscription") -> None:
        with self._lock:
            if self._closed:
                subscriber.deliver(None)
            else:
                self._subscribers.setdefault(subscriber.channel, []).append(subscriber)

    def remove(self, subscriber: "ChannelSubscription") -> None:
        with self._lock:
            remaining = [
                other for other in self._subscribers.get(subscriber.channel, ()) if other is not subscriber
            ]
            if remaining:
                self._subscribers[subscriber.channel] = remaining
            else:
                self._subscribers.pop(subscriber.channel, None)


class ChannelSubscription:
    """One subscriber: enter it, then iterate it. Belongs to the event loop it was entered in."""

    def __init__(self, hub: Hub, channel: str) -> None:
        self.channel = channel
        self._hub = hub
        self._backlog: deque[str | None] = deque()
        self._arrived = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __aenter__(self) -> AsyncIterator[str]:
        self._loop = asyncio.get_running_loop()
        self._hub.add(self)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._hub.remove(self)

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        while not self._backlog:
            self._arrived.clear()
            await self._arrived.wait()
        payload = self._backlog.popleft()
        if payload is None:
            self._backlog.append(None)  # ended for good: the next step ends too
            raise StopAsyncIteration
        return payload

    def deliver(self, *payloads: str | None) -> None:
        """From any thread; None ends the iteration."""
        assert self._loop is not None, "a subscription is added to its hub when it is entered"
        try:
            self._loop.call_soon_threadsafe(self._take, payloads)
        except RuntimeError:
            # The subscriber's loop is closed: nobody is left to read.
            return

    def _take(self, payloads: Sequence[str | None]) -> None:
        for payload in payloads:
            if payload is not None and len(self._backlog) >= MAX_BACKLOG:
                self._backlog.clear()
                self._backlog.append(RELOAD)
            else:
                self._backlog.append(payload)
        self._arrived.set()
