"""How people with an address at an organization's domain come in: invited by themselves, or suggested and let in.

Nothing waits in the background: what a domain brings is found when its person looks, in the transaction that shows it.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from doorward.identity.accounts import store as accounts
from doorward.identity.accounts.store import Account
from doorward.identity.audit import store as audit
from doorward.identity.errors import Problem, Refused, not_found
from doorward.identity.identifiers import new_id
from doorward.identity.instance import store as instance_rows
from doorward.identity.invitations import rules as ticket_rules
from doorward.identity.invitations import store as tickets
from doorward.identity.invitations.service import Invitations
from doorward.identity.invitations.store import Invitation
from doorward.identity.organizations import domain_store, rules, store
from doorward.identity.organizations.domain_store import DomainRecord, Suggestion
from doorward.identity.organizations.lookup import require, require_for, require_role
from doorward.identity.organizations.memberships import Memberships
from doorward.identity.organizations.store import OrganizationRecord
from doorward.identity.resources.for_back_ends import organizations as resources
from doorward.identity.settings import DAY
from doorward.identity.webhooks import outbox
from doorward.store import Clock, Database, Tx


class SuggestedOrganization(msgspec.Struct, frozen=True):
    suggestion: Suggestion
    organization: OrganizationRecord


class MembershipRequest(msgspec.Struct, frozen=True):
    """A suggestion its user said yes to."""

    suggestion: Suggestion
    account: Account


class Enrollment:
    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        memberships: Memberships,
        invitation_service: Invitations,
    ) -> None:
        self._database = database
        self._clock = clock
        self._memberships = memberships
        self._tickets = invitation_service

    async def invite(self, user_id: str) -> None:
        """Invite a person where a domain says so and nobody has yet; once, so that who was removed stays out."""
        now = self._clock()
        waiting = await self._database.read(lambda tx: self._uninvited(tx, user_id))
        made = [
            self._tickets.new(
                Invitation(
                    id=new_id("orginv"),
                    kind="organization",
                    email_address=address,
                    organization_id=domain.organization_id,
                    role=role,
                    created_at=now,
                    updated_at=now,
                    expire_at=now + ticket_rules.DEFAULT_LIFETIME_DAYS * DAY,
                )
            )
            for domain, address, role in waiting
        ]

        def work(tx: Tx) -> None:
            still = {(domain.organization_id, address) for domain, address, _ in self._uninvited(tx, user_id)}
            for one in made:
                invitation = one.invitation
                if (invitation.organization_id, invitation.email_address) in still:
                    self._tickets.keep(tx, one, actor=None)
                    outbox.enqueue(
                        tx, "organizationInvitation.created", resources.invitation(invitation, now), now=now
                    )

        if made:
            await self._database.write(work)

    def _uninvited(self, tx: Tx, user_id: str) -> list[tuple[DomainRecord, str, str]]:
        role = instance_rows.settings(tx).organizations.domains_default_role
        return [
            (domain, address, role)
            for domain, address in self._matching(tx, user_id, "automatic_invitation")
            if not tickets.was_invited(tx, domain.organization_id, address)
        ]

    def _matching(self, tx: Tx, user_id: str, mode: str) -> list[tuple[DomainRecord, str]]:
        """Proved domains in this mode at which the person has a proved address, of organizations they are not in."""
        settings, account = instance_rows.settings(tx).organizations, accounts.find_account(tx, user_id)
        if account is None or not settings.enabled or not settings.domains_enabled:
            return []
        if mode not in settings.domains_enrollment_modes:
            return []
        found = []
        for email in account.email_addresses:
            name = email.address.rpartition("@")[2]
            domain = None if email.verified_at is None else domain_store.find_verified(tx, name)
            if domain is None or domain.enrollment_mode != mode:
                continue
            if store.find_membership(tx, domain.organization_id, user_id) is None:
                found.append((domain, email.address))
        return found

    # -- suggestions

    async def suggestions(
        self, user_id: str, statuses: tuple[str, ...], *, limit: int, offset: int
    ) -> tuple[list[SuggestedOrganization], int]:
        """What is suggested to a person, newest first."""
        now = self._clock()
        matching = await self._database.read(lambda tx: self._matching(tx, user_id, "automatic_suggestion"))
        fresh = [
            Suggestion(
                id=new_id("orgsug"),
                organization_id=domain.organization_id,
                domain_id=domain.id,
                user_id=user_id,
                status="pending",
                created_at=now,
                updated_at=now,
            )
            for domain, _ in matching
        ]

        def work(tx: Tx) -> tuple[list[SuggestedOrganization], int]:
            current = {domain.id for domain, _ in self._matching(tx, user_id, "automatic_suggestion")}
            for suggestion in fresh:
                if suggestion.domain_id in current:
                    domain_store.insert_suggestion(tx, suggestion)
            found, total = domain_store.page_of_suggestions(
                tx,
                user_id=user_id,
                statuses=statuses or ("pending", "accepted"),
                limit=limit,
                offset=offset,
            )
            return [SuggestedOrganization(one, require(tx, one.organization_id)) for one in found], total

        return await (self._database.write(work) if fresh else self._database.read(work))

    async def ask_to_join(self, suggestion_id: str, user_id: str) -> SuggestedOrganization:
        """Say yes to a suggestion. Raises Refused (404) for one that is not this person's, or is answered."""
        now = self._clock()

        def work(tx: Tx) -> SuggestedOrganization:
            suggestion = domain_store.find_suggestion(tx, suggestion_id)
            if suggestion is None or suggestion.user_id != user_id:
                raise Refused(_no_suggestion(suggestion_id))
            self._move(tx, suggestion, "pending", "accepted", actor=user_id, now=now)
            accepted = replace(suggestion, status="accepted", updated_at=now)
            return SuggestedOrganization(accepted, require(tx, suggestion.organization_id))

        return await self._database.write(work)

    # -- the organization's side

    async def requests(
        self, organization_id: str, *, member: str, limit: int, offset: int
    ) -> tuple[list[MembershipRequest], int]:
        """Who asks to join, newest first. Raises Refused (403, 404)."""

        def find(tx: Tx) -> tuple[list[MembershipRequest], int]:
            organization = require_for(tx, organization_id, member, rules.MANAGE_MEMBERS, as_member=True)
            found, total = domain_store.page_of_suggestions(
                tx, organization_id=organization.id, statuses=("accepted",), limit=limit, offset=offset
            )
            return [self._request(tx, one) for one in found], total

        return await self._database.read(find)

    async def answer(
        self, organization_id: str, request_id: str, *, is_accepted: bool, actor: str
    ) -> MembershipRequest:
        """Let somebody in, in the role of domains, or not. Raises Refused (400, 403, 404)."""
        now, membership_id = self._clock(), new_id("orgmem")
        after = "completed" if is_accepted else "rejected"

        def work(tx: Tx) -> MembershipRequest:
            organization = require_for(tx, organization_id, actor, rules.MANAGE_MEMBERS, as_member=True)
            suggestion = domain_store.find_suggestion(tx, request_id)
            if suggestion is None or suggestion.organization_id != organization.id:
                raise Refused(_no_suggestion(request_id))
            self._move(tx, suggestion, "accepted", after, actor=actor, now=now)
            if is_accepted:
                role = instance_rows.settings(tx).organizations.domains_default_role
                self._memberships.insert(
                    tx,
                    organization,
                    suggestion.user_id,
                    require_role(tx, role),
                    membership_id=membership_id,
                    actor=actor,
                    now=now,
                )
            return self._request(tx, replace(suggestion, status=after, updated_at=now))

        return await self._database.write(work)

    def _move(self, tx: Tx, suggestion: Suggestion, before: str, after: str, *, actor: str, now: int) -> None:
        if not domain_store.move_suggestion(tx, suggestion.id, before=before, after=after, now=now):
            raise Refused(_no_suggestion(suggestion.id))
        action = f"organization_suggestion.{after}"
        audit.record(tx, now=now, actor=actor, action=action, object_id=suggestion.id)

    def _request(self, tx: Tx, suggestion: Suggestion) -> MembershipRequest:
        account = accounts.find_account(tx, suggestion.user_id)
        if account is None:
            raise RuntimeError(f"{suggestion.id} refers to rows that are gone")
        return MembershipRequest(suggestion, account)


def _no_suggestion(suggestion_id: str) -> Problem:
    return not_found(f"Nothing that waits for an answer was found with id {suggestion_id}")
