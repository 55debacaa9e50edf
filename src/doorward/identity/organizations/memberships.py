"""Who belongs to an organization: joining, changing roles, leaving."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from doorward.identity.accounts import metadata
from doorward.identity.accounts import store as accounts
from doorward.identity.audit import store as audit
from doorward.identity.errors import (
    ALREADY_A_MEMBER,
    ORGANIZATION_MEMBERSHIP_QUOTA_EXCEEDED,
    ORGANIZATION_MINIMUM_PERMISSIONS_NEEDED,
    Refused,
    not_found,
)
from doorward.identity.identifiers import new_id
from doorward.identity.instance import store as instance_rows
from doorward.identity.organizations import role_store, rules, store
from doorward.identity.organizations.details import Membership
from doorward.identity.organizations.lookup import (
    changed_metadata,
    narrowed,
    require,
    require_enabled,
    require_for,
    require_role,
)
from doorward.identity.organizations.role_store import Role
from doorward.identity.organizations.store import MembershipFilter, MembershipRecord, OrganizationRecord
from doorward.identity.paging import Slice
from doorward.identity.resources.for_back_ends import organizations as resources
from doorward.identity.resources.images import Images
from doorward.identity.sessions import store as sessions
from doorward.identity.webhooks import outbox
from doorward.identity.webhooks.kinds import EventKind
from doorward.store import Clock, Database, Tx

# With an account, as browsers see it: whoever belongs to more asks for them page by page.
MOST_SHOWN = 100

_EVENTS: dict[str, EventKind] = {
    "created": "organizationMembership.created",
    "updated": "organizationMembership.updated",
    "deleted": "organizationMembership.deleted",
}


class Memberships:
    """`actor` is a key, which may do all of it, or with `as_member` a person, who may what their role lets them."""

    def __init__(self, database: Database, clock: Clock, *, images: Images) -> None:
        self._images = images
        self._database = database
        self._clock = clock

    def insert(
        self,
        tx: Tx,
        organization: OrganizationRecord,
        user_id: str,
        role: Role,
        *,
        membership_id: str,
        actor: str,
        now: int,
        public_metadata: str = "{}",
        private_metadata: str = "{}",
    ) -> MembershipRecord:
        """Inside the caller's transaction, which also keeps the count below the quota. Raises Refused (400, 403)."""
        quota = organization.max_allowed_memberships
        if store.find_membership(tx, organization.id, user_id) is not None:
            raise Refused(ALREADY_A_MEMBER)
        if quota and store.count_members(tx, organization.id) >= quota:
            raise Refused(ORGANIZATION_MEMBERSHIP_QUOTA_EXCEEDED)
        membership = MembershipRecord(
            membership_id,
            organization.id,
            user_id,
            role.record.id,
            public_metadata,
            private_metadata,
            now,
            now,
        )
        if not store.insert_membership(tx, membership):
            raise Refused(ALREADY_A_MEMBER)
        self._record(tx, membership, "created", actor, now)
        return membership

    async def add(
        self,
        organization_id: str,
        user_id: str,
        role_key: str,
        *,
        public_metadata: Mapping[str, Any],
        private_metadata: Mapping[str, Any],
        actor: str,
        as_member: bool = False,
    ) -> Membership:
        """Raises Refused: 404 for no such organization or user, 422 for no such role, 400, 403."""
        now, membership_id = self._clock(), new_id("orgmem")
        public = metadata.as_text("public_metadata", public_metadata)
        private = metadata.as_text("private_metadata", private_metadata)

        def work(tx: Tx) -> Membership:
            organization = require_for(tx, organization_id, actor, rules.MANAGE_MEMBERS, as_member=as_member)
            if accounts.find_user(tx, user_id) is None:
                raise Refused(not_found(f"No user was found with id {user_id}"))
            record = self.insert(
                tx,
                organization,
                user_id,
                require_role(tx, role_key),
                membership_id=membership_id,
                actor=actor,
                now=now,
                public_metadata=public,
                private_metadata=private,
            )
            return self.shown(tx, record)

        return await self._database.write(work)

    async def page(
        self,
        wanted: MembershipFilter,
        part: Slice,
        *,
        member: str | None = None,
    ) -> tuple[list[Membership], int]:
        """`member` is the person who asks about an organization, who must be one who may. Raises Refused (403, 404)."""

        def find(tx: Tx) -> tuple[list[Membership], int]:
            require_enabled(tx)
            chosen = narrowed(tx, wanted, member, rules.READ_MEMBERS)
            records, total = store.page_of_memberships(tx, chosen, part)
            return [self.shown(tx, record) for record in records], total

        return await self._database.read(find)

    async def change_role(
        self, organization_id: str, user_id: str, role_key: str, *, actor: str, as_member: bool = False
    ) -> Membership:
        """Raises Refused: 404, 422 for no such role, 400 when nobody could manage the organization afterwards."""
        now = self._clock()

        def work(tx: Tx) -> Membership:
            require_for(tx, organization_id, actor, rules.MANAGE_MEMBERS, as_member=as_member)
            before = self._found(tx, organization_id, user_id)
            after = replace(before, role_id=require_role(tx, role_key).record.id, updated_at=now)
            store.put_membership(tx, after)
            require_manageable(tx, before.organization_id)
            self._record(tx, after, "updated", actor, now)
            return self.shown(tx, after)

        return await self._database.write(work)

    async def merge_metadata(
        self,
        organization_id: str,
        user_id: str,
        *,
        public_metadata: Mapping[str, Any] | None,
        private_metadata: Mapping[str, Any] | None,
        actor: str,
    ) -> Membership:
        """Raises Refused (404, 422)."""
        now = self._clock()

        def work(tx: Tx) -> Membership:
            before = self._found(tx, organization_id, user_id)
            after = replace(
                before,
                public_metadata=changed_metadata(
                    "public_metadata", before.public_metadata, public_metadata, merges=True
                ),
                private_metadata=changed_metadata(
                    "private_metadata", before.private_metadata, private_metadata, merges=True
                ),
                updated_at=now,
            )
            store.put_membership(tx, after)
            self._record(tx, after, "updated", actor, now)
            return self.shown(tx, after)

        return await self._database.write(work)

    async def remove(
        self, organization_id: str, user_id: str, *, actor: str, as_member: bool = False
    ) -> Membership:
        """The membership that was; everybody may end their own. Raises Refused: 404, 403, 400 for the last one who could
        manage the organization."""
        now = self._clock()

        def work(tx: Tx) -> Membership:
            if actor != user_id:
                require_for(tx, organization_id, actor, rules.MANAGE_MEMBERS, as_member=as_member)
            membership = self._found(tx, organization_id, user_id)
            shown = self.shown(tx, membership)
            store.delete_membership(tx, membership.id)
            sessions.leave_organization(tx, membership.organization_id, membership.user_id)
            if rules.is_elevated(shown.role.keys):
                require_manageable(tx, membership.organization_id)
            self._record(tx, membership, "deleted", actor, now)
            return shown

        return await self._database.write(work)

    async def of_user(
        self, user_id: str, *, limit: int = MOST_SHOWN, offset: int = 0
    ) -> tuple[list[Membership], int]:
        """Oldest first; none where the instance has no organizations."""

        def find(tx: Tx) -> tuple[list[Membership], int]:
            if not instance_rows.settings(tx).organizations.enabled:
                return [], 0
            wanted = MembershipFilter(user_ids=(user_id,))
            found, total = store.page_of_memberships(tx, wanted, Slice(limit, offset, is_descending=False))
            return [self.shown(tx, record) for record in found], total

        return await self._database.read(find)

    async def active(self, organization: str, user_id: str) -> Membership | None:
        """The membership a session may act in (by the organization's id or slug), if there is one and the instance has
        organizations at all."""

        return await self._database.read(lambda tx: self.find_active(tx, organization, user_id))

    def find_active(self, tx: Tx, organization: str, user_id: str) -> Membership | None:
        if not instance_rows.settings(tx).organizations.enabled:
            return None
        found = store.find(tx, organization)
        membership = None if found is None else store.find_membership(tx, found.id, user_id)
        return None if membership is None else self.shown(tx, membership)

    def shown(self, tx: Tx, record: MembershipRecord) -> Membership:
        organization = store.find(tx, record.organization_id)
        role = role_store.find_role(tx, record.role_id)
        account = accounts.find_account(tx, record.user_id)
        if organization is None or role is None or account is None:
            raise RuntimeError(f"{record.id} refers to rows that are gone")
        return Membership(record, organization, role, account)

    def _found(self, tx: Tx, organization_id: str, user_id: str) -> MembershipRecord:
        membership = store.find_membership(tx, require(tx, organization_id).id, user_id)
        if membership is None:
            raise Refused(not_found(f"{user_id} is not a member of {organization_id}"))
        return membership

    def _record(self, tx: Tx, membership: MembershipRecord, what: str, actor: str, now: int) -> None:
        audit.record(
            tx,
            now=now,
            actor=actor,
            action=f"organization_membership.{what}",
            object_id=membership.id,
            detail=msgspec.json.encode([membership.organization_id, membership.user_id]).decode(),
        )
        kind = _EVENTS[what]
        if outbox.is_wanted(tx, kind):
            shown = resources.membership(self.shown(tx, membership), self._images)
            outbox.enqueue(tx, kind, shown, now=now)


def require_manageable(tx: Tx, organization_id: str) -> None:
    """Raises Refused (400) when nobody is left who may manage the organization."""
    if store.count_elevated(tx, organization_id) == 0:
        raise Refused(ORGANIZATION_MINIMUM_PERMISSIONS_NEEDED)
