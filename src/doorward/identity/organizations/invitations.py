"""Inviting people into an organization; the tickets are `invitations`'."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from doorward.identity import mail
from doorward.identity.accounts import metadata
from doorward.identity.accounts import rules as account_rules
from doorward.identity.accounts import store as accounts
from doorward.identity.audit import store as audit
from doorward.identity.errors import (
    ALREADY_A_MEMBER,
    DUPLICATE_RECORD,
    INVITATION_SIGNS_NO_ADMINISTRATOR_IN,
    NOT_A_MEMBER,
    ORGANIZATION_INVITATION_NOT_PENDING,
    TICKET_INVALID,
    Problem,
    Refused,
    not_found,
)
from doorward.identity.identifiers import new_id
from doorward.identity.invitations import rules as ticket_rules
from doorward.identity.invitations import store as tickets
from doorward.identity.invitations.service import Invitations, MadeInvitation
from doorward.identity.invitations.store import Invitation, InvitationFilter
from doorward.identity.organizations import rules, store
from doorward.identity.organizations.lookup import (
    narrowed,
    require,
    require_enabled,
    require_for,
    require_permission,
    require_role,
)
from doorward.identity.organizations.memberships import Memberships
from doorward.identity.organizations.store import OrganizationRecord
from doorward.identity.paging import Slice
from doorward.identity.resources.for_back_ends import organizations as resources
from doorward.identity.resources.images import Images
from doorward.identity.settings import DAY, IdentitySettings
from doorward.identity.webhooks import outbox
from doorward.identity.webhooks.kinds import EventKind
from doorward.store import Clock, Database, Tx


class OrganizationInvitationWish(msgspec.Struct, frozen=True):
    email_address: str
    role: str
    inviter_user_id: str | None = None
    public_metadata: Mapping[str, Any] | None = None
    private_metadata: Mapping[str, Any] | None = None
    redirect_url: str | None = None
    notify: bool = True
    expires_in_days: int = ticket_rules.DEFAULT_LIFETIME_DAYS


class OrganizationInvitations:
    def __init__(
        self,
        settings: IdentitySettings,
        database: Database,
        clock: Clock,
        *,
        invitation_service: Invitations,
        memberships: Memberships,
        images: Images,
        mails: mail.MailQueue,
    ) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._tickets = invitation_service
        self._memberships = memberships
        self._images = images
        self._mails = mails

    async def create(
        self,
        organization_id: str,
        wishes: Sequence[OrganizationInvitationWish],
        *,
        actor: str,
        as_member: bool = False,
    ) -> list[MadeInvitation]:
        """All of them or none; whoever a wish names as inviting must be one who may. Raises Refused (400, 403, 404, 422)."""

        def find(tx: Tx) -> OrganizationRecord:
            return require_for(tx, organization_id, actor, rules.MANAGE_MEMBERS, as_member=as_member)

        organization = await self._database.read(find)
        made = [self._prepared(organization.id, wish) for wish in wishes]

        def work(tx: Tx) -> None:
            find(tx)
            for one in made:
                self._insert(tx, organization.id, one, actor)

        await self._database.write(work)
        for wish, one in zip(wishes, made, strict=True):
            if wish.notify:
                address, application = one.invitation.email_address or "", self._settings.application_name
                self._mails.post(
                    mail.organization_invitation(address, one.url, organization.name, application)
                )
        return made

    def _prepared(self, organization_id: str, wish: OrganizationInvitationWish) -> MadeInvitation:
        address = account_rules.normalise_email(wish.email_address)
        if address is None:
            raise Refused(account_rules.email_problem("email_address"))
        if (problem := ticket_rules.redirect_url_problem(wish.redirect_url)) is not None:
            raise Refused(problem)
        now = self._clock()
        return self._tickets.new(
            Invitation(
                id=new_id("orginv"),
                kind="organization",
                email_address=address,
                public_metadata=metadata.as_text("public_metadata", wish.public_metadata or {}),
                private_metadata=metadata.as_text("private_metadata", wish.private_metadata or {}),
                redirect_url=wish.redirect_url,
                organization_id=organization_id,
                role=wish.role,
                inviter_id=wish.inviter_user_id,
                created_at=now,
                updated_at=now,
                expire_at=now + wish.expires_in_days * DAY,
            )
        )

    def _insert(self, tx: Tx, organization_id: str, made: MadeInvitation, actor: str) -> None:
        invitation, address = made.invitation, made.invitation.email_address or ""
        require_role(tx, invitation.role or "")
        if invitation.inviter_id is not None:
            self._require_inviter(tx, organization_id, invitation.inviter_id)
        account = accounts.find_by_verified_email(tx, address)
        if account is not None and store.find_membership(tx, organization_id, account.user.id) is not None:
            raise Refused(ALREADY_A_MEMBER)
        if tickets.pending_of_address(
            tx, address, invitation.created_at, kind="organization", organization_id=organization_id
        ):
            raise Refused(DUPLICATE_RECORD.at("email_address", email_addresses=[address]))
        self._tickets.keep(tx, made, actor=actor)
        self._tell(tx, "organizationInvitation.created", invitation, invitation.created_at)

    def _require_inviter(self, tx: Tx, organization_id: str, user_id: str) -> None:
        """Whoever is named as inviting must be a member who may. Raises Refused (403)."""
        if store.find_membership(tx, organization_id, user_id) is None:
            raise Refused(NOT_A_MEMBER)
        require_permission(tx, organization_id, user_id, rules.MANAGE_MEMBERS)

    async def page(
        self,
        wanted: InvitationFilter,
        part: Slice,
        *,
        member: str | None = None,
    ) -> tuple[list[Invitation], int]:
        """`member` is the person who asks about an organization, who must be one who may. Raises Refused (403, 404)."""
        now = self._clock()

        def find(tx: Tx) -> tuple[list[Invitation], int]:
            require_enabled(tx)
            chosen = narrowed(tx, wanted, member, rules.MANAGE_MEMBERS)
            return tickets.page(tx, chosen, part, now=now)

        return await self._database.read(find)

    async def page_of_instance(
        self, wanted: InvitationFilter, part: Slice
    ) -> tuple[list[tuple[Invitation, OrganizationRecord]], int]:
        """Invitations of every organization, each with the one that invites. Raises Refused (403)."""
        now = self._clock()

        def find(tx: Tx) -> tuple[list[tuple[Invitation, OrganizationRecord]], int]:
            require_enabled(tx)
            found, total = tickets.page(tx, wanted, part, now=now)
            return _with_organizations(tx, found), total

        return await self._database.read(find)

    async def get(self, organization_id: str, invitation_id: str) -> Invitation:
        """Raises Refused (403, 404)."""
        return await self._database.read(lambda tx: self._found(tx, organization_id, invitation_id))

    async def revoke(
        self,
        organization_id: str,
        invitation_id: str,
        *,
        requesting_user_id: str | None = None,
        actor: str,
        as_member: bool = False,
    ) -> Invitation:
        """Raises Refused: 404 unknown or no longer pending, 403 for a person who may not."""
        now = self._clock()

        def work(tx: Tx) -> Invitation:
            require_for(tx, organization_id, actor, rules.MANAGE_MEMBERS, as_member=as_member)
            invitation = self._found(tx, organization_id, invitation_id)
            if requesting_user_id is not None:
                self._require_inviter(tx, invitation.organization_id or "", requesting_user_id)
            is_pending = ticket_rules.status_of(invitation, now) == "pending"
            if not is_pending or not tickets.revoke(tx, invitation_id, now):
                raise Refused(ORGANIZATION_INVITATION_NOT_PENDING)
            audit.record(tx, now=now, actor=actor, action="invitation.revoked", object_id=invitation_id)
            revoked = replace(invitation, revoked_at=now, updated_at=now)
            self._tell(tx, "organizationInvitation.revoked", revoked, now)
            return revoked

        return await self._database.write(work)

    async def accept(self, ticket: str, user_id: str) -> Invitation:
        """Join with an account that exists. Raises Refused (400, 403): the ticket must be this user's."""
        return await self._accept(lambda tx: self._tickets.find(tx, ticket), user_id, TICKET_INVALID)

    async def accept_own(self, invitation_id: str, user_id: str) -> tuple[Invitation, OrganizationRecord]:
        """Join by an invitation to an address of one's own, found in one's account. Raises Refused (400, 403, 404)."""
        unknown = not_found(f"No invitation was found with id {invitation_id}")
        accepted = await self._accept(lambda tx: tickets.find(tx, invitation_id), user_id, unknown)
        organization = await self._database.read(lambda tx: require(tx, accepted.organization_id or ""))
        return accepted, organization

    async def _accept(
        self, find: Callable[[Tx], Invitation | None], user_id: str, unknown: Problem
    ) -> Invitation:
        now, membership_id = self._clock(), new_id("orgmem")

        def work(tx: Tx) -> Invitation:
            invitation = find(tx)
            if invitation is None or self._invitee(tx, invitation) != user_id:
                # Mailed to one address: whoever is signed in with another account must not join with it.
                raise Refused(unknown)
            return self._join_with(tx, invitation, user_id, membership_id, now)

        return await self._database.write(work)

    async def invitee_of(self, ticket: str) -> str | None:
        """The user whose address an organization's invitation was mailed to, and whom it signs in; None for any other
        ticket. Raises Refused (403)."""

        def find(tx: Tx) -> str | None:
            invitation = self._tickets.find(tx, ticket)
            return None if invitation is None else self._signed_in_by(tx, invitation)

        return await self._database.read(find)

    def accept_in(self, tx: Tx, ticket: str, user_id: str, *, membership_id: str, now: int) -> None:
        """`accept` by whom the ticket signs in, inside the caller's transaction."""
        invitation = self._tickets.find(tx, ticket)
        if invitation is None or self._signed_in_by(tx, invitation) != user_id:
            raise Refused(TICKET_INVALID)
        self._join_with(tx, invitation, user_id, membership_id, now)

    def _invitee(self, tx: Tx, invitation: Invitation) -> str | None:
        if invitation.kind != "organization":
            return None
        owner = accounts.find_by_verified_email(tx, invitation.email_address or "")
        return None if owner is None else owner.user.id

    def _signed_in_by(self, tx: Tx, invitation: Invitation) -> str | None:
        """The invitee, but never an administrator: who holds a secret key makes invitations, and reads their links.
        Raises Refused (403)."""
        user_id = self._invitee(tx, invitation)
        user = None if user_id is None else accounts.find_user(tx, user_id)
        if user is not None and user.is_administrator:
            raise Refused(INVITATION_SIGNS_NO_ADMINISTRATOR_IN)
        return user_id

    def _join_with(
        self, tx: Tx, invitation: Invitation, user_id: str, membership_id: str, now: int
    ) -> Invitation:
        redeemed = self._tickets.redeem(tx, invitation.id, user_id, now)
        self.join(tx, redeemed, user_id, membership_id=membership_id, now=now)
        return replace(redeemed, accepted_at=now, accepted_by=user_id, updated_at=now)

    async def of_user(
        self, user_id: str, statuses: tuple[str, ...], *, limit: int, offset: int
    ) -> tuple[list[tuple[Invitation, OrganizationRecord]], int]:
        """Invitations to the addresses a person has proved, newest first. Raises Refused (403, 404)."""
        now = self._clock()

        def find(tx: Tx) -> tuple[list[tuple[Invitation, OrganizationRecord]], int]:
            require_enabled(tx)
            account = accounts.find_account(tx, user_id)
            emails = [] if account is None else account.email_addresses
            wanted = InvitationFilter(
                kind="organization",
                email_addresses=tuple(email.address for email in emails if email.verified_at is not None),
                statuses=statuses,
            )
            if not wanted.email_addresses:
                return [], 0
            found, total = tickets.page(tx, wanted, Slice(limit, offset), now=now)
            return _with_organizations(tx, found), total

        return await self._database.read(find)

    def join(self, tx: Tx, invitation: Invitation, user_id: str, *, membership_id: str, now: int) -> None:
        """The membership an invitation just redeemed brings; its metadata come along. Raises Refused."""
        organization = require(tx, invitation.organization_id or "")
        self._memberships.insert(
            tx,
            organization,
            user_id,
            require_role(tx, invitation.role or ""),
            membership_id=membership_id,
            actor=user_id,
            now=now,
            public_metadata=invitation.public_metadata,
            private_metadata=invitation.private_metadata,
        )
        accepted = replace(invitation, accepted_at=now, accepted_by=user_id, updated_at=now)
        self._tell(tx, "organizationInvitation.accepted", accepted, now)

    async def inviters_of(
        self, invitations: Sequence[Invitation]
    ) -> dict[str | None, resources.PublicInviterData]:
        """Who invites, by their user id; whoever is gone is not among them."""
        ids = list({one.inviter_id for one in invitations if one.inviter_id is not None})
        return await self._database.read(lambda tx: self._inviters(tx, ids))

    def _inviters(self, tx: Tx, user_ids: Sequence[str]) -> dict[str | None, resources.PublicInviterData]:
        found = accounts.accounts_with(tx, user_ids)
        return {account.user.id: resources.inviter(account, self._images) for account in found}

    def _tell(self, tx: Tx, kind: EventKind, invitation: Invitation, now: int) -> None:
        by = None
        if invitation.inviter_id is not None:
            by = self._inviters(tx, [invitation.inviter_id]).get(invitation.inviter_id)
        outbox.enqueue(tx, kind, resources.invitation(invitation, now, by), now=now)

    def _found(self, tx: Tx, organization_id: str, invitation_id: str) -> Invitation:
        organization = require(tx, organization_id)
        invitation = tickets.find(tx, invitation_id)
        if invitation is None or invitation.organization_id != organization.id:
            raise Refused(not_found(f"No invitation was found with id {invitation_id}"))
        return invitation


def _with_organizations(tx: Tx, found: Sequence[Invitation]) -> list[tuple[Invitation, OrganizationRecord]]:
    by_id = store.find_each(tx, [one.organization_id or "" for one in found])
    return [(one, by_id[one.organization_id or ""]) for one in found]
