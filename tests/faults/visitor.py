"""An approved device that uses the service, and what it sees of a fault."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Literal, NamedTuple

import httpx
from websockets.asyncio.client import ClientConnection, connect

from doorward.environment.local import open_machine
from doorward.t3_connect.messages import ConnectPending
from tests.e2e.storm import World, until
from tests.e2e.visiting import Device

Outcome = Literal["ok", "told", "broken", "late", "wrong"]
"""`told`: an answer that says what is the matter (502, 503, 504). `broken`: the connection was refused or ended.
`late`: nothing within the traffic's patience. `wrong`: any other answer."""

PATIENCE = 20.0
_STEADY = 5
_PAUSE = 0.05


class Visitor:
    """One approved device at the service, as a program that holds its key."""

    def __init__(self, device: Device, service: str) -> None:
        self.device = device
        self._origin = httpx.URL(service)
        self.service = service
        self.port = self._origin.port
        """Where to dial, whatever the service's address says."""

    async def headers(self, method: str, path: str) -> dict[str, str]:
        token = await self.device.connection.token()
        return {
            "host": self._origin.netloc.decode(),
            "doorward-authorization": f"DPoP {token}",
            "doorward-dpop": self.device.connection.proof(method, f"{self.service}{path.partition('?')[0]}"),
        }

    def client(self, *, timeout: float = 60.0) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=timeout)

    async def request(self, method: str, path: str, **options: object) -> httpx.Response:
        """On a connection of its own."""
        async with self.client() as client:
            return await client.request(method, path, headers=await self.headers(method, path), **options)  # type: ignore[arg-type]

    @asynccontextmanager
    async def stream(self, method: str, path: str, **options: object) -> AsyncIterator[httpx.Response]:
        async with (
            self.client() as client,
            client.stream(
                method,
                path,
                headers=await self.headers(method, path),
                **options,  # type: ignore[arg-type]
            ) as response,
        ):
            yield response

    async def websocket(self, path: str, **options: object) -> ClientConnection:
        headers = await self.headers("GET", path)
        del headers["host"]
        return await connect(
            f"ws://{self._origin.netloc.decode()}{path}",
            host="127.0.0.1",
            port=self.port,
            additional_headers=headers,
            max_size=64 * 1024 * 1024,
            open_timeout=60,
            **options,  # type: ignore[arg-type]
        )

    async def journal(self, exchange: str) -> dict[str, object]:
        """What the service says of an exchange's end, once it has ended there."""
        told = (await self.request("GET", f"/journal?id={exchange}")).raise_for_status()
        return told.json()  # type: ignore[no-any-return]


async def approved_visitor(world: World) -> Visitor:
    """A new device that the owner has let in."""
    device = await world.new_device()
    assert isinstance(await device.knock(), ConnectPending)
    async with open_machine(world.installation.machine_home) as machine:
        await machine.approve(device.thumbprint)
    await device.connection.token()
    visitor = Visitor(device, world.service)
    await until("the service answers", lambda: _answers(visitor), bool)
    return visitor


async def _answers(visitor: Visitor) -> bool:
    return (await visitor.request("GET", "/visitor")).status_code == 200


class Seen(NamedTuple):
    """One request, by the monotonic clock."""

    began: float
    ended: float
    outcome: Outcome


class Traffic:
    """Small requests, one after the other, for as long as the block lasts."""

    def __init__(self, visitor: Visitor, *, patience: float = PATIENCE) -> None:
        self._visitor = visitor
        self._patience = patience
        self.seen: list[Seen] = []
        self._news = asyncio.Condition()

    async def __aenter__(self) -> Traffic:
        self._task = asyncio.ensure_future(self._go_on())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._task.cancel()
        done = await asyncio.gather(self._task, return_exceptions=True)
        if error is None and not isinstance(done[0], asyncio.CancelledError):
            raise AssertionError("the traffic ended by itself") from done[0]

    async def flows(self, what: str, *, since: float, within: float) -> float:
        """Wait until requests succeed again, several in a row; the seconds from `since` to the first of them.

        Fails when that is more than `within`.
        """
        limit = within + self._patience
        try:
            async with asyncio.timeout(limit), self._news:
                await self._news.wait_for(lambda: self._is_steady(since))
        except TimeoutError:
            raise AssertionError(f"{what}: not within {limit} s; {self.seen[-20:]}") from None
        recovered = self._recovered_at(since) - since
        assert recovered <= within, f"{what}: after {recovered:.1f} s, {within} s were allowed"
        return recovered

    async def sees(self, outcome: Outcome, *, since: float) -> float:
        """Wait for a request that ends so; the seconds from `since` to its end."""
        async with asyncio.timeout(self._patience + 10), self._news:
            await self._news.wait_for(lambda: self.count(since)[outcome] > 0)
        return (
            min(seen.ended for seen in self.seen if seen.outcome == outcome and seen.ended >= since) - since
        )

    def count(self, since: float = 0.0) -> Counter[Outcome]:
        return Counter(seen.outcome for seen in self.seen if seen.ended >= since)

    def loss(self, since: float = 0.0) -> str:
        """What was lost, in words. Nobody may have been left waiting, and nobody answered wrongly."""
        count = self.count(since)
        assert not count["late"], [seen for seen in self.seen if seen.outcome == "late"]
        assert not count["wrong"], count
        parts = [f"{count[word]} {word}" for word in ("told", "broken") if count[word]]
        return f"{' and '.join(parts) or 'none'} of {sum(count.values())} requests"

    def _is_steady(self, since: float) -> bool:
        last = [seen for seen in self.seen if seen.ended >= since][-_STEADY:]
        return len(last) == _STEADY and all(seen.outcome == "ok" for seen in last)

    def _recovered_at(self, since: float) -> float:
        failures = [seen.ended for seen in self.seen if seen.ended >= since and seen.outcome != "ok"]
        after = max(failures, default=since)
        return min(seen.ended for seen in self.seen if seen.outcome == "ok" and seen.ended >= after)

    async def _go_on(self) -> None:
        async with self._visitor.client(timeout=self._patience) as client:
            while True:
                began = time.monotonic()
                outcome = await self._one(client)
                async with self._news:
                    self.seen.append(Seen(began, time.monotonic(), outcome))
                    self._news.notify_all()
                await asyncio.sleep(_PAUSE)

    async def _one(self, client: httpx.AsyncClient) -> Outcome:
        try:
            answer = await client.get("/visitor", headers=await self._visitor.headers("GET", "/visitor"))
        except httpx.TimeoutException:
            return "late"
        except httpx.TransportError:
            return "broken"
        if answer.status_code == 200 and answer.json()["assertion"]:
            return "ok"
        return "told" if answer.status_code in (502, 503, 504) else "wrong"


@asynccontextmanager
async def steady_traffic(visitor: Visitor, *, patience: float = PATIENCE) -> AsyncIterator[Traffic]:
    """Traffic that flows already when the block begins."""
    async with Traffic(visitor, patience=patience) as traffic:
        await traffic.flows("before anything", since=time.monotonic(), within=60)
        yield traffic
