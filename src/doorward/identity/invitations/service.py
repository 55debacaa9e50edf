"""Making, finding, listing, revoking and redeeming invitations."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from doorward.identity import mail
from doorward.identity.accounts import rules as account_rules
from doorward.identity.accounts import store as accounts
from doorward.identity.audit import store as audit
from doorward.identity.errors import (
    DUPLICATE_RECORD,
    FORM_IDENTIFIER_EXISTS,
    INVITATION_ALREADY_ACCEPTED,
    INVITATION_ALREADY_REVOKED,
    TICKET_INVALID,
    Problem,
    Refused,
    not_found,
)
from doorward.identity.identifiers import new_id, new_secret
from doorward.identity.invitations import rules, store
from doorward.identity.invitations.store import Invitation, InvitationFilter
from doorward.identity.keyed_hash import KeyedHash
from doorward.identity.paging import Slice
from doorward.identity.settings import DAY, IdentitySettings
from doorward.store import Clock, Database, Tx

_TICKET = "invitation"


class InvitationWish(msgspec.Struct, frozen=True):
    """`public_metadata` is JSON text of an object. Raises nothing; `Invitations.create` checks it."""

    email_address: str
    public_metadata: str = "{}"
    redirect_url: str | None = None
    notify: bool = True
    ignore_existing: bool = False
    expires_in_days: int = rules.DEFAULT_LIFETIME_DAYS
    is_from_waitlist: bool = False


class MadeInvitation(msgspec.Struct, frozen=True):
    """An invitation just made: its ticket is in `url`, here and never again."""

    invitation: Invitation
    ticket: str
    url: str

    def __repr__(self) -> str:
        return f"MadeInvitation({self.invitation.id})"


class Invitations:
    def __init__(
        self,
        settings: IdentitySettings,
        database: Database,
        clock: Clock,
        *,
        keyed_hash: KeyedHash,
        mails: mail.MailQueue,
    ) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._hash = keyed_hash
        self._mails = mails

    # -- tickets

    def find(self, tx: Tx, ticket: str) -> Invitation | None:
        return store.find_by_hash(tx, self._hash.of(_TICKET, ticket))

    async def of_ticket(self, ticket: str) -> Invitation | Problem:
        """The invitation that this ticket can still redeem, or why it cannot."""
        now = self._clock()

        def judge(tx: Tx) -> Invitation | Problem:
            invitation = self.find(tx, ticket)
            problem = rules.problem_of(invitation, has_administrator=accounts.has_administrator(tx), now=now)
            return problem or invitation or TICKET_INVALID

        return await self._database.read(judge)

    def redeem(self, tx: Tx, invitation_id: str, user_id: str, now: int) -> Invitation:
        """Use it up, once, for this user. Raises Refused: it may have been used or revoked since it was looked at."""
        invitation = store.find(tx, invitation_id)
        problem = rules.problem_of(invitation, has_administrator=accounts.has_administrator(tx), now=now)
        if problem is not None or invitation is None:
            raise Refused(problem or TICKET_INVALID)
        if not store.accept(tx, invitation_id, user_id, now):
            raise Refused(INVITATION_ALREADY_ACCEPTED)
        audit.record(tx, now=now, actor=user_id, action="invitation.accepted", object_id=invitation_id)
        return invitation

    def new(self, invitation: Invitation) -> MadeInvitation:
        """A ticket for it; random, so made outside the transaction that `keep`s it."""
        ticket = new_secret()
        return MadeInvitation(
            invitation, ticket, f"{self._settings.origin}/v1/tickets/accept?ticket={ticket}"
        )

    def keep(self, tx: Tx, made: MadeInvitation, *, actor: str | None) -> None:
        invitation = made.invitation
        store.insert(tx, invitation, self._hash.of(_TICKET, made.ticket))
        audit.record(
            tx,
            now=invitation.created_at,
            actor=actor,
            action="invitation.created",
            object_id=invitation.id,
            detail=invitation.kind,
        )

    # -- the first administrator

    async def for_administrator(self) -> str | None:
        """A one-time sign-up URL that makes the first administrator, voiding earlier ones; None once there is one."""
        now = self._clock()
        made = self.new(
            Invitation(
                id=new_id("inv"),
                kind="administrator",
                email_address=None,
                created_at=now,
                updated_at=now,
                expire_at=now + rules.ADMINISTRATOR_LIFETIME_MS,
            )
        )

        def replace(tx: Tx) -> bool:
            if accounts.has_administrator(tx):
                return False
            store.drop_open_administrator_invitations(tx)
            self.keep(tx, made, actor=None)
            return True

        url = f"{self._settings.origin}/sign-up?__clerk_ticket={made.ticket}"
        return url if await self._database.write(replace) else None

    # -- invitations to the application

    def prepare(self, wish: InvitationWish) -> MadeInvitation:
        """An application's invitation, checked and ready to `insert`. Raises Refused (422)."""
        address = account_rules.normalise_email(wish.email_address)
        if address is None:
            raise Refused(account_rules.email_problem("email_address"))
        if (problem := rules.redirect_url_problem(wish.redirect_url)) is not None:
            raise Refused(problem)
        now = self._clock()
        return self.new(
            Invitation(
                id=new_id("inv"),
                kind="application",
                email_address=address,
                public_metadata=wish.public_metadata,
                redirect_url=wish.redirect_url,
                created_at=now,
                updated_at=now,
                expire_at=now + wish.expires_in_days * DAY,
            )
        )

    def insert(self, tx: Tx, made: MadeInvitation, *, ignore_existing: bool, actor: str) -> None:
        """Raises Refused for an address that has an account (422) or waits for an invitation already (400)."""
        invitation, address = made.invitation, made.invitation.email_address or ""
        if not ignore_existing:
            if accounts.find_by_verified_email(tx, address) is not None:
                raise Refused(FORM_IDENTIFIER_EXISTS)
            if store.pending_of_address(tx, address, invitation.created_at, kind="application"):
                raise Refused(
                    DUPLICATE_RECORD.at(
                        "email_address",
                        long_message="There is already a pending invitation for this address.",
                        email_addresses=[address],
                    )
                )
        self.keep(tx, made, actor=actor)

    async def create(self, wishes: Sequence[InvitationWish], *, actor: str) -> list[MadeInvitation]:
        """All of them or none. Raises Refused."""
        made = [self.prepare(wish) for wish in wishes]

        def work(tx: Tx) -> None:
            for wish, one in zip(wishes, made, strict=True):
                self.insert(tx, one, ignore_existing=wish.ignore_existing, actor=actor)

        await self._database.write(work)
        for wish, one in zip(wishes, made, strict=True):
            if wish.notify:
                self.send(one, is_from_waitlist=wish.is_from_waitlist)
        return made

    def send(self, made: MadeInvitation, *, is_from_waitlist: bool = False) -> None:
        compose = mail.waitlist_invitation if is_from_waitlist else mail.invitation
        address = made.invitation.email_address or ""
        self._mails.post(compose(address, made.url, self._settings.application_name))

    async def page(self, wanted: InvitationFilter, part: Slice) -> tuple[list[Invitation], int]:
        now = self._clock()
        return await self._database.read(lambda tx: store.page(tx, wanted, part, now=now))

    async def get(self, invitation_id: str) -> Invitation:
        """An application's. Raises Refused (404)."""
        return await self._database.read(lambda tx: self._found(tx, invitation_id))

    async def revoke(self, invitation_id: str, *, actor: str) -> Invitation:
        """Raises Refused: 404 unknown, 400 accepted or revoked before."""
        now = self._clock()

        def work(tx: Tx) -> Invitation:
            invitation = self._found(tx, invitation_id)
            if invitation.accepted_at is not None:
                raise Refused(INVITATION_ALREADY_ACCEPTED)
            if not store.revoke(tx, invitation_id, now):
                raise Refused(INVITATION_ALREADY_REVOKED)
            audit.record(tx, now=now, actor=actor, action="invitation.revoked", object_id=invitation_id)
            return msgspec.structs.replace(invitation, revoked_at=now, updated_at=now)

        return await self._database.write(work)

    def _found(self, tx: Tx, invitation_id: str) -> Invitation:
        invitation = store.find(tx, invitation_id)
        if invitation is None or invitation.kind != "application":
            raise Refused(not_found(f"No invitation was found with id {invitation_id}"))
        return invitation
