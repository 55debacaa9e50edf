"""`/organization_roles…` and `/organization_permissions…`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Protocol, TypeVar

import msgspec

from doorward.identity.backend_api.operations import Call, operation
from doorward.identity.backend_api.ordering import slice_of
from doorward.identity.backend_api.wire.shapes import Body, Listed, NoBody, NoQuery, Page
from doorward.identity.organizations import role_store
from doorward.identity.paging import Slice
from doorward.identity.resources import organizations as resources
from doorward.identity.resources.deleted import Deleted

R = TypeVar("R")
S = TypeVar("S")
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class RoleQuery(Page, frozen=True, kw_only=True):
    query: str | None = None
    order_by: str = "-created_at"


class CreateRole(Body, frozen=True, kw_only=True):
    name: Name
    key: str
    description: str | None = None
    permissions: list[str] | None = None
    include_in_initial_role_set: bool | None = None


class UpdateRole(Body, frozen=True, kw_only=True):
    name: Name | None = None
    key: str | None = None
    description: str | None = None
    permissions: list[str] | None = None


class CreatePermission(Body, frozen=True, kw_only=True):
    name: Name
    key: str
    description: str = ""


class UpdatePermission(Body, frozen=True, kw_only=True):
    name: Name | None = None
    key: str | None = None
    description: str | None = None


class Find(Protocol[R]):
    async def __call__(self, query: str | None, part: Slice) -> tuple[list[R], int]: ...


async def _listed(asked: RoleQuery, find: Find[R], show: Callable[[R], S]) -> Listed[S]:
    found, total = await find(asked.query, slice_of(asked, role_store.ORDERS))
    return Listed([show(one) for one in found], total)


async def list_organization_roles(call: Call[RoleQuery, NoBody]) -> Listed[resources.Role]:
    """Roles of organizations."""
    return await _listed(call.query, call.identity.organization_roles.page, resources.role)


async def create_organization_role(call: Call[NoQuery, CreateRole]) -> resources.Role:
    """Make a role."""
    body = call.body
    made = await call.identity.organization_roles.create(
        body.name, body.key, body.description, body.permissions or [], actor=call.caller.id
    )
    return resources.role(made)


async def get_organization_role(call: Call[NoQuery, NoBody]) -> resources.Role:
    """One role."""
    return resources.role(await call.identity.organization_roles.get(call.path["organization_role_id"]))


async def update_organization_role(call: Call[NoQuery, UpdateRole]) -> resources.Role:
    """Change a role; a list of permissions replaces the one before."""
    body = call.body
    changed = await call.identity.organization_roles.update(
        call.path["organization_role_id"],
        name=body.name,
        key=body.key,
        description=body.description,
        permissions=body.permissions,
        actor=call.caller.id,
    )
    return resources.role(changed)


async def delete_organization_role(call: Call[NoQuery, NoBody]) -> Deleted:
    """Delete a role nobody has."""
    role_id = call.path["organization_role_id"]
    await call.identity.organization_roles.delete(role_id, actor=call.caller.id)
    return Deleted("role", role_id)


async def assign_permission_to_organization_role(call: Call[NoQuery, NoBody]) -> resources.Role:
    """Give a role a permission."""
    changed = await call.identity.organization_roles.assign(
        call.path["organization_role_id"], call.path["permission_id"], actor=call.caller.id
    )
    return resources.role(changed)


async def remove_permission_from_organization_role(call: Call[NoQuery, NoBody]) -> resources.Role:
    """Take a permission from a role."""
    changed = await call.identity.organization_roles.unassign(
        call.path["organization_role_id"], call.path["permission_id"], actor=call.caller.id
    )
    return resources.role(changed)


async def list_organization_permissions(call: Call[RoleQuery, NoBody]) -> Listed[resources.Permission]:
    """Permissions, the system's and one's own."""
    return await _listed(
        call.query, call.identity.organization_roles.page_of_permissions, resources.permission
    )


async def create_organization_permission(call: Call[NoQuery, CreatePermission]) -> resources.Permission:
    """Make a permission: `org:<feature>:<action>`."""
    body = call.body
    made = await call.identity.organization_roles.create_permission(
        body.name, body.key, body.description, actor=call.caller.id
    )
    return resources.permission(made)


async def get_organization_permission(call: Call[NoQuery, NoBody]) -> resources.Permission:
    """One permission."""
    return resources.permission(await call.identity.organization_roles.permission(call.path["permission_id"]))


async def update_organization_permission(call: Call[NoQuery, UpdatePermission]) -> resources.Permission:
    """Change a permission of one's own."""
    body = call.body
    changed = await call.identity.organization_roles.update_permission(
        call.path["permission_id"],
        name=body.name,
        key=body.key,
        description=body.description,
        actor=call.caller.id,
    )
    return resources.permission(changed)


async def delete_organization_permission(call: Call[NoQuery, NoBody]) -> Deleted:
    """Delete a permission of one's own; roles lose it."""
    permission_id = call.path["permission_id"]
    await call.identity.organization_roles.delete_permission(permission_id, actor=call.caller.id)
    return Deleted("permission", permission_id)


_ROLE = "/organization_roles/{organization_role_id}"
_ASSIGNED = f"{_ROLE}/permissions/{{permission_id}}"
_PERMISSION = "/organization_permissions/{permission_id}"
OPERATIONS = (
    operation(
        "GET", "/organization_roles", list_organization_roles, query=RoleQuery, answer=Listed[resources.Role]
    ),
    operation(
        "POST", "/organization_roles", create_organization_role, body=CreateRole, answer=resources.Role
    ),
    operation("GET", _ROLE, get_organization_role, answer=resources.Role),
    operation("PATCH", _ROLE, update_organization_role, body=UpdateRole, answer=resources.Role),
    operation("DELETE", _ROLE, delete_organization_role, answer=Deleted),
    operation("POST", _ASSIGNED, assign_permission_to_organization_role, answer=resources.Role),
    operation("DELETE", _ASSIGNED, remove_permission_from_organization_role, answer=resources.Role),
    operation(
        "GET",
        "/organization_permissions",
        list_organization_permissions,
        query=RoleQuery,
        answer=Listed[resources.Permission],
    ),
    operation(
        "POST",
        "/organization_permissions",
        create_organization_permission,
        body=CreatePermission,
        answer=resources.Permission,
    ),
    operation("GET", _PERMISSION, get_organization_permission, answer=resources.Permission),
    operation(
        "PATCH",
        _PERMISSION,
        update_organization_permission,
        body=UpdatePermission,
        answer=resources.Permission,
    ),
    operation("DELETE", _PERMISSION, delete_organization_permission, answer=Deleted),
)
