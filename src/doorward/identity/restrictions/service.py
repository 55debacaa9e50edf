"""Deciding who may come in, spending limits, counting failures."""

from __future__ import annotations

from doorward.identity.errors import (
    SIGN_UP_MODE_RESTRICTED,
    SIGN_UP_RESTRICTED_WAITLIST,
    TOO_MANY_REQUESTS,
    USER_LOCKED,
    Refused,
)
from doorward.identity.instance import Instance
from doorward.identity.instance import store as instance_rows
from doorward.identity.keyed_hash import KeyedHash
from doorward.identity.restrictions import list_rules, rules, store
from doorward.identity.restrictions import list_store as list_rows
from doorward.identity.restrictions.store import Failures
from doorward.identity.settings import RateLimit
from doorward.store import Clock, Database, Tx


class Restrictions:
    def __init__(self, instance: Instance, database: Database, keyed_hash: KeyedHash, clock: Clock) -> None:
        self._instance = instance
        self._database = database
        self._hash = keyed_hash
        self._clock = clock

    async def spend(self, what: str, who: str, limit: RateLimit) -> None:
        """Take one request off the limit of `who` (an address or an account). Raises Refused (429) when none is left."""
        key = f"{what}:{self._hash.of('rate-limit', rules.counted_as(who))}"
        now = self._clock()

        def take(tx: Tx) -> int:
            arrival = max(store.arrival_at(tx, key) or 0, now)
            wait = rules.wait_ms(arrival, limit, now)
            if wait == 0:
                store.set_arrival(tx, key, arrival + rules.spacing_ms(limit))
            return wait

        wait = await self._database.write(take)
        if wait:
            raise Refused(TOO_MANY_REQUESTS, retry_after=_seconds(wait))

    # Failures are counted by what was typed, not by account: an unknown address then pauses exactly like a known one.

    async def require_unpaused(self, identifier: str) -> None:
        """Raises Refused while too many wrong passwords for this identifier are recent (429) or it is locked (403)."""
        key, now = self._failure_key(identifier), self._clock()
        entry = await self._database.read(lambda tx: store.failures(tx, key))
        if entry is None:
            return
        if entry.locked_until is not None and now < entry.locked_until:
            remaining = _seconds(entry.locked_until - now)
            raise Refused(USER_LOCKED.at(lockout_expires_in_seconds=remaining), retry_after=remaining)
        wait = entry.last_failure_at + rules.pause_ms(entry.failures) - now
        if wait > 0:
            raise Refused(TOO_MANY_REQUESTS, retry_after=_seconds(wait))

    def count_failure(self, tx: Tx, identifier: str, now: int) -> None:
        key = self._failure_key(identifier)
        earlier = store.failures(tx, key)
        is_over = earlier is not None and earlier.locked_until is not None and now >= earlier.locked_until
        count = 1 if earlier is None or is_over else earlier.failures + 1
        locked_until = now + rules.LOCK_MS if count >= rules.MAX_FAILURES else None
        store.set_failures(tx, key, Failures(count, now, locked_until))

    def clear_failures(self, tx: Tx, identifier: str) -> None:
        store.clear_failures(tx, self._failure_key(identifier))

    # Who may come in. Both read the switches and lists in the caller's transaction, so that no node acts on old ones.

    def require_sign_up_allowed(self, tx: Tx, address: str, *, is_invited: bool) -> None:
        """Raises Refused (403) when whoever has this address may not make an account. An invitation opens a closed
        door and stands in for the allow-list; the block-list holds even then."""
        settings = instance_rows.settings(tx)
        mode = self._instance.sign_up_mode_in(settings)
        if not is_invited and mode != "public":
            raise Refused(SIGN_UP_RESTRICTED_WAITLIST if mode == "waitlist" else SIGN_UP_MODE_RESTRICTED)
        problem = list_rules.sign_up_problem(
            settings,
            address,
            is_allowed=list_rows.has_any(tx, "allow", list_rules.entries_that_allow(address)),
            is_blocked=list_rows.has_any(tx, "block", list_rules.entries_that_match(address)),
            is_invited=is_invited,
        )
        if problem is not None:
            raise Refused(problem)

    def require_sign_in_allowed(self, tx: Tx, address: str) -> None:
        """Raises Refused (403) for a blocked address, unless the lists are switched off for signing in."""
        problem = list_rules.sign_in_problem(
            instance_rows.settings(tx),
            address,
            is_allowed=list_rows.has_any(tx, "allow", list_rules.entries_that_allow(address)),
            is_blocked=list_rows.has_any(tx, "block", list_rules.entries_that_match(address)),
        )
        if problem is not None:
            raise Refused(problem)

    def require_address_allowed(self, tx: Tx, address: str) -> None:
        """For joining the waitlist and for a further address of an account. Raises Refused (403)."""
        settings = instance_rows.settings(tx)
        is_blocked = settings.blocklist and list_rows.has_any(
            tx, "block", list_rules.entries_that_match(address)
        )
        is_allowed = settings.allowlist and list_rows.has_any(
            tx, "allow", list_rules.entries_that_allow(address)
        )
        if is_blocked and not is_allowed:
            raise Refused(list_rules.refused(address))
        problem = list_rules.address_problem(settings, address)
        if problem is not None:
            raise Refused(problem)

    def _failure_key(self, identifier: str) -> str:
        return self._hash.of("sign-in-failures", identifier)


def _seconds(ms: int) -> int:
    """Rounded up, so that nobody comes back a moment too early."""
    return -(-ms // 1000)
