"""Decide a mint, and record the owner's decisions. One transaction each: a revoke can never race a mint."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Literal

import msgspec

from doorward.environment.access import Action, Actor, Role, require
from doorward.environment.access.rules import granted_scopes
from doorward.environment.approvals import rules, store
from doorward.environment.approvals.mode import SecurityMode, SecurityModes, SecurityModeUnreadable
from doorward.environment.approvals.mode_lock import ModeLock
from doorward.environment.approvals.rules import Client, ClientStatus, Knock
from doorward.environment.audit import record
from doorward.environment.notifications.store import note_request
from doorward.environment.pairing import store as pairing_store
from doorward.environment.pairing.rules import PairingLink, connect_link, new_link
from doorward.environment.sessions import store as session_store
from doorward.environment.sessions.ending import end_sessions_of_key
from doorward.environment.stream.events import (
    CHANNEL,
    ClientChanged,
    ClientRemoved,
    Event,
    ModeChanged,
    PairingLinkChanged,
    PairingLinkRemoved,
    announce,
    read_event,
)
from doorward.store import Clock, Database, Tx
from doorward.t3_connect.scopes import ADMINISTRATIVE_SCOPES, STANDARD_SCOPES

KnownStatus = Literal["pending", "approved", "rejected", "unknown"]

# Each waiting device holds a request open; past this many, the answer is immediate instead.
MAX_WAITING = 200


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a mint request: `link` exactly when the device is let in."""

    mode: SecurityMode
    status: ClientStatus
    client: Client | None
    link: PairingLink | None


class RequestRepeated(Exception):
    """The request that brought the device was used up before: nothing was decided."""

    code = "request_repeated"


