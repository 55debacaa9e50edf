"""Making, finding, changing and deleting organizations."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from doorward.identity.accounts import images, metadata
from doorward.identity.accounts import store as accounts
from doorward.identity.audit import store as audit
from doorward.identity.errors import (
    FORM_ALREADY_EXISTS,
    FORM_PARAM_VALUE_INVALID,
    ORGANIZATION_ADMIN_DELETE_NOT_ENABLED,
    ORGANIZATION_CREATION_LIMIT_EXCEEDED,
    ORGANIZATION_CREATION_NOT_ALLOWED,
    ORGANIZATION_CREATOR_NOT_FOUND,
    ORGANIZATION_SLUGS_DISABLED,
    Refused,
)
from doorward.identity.identifiers import new_id
from doorward.identity.instance import store as instance_rows
from doorward.identity.invitations import store as invitations
from doorward.identity.organizations import role_store, rules, store
from doorward.identity.organizations.details import Organization
from doorward.identity.organizations.lookup import (
    changed_metadata,
    require_enabled,
    require_for,
)
from doorward.identity.organizations.memberships import Memberships
from doorward.identity.organizations.store import OrganizationFilter, OrganizationRecord
from doorward.identity.paging import Slice
from doorward.identity.resources.for_back_ends import organizations as resources
from doorward.identity.resources.images import Images
from doorward.identity.sessions import store as sessions
from doorward.identity.webhooks import outbox
from doorward.store import Clock, Database, Tx


class NewOrganization(msgspec.Struct, frozen=True):
    name: str
    created_by: str | None = None
    slug: str | None = None
    public_metadata: Mapping[str, Any] | None = None
    private_metadata: Mapping[str, Any] | None = None
    max_allowed_memberships: int | None = None
    created_at: int | None = None


class OrganizationChange(msgspec.Struct, frozen=True):
    """None leaves a member as it is. Metadata replace the stored ones, or with `merges` are merged into them."""

    name: str | None = None
    slug: str | None = None
    max_allowed_memberships: int | None = None
    admin_delete_enabled: bool | None = None
    created_at: int | None = None
    public_metadata: Mapping[str, Any] | None = None
    private_metadata: Mapping[str, Any] | None = None
    merges: bool = False


class Organizations:
    """`actor` is a key, which may do all of it, or with `as_member` a person, who may what their role lets them."""

    def __init__(self, database: Database, clock: Clock, *, memberships: Memberships, images: Images) -> None:
        self._images = images
        self._database = database
        self._clock = clock
        self._memberships = memberships

    async def create(self, wish: NewOrganization, *, actor: str, as_member: bool = False) -> Organization:
        """Its creator becomes a member in the creator's role. Raises Refused (400, 403, 422)."""
        if not rules.is_name(wish.name):
            raise Refused(FORM_PARAM_VALUE_INVALID.at("name", long_message=rules.NAME_RULE))
        if wish.slug is not None and not rules.is_slug(wish.slug):
            raise Refused(FORM_PARAM_VALUE_INVALID.at("slug", long_message=rules.SLUG_RULE))
        now, organization_id, membership_id = self._clock(), new_id("org"), new_id("orgmem")
        slug = wish.slug or rules.slug_of(wish.name, secrets.token_hex(5))
        public = metadata.as_text("public_metadata", wish.public_metadata or {})
        private = metadata.as_text("private_metadata", wish.private_metadata or {})

        def work(tx: Tx) -> Organization:
            settings = require_enabled(tx).organizations
            if as_member:
                self._require_may_create(tx, actor)
            if wish.slug is not None and settings.slug_disabled:
                raise Refused(ORGANIZATION_SLUGS_DISABLED)
            limit = wish.max_allowed_memberships
            organization = OrganizationRecord(
                organization_id,
                wish.name.strip(),
                slug,
                None,
                public,
                private,
                wish.created_by,
                settings.max_allowed_memberships if limit is None else limit,
                settings.admin_delete_enabled,
                now if wish.created_at is None else wish.created_at,
                now,
            )
            if not store.insert(tx, organization):
                raise Refused(FORM_ALREADY_EXISTS.at("slug", long_message="This slug is taken."))
            audit.record(tx, now=now, actor=actor, action="organization.created", object_id=organization_id)
            shown = resources.organization(organization, self._images)
            outbox.enqueue(tx, "organization.created", shown, now=now)
            if wish.created_by is not None:
                role = role_store.find_role(tx, settings.creator_role)
                if role is None or accounts.find_user(tx, wish.created_by) is None:
                    raise Refused(ORGANIZATION_CREATOR_NOT_FOUND.at("created_by"))
                self._memberships.insert(
                    tx, organization, wish.created_by, role, membership_id=membership_id, actor=actor, now=now
                )
            return self._counted(tx, organization, now)

        return await self._database.write(work)

    def _require_may_create(self, tx: Tx, user_id: str) -> None:
        user = accounts.find_user(tx, user_id)
        if user is None or not user.create_organization_enabled:
            raise Refused(ORGANIZATION_CREATION_NOT_ALLOWED)
        limit = user.create_organizations_limit
        if limit is not None and store.count_created_by(tx, user_id) >= limit:
            raise Refused(ORGANIZATION_CREATION_LIMIT_EXCEEDED)

    async def get(self, id_or_slug: str, *, member: str | None = None) -> Organization:
        """With `member` only for that person. Raises Refused (403, 404)."""
        now = self._clock()

        def find(tx: Tx) -> Organization:
            organization = require_for(tx, id_or_slug, member or "", None, as_member=member is not None)
            return self._counted(tx, organization, now)

        return await self._database.read(find)

    async def permit(self, organization_id: str, user_id: str, permission: str) -> None:
        """Whether a person may go on to bring what takes long to read. Raises Refused (403, 404)."""
        await self._database.read(
            lambda tx: require_for(tx, organization_id, user_id, permission, as_member=True)
        )

    async def page(self, wanted: OrganizationFilter, part: Slice) -> tuple[list[Organization], int]:
        now = self._clock()

        def find(tx: Tx) -> tuple[list[Organization], int]:
            require_enabled(tx)
            records, total = store.page(tx, wanted, part)
            return [self._counted(tx, record, now) for record in records], total

        return await self._database.read(find)

    async def update(
        self, organization_id: str, change: OrganizationChange, *, actor: str, as_member: bool = False
    ) -> Organization:
        """Raises Refused (403, 404, 422)."""
        if change.name is not None and not rules.is_name(change.name):
            raise Refused(FORM_PARAM_VALUE_INVALID.at("name", long_message=rules.NAME_RULE))
        if change.slug is not None and not rules.is_slug(change.slug):
            raise Refused(FORM_PARAM_VALUE_INVALID.at("slug", long_message=rules.SLUG_RULE))
        now = self._clock()

        def work(tx: Tx) -> Organization:
            before = require_for(tx, organization_id, actor, rules.MANAGE_PROFILE, as_member=as_member)
            if change.slug is not None and change.slug != before.slug:
                if instance_rows.settings(tx).organizations.slug_disabled:
                    raise Refused(ORGANIZATION_SLUGS_DISABLED)
                if store.find(tx, change.slug) is not None:
                    raise Refused(FORM_ALREADY_EXISTS.at("slug", long_message="This slug is taken."))
            limit = change.max_allowed_memberships
            after = replace(
                before,
                name=(change.name or before.name).strip(),
                slug=change.slug or before.slug,
                max_allowed_memberships=before.max_allowed_memberships if limit is None else limit,
                admin_delete_enabled=before.admin_delete_enabled
                if change.admin_delete_enabled is None
                else change.admin_delete_enabled,
                public_metadata=changed_metadata(
                    "public_metadata", before.public_metadata, change.public_metadata, merges=change.merges
                ),
                private_metadata=changed_metadata(
                    "private_metadata", before.private_metadata, change.private_metadata, merges=change.merges
                ),
                created_at=before.created_at if change.created_at is None else change.created_at,
                updated_at=now,
            )
            return self._put(tx, after, actor=actor, now=now)

        return await self._database.write(work)

    async def set_logo(
        self, organization_id: str, content: bytes | None, *, actor: str, as_member: bool = False
    ) -> Organization:
        """None takes it away. Raises Refused (400 for what is no image, 403, 404)."""
        now = self._clock()

        def work(tx: Tx) -> Organization:
            before = require_for(tx, organization_id, actor, rules.MANAGE_PROFILE, as_member=as_member)
            image = None if content is None else images.checked(before.id, content)
            image_id = images.replace(tx, before.image_id, image, now)
            return self._put(tx, replace(before, image_id=image_id, updated_at=now), actor=actor, now=now)

        return await self._database.write(work)

    def _put(self, tx: Tx, after: OrganizationRecord, *, actor: str, now: int) -> Organization:
        store.put(tx, after)
        audit.record(tx, now=now, actor=actor, action="organization.updated", object_id=after.id)
        outbox.enqueue(tx, "organization.updated", resources.organization(after, self._images), now=now)
        return self._counted(tx, after, now)

    async def delete(
        self, organization_id: str, *, actor: str, as_member: bool = False
    ) -> OrganizationRecord:
        """With its logo, memberships and invitations. Raises Refused (403, 404)."""
        now = self._clock()

        def work(tx: Tx) -> OrganizationRecord:
            organization = require_for(tx, organization_id, actor, rules.DELETE_PROFILE, as_member=as_member)
            if as_member and not organization.admin_delete_enabled:
                raise Refused(ORGANIZATION_ADMIN_DELETE_NOT_ENABLED)
            store.delete(tx, organization.id)
            sessions.leave_organization(tx, organization.id)
            audit.record(tx, now=now, actor=actor, action="organization.deleted", object_id=organization.id)
            gone = resources.DeletedOrganization(id=organization.id, slug=organization.slug)
            outbox.enqueue(tx, "organization.deleted", gone, now=now)
            return organization

        return await self._database.write(work)

    def _counted(self, tx: Tx, record: OrganizationRecord, now: int) -> Organization:
        return Organization(
            record,
            store.count_members(tx, record.id),
            invitations.count_pending(tx, record.id, now),
            store.count_elevated(tx, record.id) > 0,
        )
