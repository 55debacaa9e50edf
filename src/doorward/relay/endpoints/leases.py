"""Rows that one provider call at a time may change.

A call to another service cannot be part of a transaction, so whoever makes one first takes the allocation's row: that
raises its generation and sets a time by which the call must have ended. Everybody else waits, or gives way. Every later
write names the generation that was taken: a process that stood still past its time finds that it lost the row, and
changes nothing.
"""

import asyncio
import contextlib
from collections.abc import Callable
from weakref import WeakValueDictionary

from doorward.relay.endpoints import store
from doorward.relay.endpoints.store import AllocationRow
from doorward.store import Clock, Database, Tx

LEASE_MS = 20_000
"""Longer than any request may take (`request_deadline`); shorter than a person waits after a crash."""

WAIT_S = 5.0
POLL_S = 0.1

Choose = Callable[[Tx], AllocationRow | None]


class Leased(Exception):
    """Another provider call holds the row."""


class LeaseLost(Exception):
    """The row was taken by another call; what this one did since is not recorded."""


class Leases:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._queues: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def take(
        self, choose: Choose, *, user_id: str, environment_id: str, wait: bool
    ) -> AllocationRow | None:
        """The row of this (account, environment) that `choose` finds, taken; `None` when it finds none.

        `choose` runs in the transaction that takes: what it checks still holds when the row is ours. Raises `Leased`,
        after 5 s with `wait`.
        """
        if not wait:
            return await self._attempt(choose)
        loop = asyncio.get_running_loop()
        give_up = loop.time() + WAIT_S
        # Of this process only the first in the queue asks the database, and whoever came later waits behind it.
        queue = self._queues.setdefault((user_id, environment_id), asyncio.Lock())
        try:
            async with asyncio.timeout_at(give_up):
                await queue.acquire()
        except TimeoutError:
            raise Leased from None
        try:
            while True:
                try:
                    return await self._attempt(choose)
                except Leased:
                    if loop.time() >= give_up:
                        raise
                # The holder is a call to another service, perhaps on another node: nothing tells us when it ends.
                await asyncio.sleep(POLL_S)
        finally:
            queue.release()

    async def _attempt(self, choose: Choose) -> AllocationRow | None:
        taking = asyncio.ensure_future(self._database.write(lambda tx: self._take(tx, choose)))
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            # Cut by a deadline while the row was being taken: nobody would give it back.
            with contextlib.suppress(Exception):
                lease = await taking
                if lease is not None:
                    await self.free(lease)
            raise

    def _take(self, tx: Tx, choose: Choose) -> AllocationRow | None:
        allocation = choose(tx)
        if allocation is None:
            return None
        now = self._clock()
        taken = tx.execute(
            "UPDATE relay_managed_endpoint_allocations SET generation = generation + 1, leased_until = ?, updated_at = ?"
            " WHERE user_id = ? AND environment_id = ? AND (leased_until IS NULL OR leased_until <= ?)",
            (now + LEASE_MS, now, allocation.user_id, allocation.environment_id, now),
        )
        if not taken:
            raise Leased
        return store.find(tx, user_id=allocation.user_id, environment_id=allocation.environment_id)

    async def record_tunnel(self, lease: AllocationRow, tunnel_id: str) -> None:
        """Another tunnel than before is not ready, and leads nowhere yet."""
        await self._database.write(
            lambda tx: self._write(
                tx,
                lease,
                "tunnel_id = ?, ready_at = CASE WHEN tunnel_id = ? THEN ready_at END,"
                " origin = CASE WHEN tunnel_id = ? THEN origin END",
                (tunnel_id, tunnel_id, tunnel_id),
            )
        )

    async def record_dns(self, lease: AllocationRow, dns_record_id: str) -> None:
        await self._database.write(lambda tx: self._write(tx, lease, "dns_record_id = ?", (dns_record_id,)))

    def mark_ready(self, tx: Tx, lease: AllocationRow, *, origin: str, now: int) -> None:
        """The endpoint works; the row is free again."""
        self._write(
            tx,
            lease,
            "ready_at = ?, origin = ?, tunnel_public_key = NULL, leased_until = NULL",
            (now, origin),
        )

    async def clear(self, lease: AllocationRow) -> None:
        """Nothing is left of the endpoint but its names; the row is free again."""
        await self._database.write(
            lambda tx: self._write(
                tx,
                lease,
                "tunnel_id = NULL, dns_record_id = NULL, ready_at = NULL, origin = NULL, tunnel_public_key = NULL,"
                " recovery_enabled_at = NULL, recovery_environment_public_key = NULL, leased_until = NULL",
                (),
            )
        )

    async def free(self, lease: AllocationRow) -> None:
        """Give the row back as it is; nothing when it was lost."""
        await self._database.write(
            lambda tx: tx.execute(
                "UPDATE relay_managed_endpoint_allocations SET leased_until = NULL"
                " WHERE user_id = ? AND environment_id = ? AND generation = ?",
                (lease.user_id, lease.environment_id, lease.generation),
            )
        )

    def _write(self, tx: Tx, lease: AllocationRow, assignments: str, params: tuple[object, ...]) -> None:
        written = tx.execute(
            f"UPDATE relay_managed_endpoint_allocations SET {assignments}, updated_at = ?"  # noqa: S608
            " WHERE user_id = ? AND environment_id = ? AND generation = ?",
            (*params, self._clock(), lease.user_id, lease.environment_id, lease.generation),
        )
        if not written:
            raise LeaseLost
