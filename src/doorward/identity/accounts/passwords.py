"""Hashing passwords with Argon2id, off the event loop and within a bound.

Each hash costs 19 MiB and about 20 ms of one core. Without a bound, a burst of sign-ins would take the machine's
memory; with one, the burst waits in a short queue and the rest is told to come back (503 with Retry-After).
"""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import argon2
import msgspec
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ARGON2_VERSION

from doorward.identity.accounts import foreign_hashes
from doorward.identity.errors import OVERLOADED, Refused

T = TypeVar("T")

TIME_COST = 2
MEMORY_KIB = 19_456
PARALLELISM = 1
RETRY_AFTER_SECONDS = 2
_SALT_BYTES = 16
_HASH_BYTES = 32


class PasswordCheck(msgspec.Struct, frozen=True):
    """`rehash` is a new encoded hash to store when the stored one used weaker parameters than today's."""

    is_correct: bool
    rehash: str | None = None


class PasswordHasher:
    """`workers` hashes run at once; `queue` more may wait; beyond that callers get `Refused` (503)."""

    def __init__(
        self,
        *,
        workers: int | None = None,
        queue: int = 64,
        time_cost: int = TIME_COST,
        memory_kib: int = MEMORY_KIB,
    ) -> None:
        count = workers or os.cpu_count() or 1
        self._argon2 = argon2.PasswordHasher(
            time_cost=time_cost,
            memory_cost=memory_kib,
            parallelism=PARALLELISM,
            hash_len=_HASH_BYTES,
            salt_len=_SALT_BYTES,
        )
        self._threads = ThreadPoolExecutor(max_workers=count, thread_name_prefix="argon2")
        self._limit = count + queue
        self._running = 0
        self._decoy = decoy_hash(time_cost=time_cost, memory_kib=memory_kib)

    async def hash(self, password: str) -> str:
        """The encoded Argon2id hash of a normalised password."""
        return await self._run(self._argon2.hash, password)

    async def check(self, encoded: str | None, password: str) -> PasswordCheck:
        """Compare; with `encoded` None (no such account, no password) it takes as long and is never correct."""
        is_correct = await self._run(self._verify, encoded or self._decoy, password)
        if encoded is None or not is_correct:
            return PasswordCheck(is_correct=False)
        if foreign_hashes.is_foreign(encoded) or self._argon2.check_needs_rehash(encoded):
            return PasswordCheck(is_correct=True, rehash=await self.hash(password))
        return PasswordCheck(is_correct=True)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _verify(self, encoded: str, password: str) -> bool:
        if foreign_hashes.is_foreign(encoded):
            return foreign_hashes.matches(encoded, password)
        try:
            return self._argon2.verify(encoded, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, function: Callable[..., T], *args: str) -> T:
        if self._running >= self._limit:
            raise Refused(OVERLOADED, retry_after=RETRY_AFTER_SECONDS)
        self._running += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)
        finally:
            self._running -= 1


def decoy_hash(*, time_cost: int, memory_kib: int) -> str:
    """A stored hash, as Argon2id encodes one, that no password is known for: checking against it takes as long as against a
    real one. It is drawn, not computed: a start of the server does not pay for a hash."""
    salt, digest = (
        base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=")
        for size in (_SALT_BYTES, _HASH_BYTES)
    )
    return f"$argon2id$v={ARGON2_VERSION}$m={memory_kib},t={time_cost},p={PARALLELISM}${salt}${digest}"
