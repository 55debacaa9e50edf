"""Joining the waitlist, and what the operator makes of its entries."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from doorward.identity import mail
from doorward.identity.accounts import rules as account_rules
from doorward.identity.audit import store as audit
from doorward.identity.errors import Refused, not_found
from doorward.identity.identifiers import new_id
from doorward.identity.invitations import store as invitations
from doorward.identity.invitations.service import Invitations, InvitationWish, MadeInvitation
from doorward.identity.invitations.store import Invitation
from doorward.identity.paging import Slice
from doorward.identity.resources.for_back_ends import invitations as resources
from doorward.identity.restrictions.service import Restrictions
from doorward.identity.settings import IdentitySettings
from doorward.identity.waitlist import rules, store
from doorward.identity.waitlist.rules import WaitlistStatus, WaitlistStep
from doorward.identity.waitlist.store import WaitlistEntry
from doorward.identity.webhooks import outbox
from doorward.store import Clock, Database, Tx


class JoinWish(msgspec.Struct, frozen=True):
    email_address: str
    notify: bool = True


class Waitlist:
    def __init__(
        self,
        settings: IdentitySettings,
        database: Database,
        clock: Clock,
        *,
        invitation_service: Invitations,
        restrictions: Restrictions,
        mails: mail.MailQueue,
    ) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._invitations = invitation_service
        self._restrictions = restrictions
        self._mails = mails

    async def join_from(self, ip: str, email_address: str) -> WaitlistEntry:
        """A visitor's own wish, under the limits of a sign-up. Raises Refused (422, 403, 429)."""
        await self._restrictions.spend("sign-up", ip, self._settings.limits.sign_up_per_ip)
        return (await self.join([JoinWish(email_address)], actor=None))[0]

    async def join(self, wishes: Sequence[JoinWish], *, actor: str | None) -> list[WaitlistEntry]:
        """An entry for each, the existing one where there is one. All or none. Raises Refused."""
        now = self._clock()
        fresh = [self._fresh(wish, now) for wish in wishes]

        def work(tx: Tx) -> list[WaitlistEntry]:
            return [self._insert(tx, entry, actor, now) for entry in fresh]

        entries = await self._database.write(work)
        for wish, made, entry in zip(wishes, fresh, entries, strict=True):
            if wish.notify and entry.id == made.id:
                self._mails.post(
                    mail.waitlist_confirmation(entry.email_address, self._settings.application_name)
                )
        return entries

    def _fresh(self, wish: JoinWish, now: int) -> WaitlistEntry:
        address = account_rules.normalise_email(wish.email_address)
        if address is None:
            raise Refused(account_rules.email_problem("email_address"))
        return WaitlistEntry(new_id("wle"), address, "pending", None, None, now, now)

    def _insert(self, tx: Tx, entry: WaitlistEntry, actor: str | None, now: int) -> WaitlistEntry:
        self._restrictions.require_address_allowed(tx, entry.email_address)
        if store.insert(tx, entry):
            audit.record(tx, now=now, actor=actor, action="waitlist_entry.created", object_id=entry.id)
            outbox.enqueue(tx, "waitlistEntry.created", resources.waitlist_entry(entry), now=now)
            return entry
        return store.find_by_address(tx, entry.email_address) or entry

    async def page(
        self, part: Slice, *, query: str | None, status: WaitlistStatus | None
    ) -> tuple[list[WaitlistEntry], int]:
        return await self._database.read(lambda tx: store.page(tx, part, query=query, status=status))

    async def invitations_of(self, entries: Sequence[WaitlistEntry]) -> dict[str, Invitation]:
        """Those that entries were let in with, by their ids."""
        ids = [entry.invitation_id for entry in entries if entry.invitation_id is not None]
        return await self._database.read(lambda tx: invitations.find_each(tx, ids))

    async def get(self, entry_id: str) -> WaitlistEntry:
        """Raises Refused (404)."""
        return await self._database.read(lambda tx: self._found(tx, entry_id))

    async def invite(
        self, entry_id: str, *, ignore_existing: bool, actor: str
    ) -> tuple[WaitlistEntry, MadeInvitation]:
        """Make and mail an invitation. Raises Refused: 404, 409, or as an invitation would."""
        known = await self._database.read(lambda tx: self._entry(tx, entry_id, "invite"))
        made = self._invitations.prepare(InvitationWish(known.email_address))
        now = self._clock()

        def work(tx: Tx) -> WaitlistEntry:
            entry = self._entry(tx, entry_id, "invite")
            self._invitations.insert(tx, made, ignore_existing=ignore_existing, actor=actor)
            invited = replace(
                entry, status="invited", invitation_id=made.invitation.id, invited_at=now, updated_at=now
            )
            return self._put(tx, invited, actor, now)

        entry = await self._database.write(work)
        self._invitations.send(made, is_from_waitlist=True)
        return entry, made

    async def reject(self, entry_id: str, *, actor: str) -> WaitlistEntry:
        """Its invitation, if there is one, ends with it. Raises Refused: 404, 409."""
        now = self._clock()

        def work(tx: Tx) -> WaitlistEntry:
            entry = self._entry(tx, entry_id, "reject")
            if entry.invitation_id is not None:
                invitations.revoke(tx, entry.invitation_id, now)
            return self._put(tx, replace(entry, status="rejected", updated_at=now), actor, now)

        return await self._database.write(work)

    async def delete(self, entry_id: str, *, actor: str) -> None:
        """Raises Refused: 404, 409 unless it still waits."""
        now = self._clock()

        def work(tx: Tx) -> None:
            entry = self._entry(tx, entry_id, "delete")
            store.delete(tx, entry.id)
            audit.record(tx, now=now, actor=actor, action="waitlist_entry.deleted", object_id=entry.id)

        await self._database.write(work)

    def complete(self, tx: Tx, address: str, user_id: str, now: int) -> None:
        """Whoever waited under this address has an account now."""
        entry = store.find_by_address(tx, address)
        if entry is not None and entry.status != "completed":
            self._put(tx, replace(entry, status="completed", updated_at=now), user_id, now)

    def _put(self, tx: Tx, entry: WaitlistEntry, actor: str, now: int) -> WaitlistEntry:
        store.put(tx, entry)
        audit.record(tx, now=now, actor=actor, action=f"waitlist_entry.{entry.status}", object_id=entry.id)
        found = None if entry.invitation_id is None else invitations.find(tx, entry.invitation_id)
        shown = resources.waitlist_entry(entry, None if found is None else resources.invitation(found, now))
        outbox.enqueue(tx, "waitlistEntry.updated", shown, now=now)
        return entry

    def _found(self, tx: Tx, entry_id: str) -> WaitlistEntry:
        entry = store.find(tx, entry_id)
        if entry is None:
            raise Refused(not_found(f"No waitlist entry was found with id {entry_id}"))
        return entry

    def _entry(self, tx: Tx, entry_id: str, step: WaitlistStep) -> WaitlistEntry:
        entry = self._found(tx, entry_id)
        problem = rules.step_problem(step, entry.status)
        if problem is not None:
            raise Refused(problem)
        return entry