class Approvals:
    """Raises NotAllowed (the rules), SecurityModeUnreadable, StoreError."""

    def __init__(
        self, database: Database, clock: Clock, modes: SecurityModes, *, is_remote_admin_on: bool
    ) -> None:
        self._database = database
        self._clock = clock
        self._modes = modes
        self._is_remote_admin_on = is_remote_admin_on
        # The mode is a file, so no transaction covers it: a mint that read `account` must finish before
        # a stricter mode is stored and its consequences drawn.
        self._mode_lock = ModeLock()
        self._waiting = 0

    def mode(self) -> SecurityMode:
        """The stored mode. Raises SecurityModeUnreadable: never assume `account`."""
        return self._modes.read()

    async def decide(
        self,
        knock: Knock,
        *,
        use_up: Callable[[Tx], bool] = lambda _tx: True,
        require_still_linked: Callable[[], None] = lambda: None,
    ) -> Decision:
        """Let a device in or not, and make its credential: request, decision, last-seen and credential in one
        transaction. In `account` mode no client row is read or written.

        `use_up` comes first in that transaction, and stays done when it says that the request is an old one (raises
        RequestRepeated). `require_still_linked` is asked where no unlink can come between its answer and the
        decision; what it raises is raised.
        """
        now = self._clock()
        draft = new_link(now=now)
        async with self._mode_lock.minting():
            require_still_linked()
            mode = self._modes.read()

            def decide(tx: Tx) -> Decision | None:
                if not use_up(tx):
                    return None
                if mode == "account":
                    return self._let_in(tx, draft, knock, mode, None)
                return self._decide(tx, draft, knock, mode, now)

            decision = await self._database.write(decide)
        if decision is None:
            raise RequestRepeated
        return decision

    async def set_mode(self, actor: Actor, mode: SecurityMode) -> None:
        """Store the mode, whatever is stored now. Requiring approval also ends what unapproved keys hold."""
        require(actor, Action.TRUST_ACCOUNT if mode == "account" else Action.REQUIRE_APPROVAL)
        now = self._clock()

        def tell(tx: Tx) -> None:
            if mode == "client-approval":
                self._end_unapproved(tx, now)
            announce(tx, ModeChanged(mode, at=now))
            record(tx, actor, "security_mode.set", mode, now=now)

        async with self._mode_lock.changing():
            self._modes.write(mode)
            await self._database.write(tell)

    async def finish_interrupted(self) -> None:
        """At start: take away what a `set_mode` that a power cut interrupted had still to take away."""
        try:
            if self._modes.read() != "client-approval":
                return
        except SecurityModeUnreadable:
            return
        now = self._clock()
        async with self._mode_lock.changing():
            await self._database.write(lambda tx: self._end_unapproved(tx, now))

    async def list(self, actor: Actor) -> list[Client]:
        """Every key that is not revoked: pending, approved, rejected; the latest change first."""
        require(actor, Action.SEE_DEVICES)
        return await self._database.read(store.list_active)

    async def addresses(self, actor: Actor) -> dict[str, str]:
        """By thumbprint, where a device was last heard from."""
        require(actor, Action.SEE_DEVICES)
        return await self._database.read(store.addresses)

    async def heard_from(self, thumbprint: str, address: str) -> None:
        """A key that proved itself waits at `address`: its owner may want to know from where it asks."""

        def note(tx: Tx) -> None:
            if store.set_address(tx, thumbprint, address) and (client := store.find(tx, thumbprint)):
                announce(tx, ClientChanged(client))

        known = await self._database.read(lambda tx: store.waiting_address(tx, thumbprint))
        if known != address:
            await self._database.write(note)

    async def approve(self, actor: Actor, thumbprint: str, *, role: Role | None = None) -> Client | None:
        """None when there is no active row. `role=None`: standard, or what an approved key has already."""
        require(actor, Action.APPROVE_ADMINISTRATOR if role == "administrator" else Action.APPROVE_STANDARD)
        now = self._clock()

        def approve(tx: Tx) -> Client | None:
            before = store.find(tx, thumbprint)
            client = rules.approved(before, now, role)
            if client is None:
                return None
            store.save(tx, client)
            if before is not None and before.role == "administrator" and client.role == "standard":
                # What was granted to the higher role must not outlive it.
                self._take_away(tx, thumbprint, now)
            announce(tx, ClientChanged(client))
            record(tx, actor, "client.approve", thumbprint, now=now, detail=client.role)
            return client

        return await self._database.write(approve)

    async def reject(self, actor: Actor, thumbprint: str) -> Client | None:
        """None when there is no active row. Ends everything the key holds."""
        require(actor, Action.REJECT)
        now = self._clock()

        def reject(tx: Tx) -> Client | None:
            client = rules.rejected(store.find(tx, thumbprint), now)
            if client is None:
                return None
            store.save(tx, client)
            self._take_away(tx, thumbprint, now)
            announce(tx, ClientChanged(client))
            record(tx, actor, "client.reject", thumbprint, now=now)
            return client

        return await self._database.write(reject)

    async def revoke(self, actor: Actor, thumbprint: str) -> bool:
        """False when there is no active row. Ends everything the key holds; it may ask again."""
        require(actor, Action.REVOKE)
        now = self._clock()

        def revoke(tx: Tx) -> bool:
            client = rules.revoked(store.find(tx, thumbprint), now)
            if client is None:
                return False
            store.save(tx, client)
            self._take_away(tx, thumbprint, now)
            announce(tx, ClientRemoved(thumbprint))
            record(tx, actor, "client.revoke", thumbprint, now=now)
            return True

        return await self._database.write(revoke)

    async def end_visits(self) -> None:
        """End what every device holds, whatever was decided about it: the link it came by is gone."""
        now = self._clock()
        async with self._mode_lock.changing():
            await self._database.write(lambda tx: self._end_unapproved(tx, now, is_everybody=True))

    async def status(self, thumbprint: str) -> KnownStatus:
        """What a waiting device may know about itself. In `account` mode every key is as good as approved."""
        if self._modes.read() == "account":
            return "approved"
        row = await self._database.lookup(lambda tx: store.find(tx, thumbprint))
        return "unknown" if row is None or row.revoked_at is not None else row.status

    async def wait_for_change(
        self, thumbprint: str, *, seen: KnownStatus, timeout_seconds: float
    ) -> KnownStatus:
        """The status once it differs from `seen`, or as it is after `timeout_seconds`."""
        if self._waiting >= MAX_WAITING:
            return await self.status(thumbprint)
        self._waiting += 1
        try:
            async with self._database.subscribe(CHANNEL) as payloads:
                status = await self.status(thumbprint)
                if status != seen:
                    return status
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(timeout_seconds):
                        return await self._next_status(thumbprint, seen, payloads)
                return await self.status(thumbprint)
        finally:
            self._waiting -= 1

    async def _next_status(
        self, thumbprint: str, seen: KnownStatus, payloads: AsyncIterator[str]
    ) -> KnownStatus:
        async for payload in payloads:
            if _may_concern(read_event(payload), thumbprint):
                status = await self.status(thumbprint)
                if status != seen:
                    return status
        return await self.status(thumbprint)

    def _decide(self, tx: Tx, draft: PairingLink, knock: Knock, mode: SecurityMode, now: int) -> Decision:
        before = store.find(tx, knock.thumbprint)
        client = rules.requested(before, knock, now)
        announce(tx, ClientChanged(client))
        if rules.is_let_in(client):
            seen = rules.seen(client, now)
            store.save(tx, seen)
            announce(tx, ClientChanged(seen))
            return self._let_in(tx, draft, knock, mode, seen)
        store.save(tx, client)
        if rules.begins_to_wait(before, client):
            note_request(tx, knock.thumbprint, now=now)
        if rules.is_let_in(before):
            # Another account came with this key: what the first one's approval gave does not pass to it.
            self._take_away(tx, knock.thumbprint, now)
        surplus = store.drop_oldest_pending(
            tx, knock.cloud_user_id, keep=rules.MAX_PENDING_PER_USER, spare=knock.thumbprint
        )
        for dropped in surplus:
            announce(tx, ClientRemoved(dropped))
        return Decision(mode=mode, status=client.status, client=client, link=None)

    def _let_in(
        self, tx: Tx, draft: PairingLink, knock: Knock, mode: SecurityMode, client: Client | None
    ) -> Decision:
        role: Role = "standard" if client is None else client.role
        link = connect_link(
            draft,
            thumbprint=knock.thumbprint,
            cloud_user_id=knock.cloud_user_id,
            role=role,
            scopes=granted_scopes(
                role,
                is_remote_admin_on=self._is_remote_admin_on,
                standard=STANDARD_SCOPES,
                administrative=ADMINISTRATIVE_SCOPES,
            ),
        )
        pairing_store.insert(tx, link)
        announce(tx, PairingLinkChanged(link))
        return Decision(mode=mode, status="approved", client=client, link=link)

    def _take_away(self, tx: Tx, thumbprint: str, now: int) -> None:
        """Unused credentials, sessions, their codes, cookies, tickets, sockets and streams."""
        for link_id in pairing_store.revoke_of_key(tx, thumbprint, now):
            announce(tx, PairingLinkRemoved(link_id))
        end_sessions_of_key(tx, thumbprint, now)

    def _end_unapproved(self, tx: Tx, now: int, *, is_everybody: bool = False) -> None:
        """Credentials and sessions made while every device was let in do not outlive that."""
        keys = {session.thumbprint or "" for session in session_store.list_alive_bound(tx, now)}
        for thumbprint in keys.union(pairing_store.keys_with_unused(tx, now)):
            if is_everybody or not rules.is_let_in(store.find(tx, thumbprint)):
                self._take_away(tx, thumbprint, now)


def _may_concern(event: Event | None, thumbprint: str) -> bool:
    """None stands for news that were missed."""
    match event:
        case ClientChanged():
            return event.client.thumbprint == thumbprint
        case ClientRemoved():
            return event.thumbprint == thumbprint
        case _:
            return event is None or isinstance(event, ModeChanged)
