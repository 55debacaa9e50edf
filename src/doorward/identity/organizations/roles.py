"""Keeping roles and permissions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec.structs import replace

from doorward.identity.audit import store as audit
from doorward.identity.errors import (
    FORM_ALREADY_EXISTS,
    FORM_PARAM_VALUE_INVALID,
    FORM_RESOURCE_NOT_FOUND,
    ORGANIZATION_MISSING_CREATOR_ROLE_PERMISSIONS,
    ORGANIZATION_ROLE_ASSIGNED_MEMBERS,
    ORGANIZATION_ROLE_DEFAULT_CREATOR_ROLE,
    ORGANIZATION_ROLE_DOMAIN_DEFAULT_ROLE,
    ORGANIZATION_ROLE_EXISTS_IN_INVITATIONS,
    ORGANIZATION_ROLE_PERMISSION_EXISTS,
    ORGANIZATION_ROLE_PERMISSION_NOT_FOUND,
    ORGANIZATION_SYSTEM_PERMISSION_NOT_MODIFIABLE,
    Refused,
    not_found,
)
from doorward.identity.identifiers import new_id
from doorward.identity.instance import store as instance_rows
from doorward.identity.invitations import store as invitations
from doorward.identity.organizations import role_store, rules, store
from doorward.identity.organizations.memberships import require_manageable
from doorward.identity.organizations.role_store import Permission, Role, RoleRecord
from doorward.identity.paging import Slice
from doorward.identity.resources import organizations as resources
from doorward.identity.resources.deleted import Deleted
from doorward.identity.webhooks import outbox
from doorward.store import Clock, Database, Tx


class Roles:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def prepare(self) -> None:
        """Plant the system's permissions and the two roles everybody begins with, once."""
        now = self._clock()
        permissions = [
            Permission(new_id("perm"), name, key, "", "system", now, now)
            for key, name in rules.SYSTEM_PERMISSIONS.items()
        ]
        roles = [
            (RoleRecord(new_id("role"), name, key, None, now, now), keys)
            for key, (name, keys) in rules.DEFAULT_ROLES.items()
        ]

        def plant(tx: Tx) -> None:
            for permission in permissions:
                role_store.insert_permission(tx, permission)
            for role, keys in roles:
                if role_store.insert_role(tx, role):
                    self._assign_all(tx, role.id, keys)

        await self._database.write(plant)

    async def page(self, query: str | None, part: Slice) -> tuple[list[Role], int]:
        return await self._database.read(lambda tx: role_store.page_of_roles(tx, query, part))

    async def get(self, role_id: str) -> Role:
        """Raises Refused (404)."""
        return await self._database.read(lambda tx: self._role(tx, role_id))

    async def create(
        self, name: str, key: str, description: str | None, permissions: Sequence[str], *, actor: str
    ) -> Role:
        """`permissions` by id or key. Raises Refused (422)."""
        if not rules.is_role_key(key):
            raise Refused(FORM_PARAM_VALUE_INVALID.at("key", long_message="key must look like org:editor."))
        now = self._clock()
        record = RoleRecord(new_id("role"), name, key, description, now, now)

        def work(tx: Tx) -> Role:
            if not role_store.insert_role(tx, record):
                raise Refused(FORM_ALREADY_EXISTS.at("key", long_message="This key is taken."))
            self._assign_all(tx, record.id, permissions)
            return self._changed(tx, record.id, "role.created", actor=actor, now=now)

        return await self._database.write(work)

    async def update(
        self,
        role_id: str,
        *,
        name: str | None,
        key: str | None,
        description: str | None,
        permissions: Sequence[str] | None,
        actor: str,
    ) -> Role:
        """None leaves a member as it is. Raises Refused (400, 404, 422)."""
        if key is not None and not rules.is_role_key(key):
            raise Refused(FORM_PARAM_VALUE_INVALID.at("key", long_message="key must look like org:editor."))
        now = self._clock()

        def work(tx: Tx) -> Role:
            before = self._role(tx, role_id)
            record = before.record
            if key is not None and key != record.key:
                if role_store.find_role(tx, key) is not None:
                    raise Refused(FORM_ALREADY_EXISTS.at("key", long_message="This key is taken."))
                self._require_replaceable(tx, record, now)
            role_store.update_role(
                tx,
                replace(
                    record,
                    name=name or record.name,
                    key=key or record.key,
                    description=record.description if description is None else description,
                    updated_at=now,
                ),
            )
            if permissions is not None:
                for permission in before.permissions:
                    role_store.unassign(tx, record.id, permission.id)
                self._assign_all(tx, record.id, permissions)
                self._require_still_enough(tx, record)
            return self._changed(tx, record.id, "role.updated", actor=actor, now=now)

        return await self._database.write(work)

    async def delete(self, role_id: str, *, actor: str) -> None:
        """Raises Refused: 404, 422 while somebody has it, is invited into it, or new organizations need it."""
        now = self._clock()

        def work(tx: Tx) -> None:
            record = self._role(tx, role_id).record
            self._require_replaceable(tx, record, now)
            if store.count_in_role(tx, record.id):
                raise Refused(ORGANIZATION_ROLE_ASSIGNED_MEMBERS)
            role_store.delete_role(tx, record.id)
            audit.record(tx, now=now, actor=actor, action="role.deleted", object_id=record.id)
            outbox.enqueue(tx, "role.deleted", Deleted("role", record.id), now=now)

        await self._database.write(work)

    async def assign(self, role_id: str, permission_id: str, *, actor: str) -> Role:
        """Raises Refused (404, 409)."""
        now = self._clock()

        def work(tx: Tx) -> Role:
            role, permission = self._role(tx, role_id), self._permission(tx, permission_id)
            if not role_store.assign(tx, role.record.id, permission.id):
                raise Refused(ORGANIZATION_ROLE_PERMISSION_EXISTS)
            return self._changed(tx, role.record.id, "role.updated", actor=actor, now=now)

        return await self._database.write(work)

    async def unassign(self, role_id: str, permission_id: str, *, actor: str) -> Role:
        """Raises Refused (400, 404, 422)."""
        now = self._clock()

        def work(tx: Tx) -> Role:
            role, permission = self._role(tx, role_id), self._permission(tx, permission_id)
            if not role_store.unassign(tx, role.record.id, permission.id):
                raise Refused(ORGANIZATION_ROLE_PERMISSION_NOT_FOUND)
            self._require_still_enough(tx, role.record)
            return self._changed(tx, role.record.id, "role.updated", actor=actor, now=now)

        return await self._database.write(work)

    # -- permissions

    async def page_of_permissions(self, query: str | None, part: Slice) -> tuple[list[Permission], int]:
        return await self._database.read(lambda tx: role_store.page_of_permissions(tx, query, part))

    async def permission(self, permission_id: str) -> Permission:
        """Raises Refused (404)."""
        return await self._database.read(lambda tx: self._permission(tx, permission_id))

    async def create_permission(self, name: str, key: str, description: str, *, actor: str) -> Permission:
        """Raises Refused (422)."""
        if not rules.is_permission_key(key):
            raise Refused(
                FORM_PARAM_VALUE_INVALID.at("key", long_message="key must look like org:invoices:create.")
            )
        now = self._clock()
        permission = Permission(new_id("perm"), name, key, description, "user", now, now)

        def work(tx: Tx) -> Permission:
            if not role_store.insert_permission(tx, permission):
                raise Refused(FORM_ALREADY_EXISTS.at("key", long_message="This key is taken."))
            self._permission_changed(tx, permission, "permission.created", actor=actor, now=now)
            return permission

        return await self._database.write(work)

    async def update_permission(
        self,
        permission_id: str,
        *,
        name: str | None,
        key: str | None,
        description: str | None,
        actor: str,
    ) -> Permission:
        """Raises Refused: 404, 403 for the system's own, 422."""
        if key is not None and not rules.is_permission_key(key):
            raise Refused(
                FORM_PARAM_VALUE_INVALID.at("key", long_message="key must look like org:invoices:create.")
            )
        now = self._clock()

        def work(tx: Tx) -> Permission:
            before = self._own(tx, permission_id)
            if key is not None and key != before.key and role_store.find_permission(tx, key) is not None:
                raise Refused(FORM_ALREADY_EXISTS.at("key", long_message="This key is taken."))
            after = replace(
                before,
                name=name or before.name,
                key=key or before.key,
                description=before.description if description is None else description,
                updated_at=now,
            )
            role_store.update_permission(tx, after)
            self._permission_changed(tx, after, "permission.updated", actor=actor, now=now)
            return after

        return await self._database.write(work)

    async def delete_permission(self, permission_id: str, *, actor: str) -> None:
        """Raises Refused: 404, 403 for the system's own."""
        now = self._clock()

        def work(tx: Tx) -> None:
            permission = self._own(tx, permission_id)
            role_store.delete_permission(tx, permission.id)
            audit.record(tx, now=now, actor=actor, action="permission.deleted", object_id=permission.id)
            gone = Deleted("permission", permission.id)
            outbox.enqueue(tx, "permission.deleted", gone, now=now)

        await self._database.write(work)

    # -- the steps of a transaction

    def _changed(
        self, tx: Tx, role_id: str, event: Literal["role.created", "role.updated"], *, actor: str, now: int
    ) -> Role:
        """Write down and tell of what became of a role."""
        role = self._role(tx, role_id)
        audit.record(tx, now=now, actor=actor, action=event, object_id=role.record.id, detail=role.record.key)
        outbox.enqueue(tx, event, resources.role(role), now=now)
        return role

    def _permission_changed(
        self,
        tx: Tx,
        permission: Permission,
        event: Literal["permission.created", "permission.updated"],
        *,
        actor: str,
        now: int,
    ) -> None:
        audit.record(tx, now=now, actor=actor, action=event, object_id=permission.id, detail=permission.key)
        outbox.enqueue(tx, event, resources.permission(permission), now=now)

    def _role(self, tx: Tx, role_id: str) -> Role:
        role = role_store.find_role(tx, role_id)
        if role is None:
            raise Refused(not_found(f"No role was found with id {role_id}"))
        return role

    def _permission(self, tx: Tx, permission_id: str) -> Permission:
        permission = role_store.find_permission(tx, permission_id)
        if permission is None:
            raise Refused(not_found(f"No permission was found with id {permission_id}"))
        return permission

    def _own(self, tx: Tx, permission_id: str) -> Permission:
        permission = self._permission(tx, permission_id)
        if permission.type != "user":
            raise Refused(ORGANIZATION_SYSTEM_PERMISSION_NOT_MODIFIABLE)
        return permission

    def _assign_all(self, tx: Tx, role_id: str, permissions: Sequence[str]) -> None:
        for wanted in permissions:
            permission = role_store.find_permission(tx, wanted)
            if permission is None:
                raise Refused(
                    FORM_RESOURCE_NOT_FOUND.at(
                        "permissions", long_message=f"There is no permission {wanted}."
                    )
                )
            role_store.assign(tx, role_id, permission.id)

    def _require_replaceable(self, tx: Tx, role: RoleRecord, now: int) -> None:
        """Settings and invitations name a role by its key: under another, or none, they would lead nowhere. Raises
        Refused (422)."""
        settings = instance_rows.settings(tx).organizations
        if role.key == settings.creator_role:
            raise Refused(ORGANIZATION_ROLE_DEFAULT_CREATOR_ROLE)
        if role.key == settings.domains_default_role:
            raise Refused(ORGANIZATION_ROLE_DOMAIN_DEFAULT_ROLE)
        if invitations.count_pending_in_role(tx, role.key, now):
            raise Refused(ORGANIZATION_ROLE_EXISTS_IN_INVITATIONS)

    def _require_still_enough(self, tx: Tx, role: RoleRecord) -> None:
        """The creator's role keeps what an organization needs, and so does somebody in each organization."""
        current = self._role(tx, role.id)
        creators = instance_rows.settings(tx).organizations.creator_role
        if current.record.key == creators and not rules.is_elevated(current.keys):
            raise Refused(ORGANIZATION_MISSING_CREATOR_ROLE_PERMISSIONS)
        if not rules.is_elevated(current.keys):
            for organization_id in store.organizations_in_role(tx, role.id):
                require_manageable(tx, organization_id)
