"""Spending limits, counting failures, making and finding invitations."""

from __future__ import annotations

from doorward.identity.accounts import store as accounts
from doorward.identity.audit import store as audit
from doorward.identity.errors import SIGN_UP_MODE_RESTRICTED, TOO_MANY_REQUESTS, USER_LOCKED, Refused
from doorward.identity.identifiers import new_id, new_secret
from doorward.identity.keyed_hash import KeyedHash
from doorward.identity.restrictions import rules, store
from doorward.identity.restrictions.store import Failures, Invitation
from doorward.identity.settings import IdentitySettings, RateLimit
from doorward.store import Clock, Database, Tx

_TICKET = "invitation"


class Restrictions:
    def __init__(
        self, settings: IdentitySettings, database: Database, keyed_hash: KeyedHash, clock: Clock
    ) -> None:
        self._settings = settings
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

    def require_open_sign_up(self, invitation: Invitation | None) -> None:
        """Raises Refused (403) when a stranger may not sign up here."""
        if invitation is None and self._settings.sign_up != "open":
            raise Refused(SIGN_UP_MODE_RESTRICTED)

    async def invitation_of(self, ticket: str) -> Invitation | None:
        """The invitation that this ticket can still redeem."""
        now = self._clock()

        def find(tx: Tx) -> Invitation | None:
            invitation = self.find(tx, ticket)
            has_administrator = accounts.has_administrator(tx)
            problem = rules.invitation_problem(invitation, has_administrator=has_administrator, now=now)
            return invitation if problem is None else None

        return await self._database.read(find)

    def find(self, tx: Tx, ticket: str) -> Invitation | None:
        return store.find_invitation_by_hash(tx, self._hash.of(_TICKET, ticket))

    async def administrator_invitation(self) -> str | None:
        """A one-time URL that makes the first administrator, voiding earlier ones; None once there is one."""
        ticket = new_secret()
        invitation = self._new_invitation("administrator", None)

        def replace(tx: Tx) -> bool:
            if accounts.has_administrator(tx):
                return False
            store.drop_open_administrator_invitations(tx)
            store.insert_invitation(tx, invitation, self._hash.of(_TICKET, ticket))
            return True

        return self._url(ticket) if await self._database.write(replace) else None

    async def invite(self, *, by_user_id: str, email_address: str) -> str:
        """A one-time sign-up URL for one address, to be mailed to it by the caller."""
        ticket = new_secret()
        invitation = self._new_invitation("member", email_address)

        def insert(tx: Tx) -> None:
            store.insert_invitation(tx, invitation, self._hash.of(_TICKET, ticket))
            audit.record(
                tx,
                now=invitation.created_at,
                actor=by_user_id,
                action="invitation.created",
                object_id=invitation.id,
            )

        await self._database.write(insert)
        return self._url(ticket)

    def _new_invitation(self, kind: store.InvitationKind, email_address: str | None) -> Invitation:
        now = self._clock()
        return Invitation(
            new_id("inv"), kind, email_address, now, now + rules.INVITATION_LIFETIME_MS, None, None
        )

    def _url(self, ticket: str) -> str:
        return f"{self._settings.origin}/sign-up?__clerk_ticket={ticket}"

    def _failure_key(self, identifier: str) -> str:
        return self._hash.of("sign-in-failures", identifier)


def _seconds(ms: int) -> int:
    """Rounded up, so that nobody comes back a moment too early."""
    return -(-ms // 1000)
