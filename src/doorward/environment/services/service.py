"""The services of this machine: in memory for the gate's every request, in the database for the next start."""

import asyncio
import logging
from collections.abc import Callable

import msgspec

from doorward.environment.access import Action, Actor, require
from doorward.environment.audit import record
from doorward.environment.services import store
from doorward.environment.services.published import PublishedService, hostname
from doorward.environment.settings import Service
from doorward.store import Clock, Database, StoreError, Tx

__all__ = ["CHANNEL", "PublishedService", "Services"]

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0

#: Carries the name of the service that was changed.
CHANNEL = "environment.services"


class Services:
    """`load` once before use, then `watch` as a task. Publishing follows with the next reconcile."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._by_name: dict[str, PublishedService] = {}
        self._by_hostname: dict[str, PublishedService] = {}
        # What is in memory is what was written last, so whoever writes or reads all of it does so alone.
        self._changing = asyncio.Lock()
        self._tell_moved: Callable[[str], object] = lambda _origin: None
        self.generation = 0
        """Another number after each change of what `by_host` answers."""

    def when_moved(self, tell: Callable[[str], object]) -> None:
        """`tell` is called with each origin that leads nowhere or elsewhere from now on, the moment it does."""
        self._tell_moved = tell

    async def load(self) -> None:
        async with self._changing:
            services = await self._database.read(store.list_all)
            self._by_name = {service.name: service for service in services}
            self._index()

    async def watch(self, is_watching: asyncio.Event) -> None:
        """Until cancelled: follow what another program of this machine does to the data folder, such as a CLI that
        found no agent because this one was still starting. `is_watching` is set once nothing can be missed.
        """
        async with self._database.subscribe(CHANNEL) as payloads:
            is_watching.set()
            await self._load_at_last()  # what was done since the first look was told to nobody
            async for name in payloads:
                if not name:
                    await self._load_at_last()

    async def _load_at_last(self) -> None:
        while True:
            try:
                return await self.load()
            except StoreError as error:
                log.warning("the services cannot be read; trying again: %s", error)
                await asyncio.sleep(RETRY_SECONDS)

    def published(self) -> tuple[PublishedService, ...]:
        """Every service of this machine, by name; those without `public_url` are not reachable yet."""
        return tuple(self._by_name[name] for name in sorted(self._by_name))

    def by_host(self, host: str) -> PublishedService | None:
        """The service a request for this `Host` is meant for."""
        return self._by_hostname.get(_safe_hostname(host))

    async def add(self, actor: Actor, service: Service) -> PublishedService:
        """Add a service, or change the local side of one that exists. Raises NotAllowed."""
        require(actor, Action.LINK)
        async with self._changing:
            known = self._by_name.get(service.name)
            published = PublishedService(
                name=service.name,
                host=service.host,
                port=service.port,
                host_header=service.host_header,
                public_url=known.public_url if known is not None else None,
            )
            if published != known:
                await self._save(actor, published, "service.add")
        return published

    async def remove(self, actor: Actor, name: str) -> bool:
        """Forget a service; False when there is none of that name. Raises NotAllowed."""
        require(actor, Action.UNLINK)
        now = self._clock()

        def remove(tx: Tx) -> bool:
            is_removed = store.delete(tx, name)
            if is_removed:
                record(tx, actor, "service.remove", name, now=now)
                tx.notify(CHANNEL, name)
            return is_removed

        async with self._changing:
            is_removed = await self._database.write(remove)
            self._by_name.pop(name, None)
            self._index()
        return is_removed

    async def claimed(self, actor: Actor, name: str, public_url: str) -> None:
        """The relay gave the name a public URL."""
        await self._change(actor, name, public_url=public_url, refusal=None)

    async def refused(self, actor: Actor, name: str, refusal: str) -> None:
        """The relay refused the name (`name_taken`, `name_reserved`, `name_invalid`, `names_not_offered`)."""
        await self._change(actor, name, public_url=None, refusal=refusal)

    async def forget_addresses(self, actor: Actor) -> None:
        """After unlinking: the services stay, no public host leads to them."""
        for service in self.published():
            if service.public_url is not None or service.refusal is not None:
                await self._change(actor, service.name, public_url=None, refusal=None)

    async def _change(self, actor: Actor, name: str, *, public_url: str | None, refusal: str | None) -> None:
        async with self._changing:
            known = self._by_name.get(name)
            if known is None:
                return
            changed = msgspec.structs.replace(known, public_url=public_url, refusal=refusal)
            if changed != known:
                await self._save(actor, changed, "service.publish" if public_url else "service.withdraw")

    async def _save(self, actor: Actor, service: PublishedService, action: str) -> None:
        now = self._clock()

        def save(tx: Tx) -> None:
            store.save(tx, service, now)
            record(
                tx, actor, action, service.name, now=now, detail=service.public_url or service.refusal or ""
            )
            tx.notify(CHANNEL, service.name)

        await self._database.write(save)
        self._by_name[service.name] = service
        self._index()

    def _index(self) -> None:
        self.generation += 1
        before = self._by_hostname
        self._by_hostname = {
            hostname(service.public_host): service
            for service in self._by_name.values()
            if service.public_url is not None
        }
        for host, service in before.items():
            now = self._by_hostname.get(host)
            if now is None or _way(now) != _way(service):
                self._tell_moved(service.origin)


def _way(service: PublishedService) -> tuple[str, str, int]:
    """From where to where."""
    return service.origin, service.host, service.port


def _safe_hostname(host: str) -> str:
    try:
        return hostname(host)
    except ValueError:
        return ""
