"""Keeping the allow-list and the block-list."""

from __future__ import annotations

from doorward.identity.audit import store as audit
from doorward.identity.errors import DUPLICATE_RECORD, FORM_PARAM_FORMAT_INVALID, Problem, Refused, not_found
from doorward.identity.identifiers import new_id
from doorward.identity.invitations.service import Invitations, InvitationWish, MadeInvitation
from doorward.identity.restrictions import list_rules, list_store
from doorward.identity.restrictions.list_rules import ListName
from doorward.identity.restrictions.list_store import ListedIdentifier
from doorward.store import Clock, Database, Tx

_PREFIX: dict[ListName, str] = {"allow": "alid", "block": "blid"}


class ListedIdentifiers:
    def __init__(self, database: Database, clock: Clock, *, invitation_service: Invitations) -> None:
        self._database = database
        self._clock = clock
        self._invitations = invitation_service

    async def add(
        self, name: ListName, identifier: str, *, notify: bool = False, actor: str
    ) -> ListedIdentifier:
        """With `notify` an address is invited too. Raises Refused: 422 for no identifier, 400 for one on the list."""
        known = list_rules.normalise_identifier(identifier)
        if known is None:
            raise Refused(
                FORM_PARAM_FORMAT_INVALID.at(
                    "identifier",
                    long_message="identifier must be an e-mail address, *@domain, *@*.domain, a phone number or a wallet.",
                )
            )
        text, kind = known
        made = None
        if notify and kind == "email_address" and not text.startswith("*"):
            made = self._invitations.prepare(InvitationWish(text))
        now = self._clock()
        invitation_id = None if made is None else made.invitation.id
        entry = ListedIdentifier(new_id(_PREFIX[name]), name, text, kind, invitation_id, now, now)
        await self._database.write(lambda tx: self._insert(tx, entry, made, actor, now))
        if made is not None:
            self._invitations.send(made)
        return entry

    def _insert(
        self, tx: Tx, entry: ListedIdentifier, made: MadeInvitation | None, actor: str, now: int
    ) -> None:
        if not list_store.insert(tx, entry):
            raise Refused(
                DUPLICATE_RECORD.at("identifier", long_message=f"{entry.identifier} is on the list already.")
            )
        if made is not None:
            self._invitations.insert(tx, made, ignore_existing=True, actor=actor)
        audit.record(
            tx,
            now=now,
            actor=actor,
            action=f"{entry.list}list.added",
            object_id=entry.id,
            detail=entry.identifier,
        )

    async def page(self, name: ListName, limit: int, offset: int) -> tuple[list[ListedIdentifier], int]:
        return await self._database.read(lambda tx: list_store.page(tx, name, limit, offset))

    async def get(self, name: ListName, entry_id: str) -> ListedIdentifier:
        """Raises Refused (404)."""
        entry = await self._database.read(lambda tx: list_store.find(tx, name, entry_id))
        if entry is None:
            raise Refused(_unknown(name, entry_id))
        return entry

    async def remove(self, name: ListName, entry_id: str, *, actor: str) -> None:
        """Raises Refused (404)."""
        now = self._clock()

        def work(tx: Tx) -> None:
            if not list_store.delete(tx, name, entry_id):
                raise Refused(_unknown(name, entry_id))
            audit.record(tx, now=now, actor=actor, action=f"{name}list.removed", object_id=entry_id)

        await self._database.write(work)


def _unknown(name: ListName, entry_id: str) -> Problem:
    return not_found(f"No {name}list identifier was found with id {entry_id}")
