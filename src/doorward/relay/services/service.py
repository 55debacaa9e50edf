"""Claiming, freeing and listing the names of one environment's services."""

from typing import Literal

import msgspec

from doorward.relay.audit.store import Origin, record
from doorward.relay.credentials.store import CredentialOwner
from doorward.relay.endpoints import store as endpoint_store
from doorward.relay.endpoints.rules import normalize_zone, urls_of
from doorward.relay.services import store
from doorward.relay.services.hosts import ServiceHosts
from doorward.relay.services.rules import HOLD_MS, MOST_NAMES, check_name, may_claim
from doorward.relay.settings import RelaySettings
from doorward.store import Clock, Database, Tx

Refusal = Literal["name_taken", "name_reserved", "name_invalid", "too_many_names"]


class NamedService(msgspec.Struct, frozen=True):
    """`url` ends with a slash."""

    name: str
    hostname: str
    url: str


class NameRefused(Exception):
    """`reason` says why the name cannot be claimed."""

    def __init__(self, reason: Refusal) -> None:
        super().__init__(reason)
        self.reason: Refusal = reason


class ServiceNames:
    def __init__(self, settings: RelaySettings, database: Database, clock: Clock) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._hosts = ServiceHosts(normalize_zone(settings.zone), settings.custom_hosts)

    def describe(self, name: str, account: str) -> NamedService:
        hostname = self._hosts.host_of(name, account)
        return NamedService(name, hostname, urls_of(hostname, self._settings).http)

    async def claim(self, owner: CredentialOwner, name: str, origin: Origin) -> NamedService:
        """Take a name, or keep it. Raises `NameRefused`.

        One serialisable transaction reads and writes: of two claims of a free name, one finds the other's row.
        """
        wrong = check_name(name)
        if wrong is not None:
            raise NameRefused(wrong)
        now = self._clock()

        def write(tx: Tx) -> Refusal | None:
            row = store.find(tx, name)
            if not may_claim(row, user_id=owner.user_id, environment_id=owner.environment_id, now=now):
                return "name_taken"
            is_own = row is not None and row.user_id == owner.user_id
            if not is_own and store.count_held(tx, owner.user_id, released_after=now - HOLD_MS) >= MOST_NAMES:
                return "too_many_names"
            if row is None or row.released_at is not None:
                store.claim(tx, name, user_id=owner.user_id, environment_id=owner.environment_id, now=now)
                self._changed(tx, owner, "service_name.claimed", name, origin, now)
            return None

        refusal = await self._database.write(write)
        if refusal is not None:
            raise NameRefused(refusal)
        return self.describe(name, owner.user_id)

    async def release(self, owner: CredentialOwner, name: str, origin: Origin) -> bool:
        """Free a name, if it is this environment's; its account keeps the right to it for 90 days."""
        now = self._clock()

        def write(tx: Tx) -> bool:
            released = store.release(
                tx, name, user_id=owner.user_id, environment_id=owner.environment_id, now=now
            )
            if released:
                self._changed(tx, owner, "service_name.released", name, origin, now)
            return released

        return await self._database.write(write)

    async def list(self, owner: CredentialOwner) -> list[NamedService]:
        rows = await self._database.read(
            lambda tx: store.list_active(tx, user_id=owner.user_id, environment_id=owner.environment_id)
        )
        return [self.describe(row.name, owner.user_id) for row in rows]

    def _changed(
        self, tx: Tx, owner: CredentialOwner, action: str, name: str, origin: Origin, now: int
    ) -> None:
        record(
            tx,
            at=now,
            actor=f"t3-env:{owner.environment_id}",
            action=action,
            object_id=name,
            origin=origin,
            detail={"account": owner.user_id},
        )
        allocation = endpoint_store.find(tx, user_id=owner.user_id, environment_id=owner.environment_id)
        if allocation is not None and allocation.tunnel_id is not None:
            tx.notify("relay.hostnames", allocation.tunnel_id)
