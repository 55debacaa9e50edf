"""Making, revoking and redeeming tickets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from doorward.identity.accounts import store as accounts
from doorward.identity.accounts.administrators import require_may_let_in
from doorward.identity.audit import store as audit
from doorward.identity.errors import (
    ACTOR_TOKEN_ALREADY_USED,
    ACTOR_TOKEN_NOT_REVOCABLE,
    ACTOR_TOKEN_REVOKED,
    ORGANIZATION_NOT_FOUND_OR_UNAUTHORIZED,
    SIGN_IN_TOKEN_ALREADY_USED,
    SIGN_IN_TOKEN_NOT_REVOCABLE,
    SIGN_IN_TOKEN_REVOKED,
    TICKET_EXPIRED,
    TICKET_INVALID,
    Problem,
    Refused,
    not_found,
)
from doorward.identity.identifiers import new_id, new_secret
from doorward.identity.keyed_hash import KeyedHash
from doorward.identity.organizations.memberships import Memberships
from doorward.identity.sessions.service import refuse_barred
from doorward.identity.tickets import store
from doorward.identity.tickets.store import Ticket, TicketKind
from doorward.store import Clock, Database, Tx

_PURPOSE = "ticket"
_PREFIX: dict[TicketKind, str] = {"sign_in": "sit", "actor": "act"}
_USED: dict[TicketKind, Problem] = {
    "sign_in": SIGN_IN_TOKEN_ALREADY_USED,
    "actor": ACTOR_TOKEN_ALREADY_USED,
}
_REVOKED: dict[TicketKind, Problem] = {"sign_in": SIGN_IN_TOKEN_REVOKED, "actor": ACTOR_TOKEN_REVOKED}


class MadeTicket(msgspec.Struct, frozen=True):
    """A ticket just made: `token` is shown here and never again."""

    ticket: Ticket
    token: str

    def __repr__(self) -> str:
        return f"MadeTicket({self.ticket.id})"


class Tickets:
    """`actor` of its methods is the id of the secret key that asks, an administrator's, or an operator's name."""

    def __init__(
        self, database: Database, clock: Clock, *, memberships: Memberships, keyed_hash: KeyedHash
    ) -> None:
        self._database = database
        self._clock = clock
        self._memberships = memberships
        self._hash = keyed_hash

    async def make(
        self,
        kind: TicketKind,
        user_id: str,
        *,
        lifetime_ms: int,
        acting: Mapping[str, Any] | None = None,
        session_lifetime_ms: int | None = None,
        organization_id: str | None = None,
        actor: str,
    ) -> MadeTicket:
        """Raises Refused: 404 for an unknown user and for an organization that is not the user's, 403 for one who may not
        sign in, and for an administrator's token that a secret key asks for."""
        now, token = self._clock(), new_secret()
        ticket = Ticket(
            id=new_id(_PREFIX[kind]),
            kind=kind,
            user_id=user_id,
            actor=None if acting is None else msgspec.json.encode(acting).decode(),
            session_lifetime_ms=session_lifetime_ms,
            organization_id=organization_id,
            created_at=now,
            updated_at=now,
            expire_at=now + lifetime_ms,
        )

        def work(tx: Tx) -> None:
            user = accounts.find_user(tx, user_id)
            if user is None:
                raise Refused(not_found("User not found"))
            refuse_barred(user, now)
            require_may_let_in(tx, user, actor)
            if organization_id is not None:
                membership = self._memberships.find_active(tx, organization_id, user_id)
                if membership is None or membership.organization.id != organization_id:
                    raise Refused(ORGANIZATION_NOT_FOUND_OR_UNAUTHORIZED.at("org_id"))
            store.insert(tx, ticket, self._hash.of(_PURPOSE, token))
            audit.record(
                tx, now=now, actor=actor, action=f"{kind}_token.created", object_id=ticket.id, detail=user_id
            )

        await self._database.write(work)
        return MadeTicket(ticket, token)

    async def revoke(self, kind: TicketKind, ticket_id: str, *, actor: str) -> Ticket:
        """Raises Refused: 404, or 400 for one that is not pending."""
        now = self._clock()

        def work(tx: Tx) -> Ticket:
            ticket = store.find(tx, ticket_id)
            if ticket is None or ticket.kind != kind:
                raise Refused(not_found("There is no such token."))
            if not store.revoke(tx, ticket_id, now):
                raise Refused(SIGN_IN_TOKEN_NOT_REVOCABLE if kind == "sign_in" else ACTOR_TOKEN_NOT_REVOCABLE)
            audit.record(tx, now=now, actor=actor, action=f"{kind}_token.revoked", object_id=ticket_id)
            return replace(ticket, revoked_at=now, updated_at=now)

        return await self._database.write(work)

    async def find(self, token: str) -> Ticket:
        """The ticket this is, if it can still be redeemed. Raises Refused (400)."""
        return await self._database.read(lambda tx: self._usable(tx, token))

    def redeem(self, tx: Tx, token: str, now: int) -> Ticket:
        """Use it up, inside the sign-in's transaction. Raises Refused (400)."""
        ticket = self._usable(tx, token)
        if not store.accept(tx, ticket.id, now):
            raise Refused(_USED[ticket.kind])
        return ticket

    def _usable(self, tx: Tx, token: str) -> Ticket:
        ticket = store.find_by_hash(tx, self._hash.of(_PURPOSE, token))
        if ticket is None:
            raise Refused(TICKET_INVALID)
        if ticket.accepted_at is not None:
            raise Refused(_USED[ticket.kind])
        if ticket.revoked_at is not None:
            raise Refused(_REVOKED[ticket.kind])
        if self._clock() >= ticket.expire_at:
            raise Refused(TICKET_EXPIRED)
        return ticket
