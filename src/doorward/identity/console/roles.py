"""What members of organizations may do: roles, and the permissions they are made of."""

from collections.abc import Mapping

import msgspec
from starlette.responses import Response

from doorward.identity.console.call import Call
from doorward.identity.console.sections import Question, Section, asking
from doorward.identity.errors import FORM_PARAM_FORMAT_INVALID, Refused
from doorward.identity.organizations.role_store import Permission, Role
from doorward.identity.paging import Slice

PATH = "/admin/roles"
_ROLE, _PERMISSION = f"{PATH}/{{role_id}}", f"{PATH}/permissions/{{permission_id}}"
_MOST = 500
_BOX = "permission-"


class RoleForm(msgspec.Struct):
    name: str = ""
    key: str = "org:"
    description: str = ""
    permissions: tuple[str, ...] = ()
    """Ids; each is a box of its own in the form."""


class PermissionForm(msgspec.Struct):
    name: str = ""
    key: str = "org:"
    description: str = ""


async def _everything(call: Call) -> tuple[list[Role], list[Permission]]:
    service, all_of_them = call.identity.organization_roles, Slice(_MOST, is_descending=False)
    roles, _ = await service.page(None, all_of_them)
    permissions, _ = await service.page_of_permissions(None, all_of_them)
    return roles, permissions


async def show(call: Call) -> Response:
    roles, permissions = await _everything(call)
    return call.page("roles.html", roles=roles, permissions=permissions)


def _role_form(fields: Mapping[str, str]) -> RoleForm:
    boxes = tuple(name.removeprefix(_BOX) for name in fields if name.startswith(_BOX))
    return RoleForm(
        name=fields.get("name", "").strip(),
        key=fields.get("key", "").strip(),
        description=fields.get("description", ""),
        permissions=boxes,
    )


def _require_name(name: str) -> str:
    """Raises Refused (422)."""
    if not name.strip() or len(name) > 100 or not name.isprintable():
        raise Refused(FORM_PARAM_FORMAT_INVALID.at("name", long_message="Write a name of up to 100 letters."))
    return name.strip()


async def _role_page(
    call: Call, form: RoleForm, refused: Refused | None = None, role: Role | None = None
) -> Response:
    _, permissions = await _everything(call)
    return call.form("role.html", form, refused, role=role, permissions=permissions)


async def show_new(call: Call) -> Response:
    return await _role_page(call, RoleForm())


async def create(call: Call) -> Response:
    form = _role_form(await call.fields())
    try:
        await call.identity.organization_roles.create(
            _require_name(form.name), form.key, form.description or None, form.permissions, actor=call.actor
        )
    except Refused as refused:
        return await _role_page(call, form, refused)
    return call.see(PATH, told="role-created")


async def _role(call: Call) -> Role:
    """Raises Refused (404)."""
    return await call.identity.organization_roles.get(call.path["role_id"])


async def show_edit(call: Call) -> Response:
    role = await _role(call)
    form = RoleForm(
        role.record.name,
        role.record.key,
        role.record.description or "",
        tuple(permission.id for permission in role.permissions),
    )
    return await _role_page(call, form, role=role)


async def change(call: Call) -> Response:
    form, role = _role_form(await call.fields()), await _role(call)
    try:
        await call.identity.organization_roles.update(
            role.record.id,
            name=_require_name(form.name),
            key=form.key,
            description=form.description,
            permissions=form.permissions,
            actor=call.actor,
        )
    except Refused as refused:
        return await _role_page(call, form, refused, role)
    return call.see(PATH, told="role-changed")


async def ask_delete(call: Call) -> Question:
    role = await _role(call)
    return Question(
        title="Delete this role?",
        text="It has to be nobody's. Members who have it need another one first.",
        action="Delete the role",
        busy="Deleting…",
        back=PATH,
        facts=(("Role", role.record.name), ("Key", role.record.key)),
    )


async def delete(call: Call) -> Response:
    await call.identity.organization_roles.delete((await _role(call)).record.id, actor=call.actor)
    return call.see(PATH, told="role-deleted")


async def show_new_permission(call: Call) -> Response:
    return call.form("permission.html", PermissionForm(), permission=None)


async def create_permission(call: Call) -> Response:
    form = await call.form_of(PermissionForm)
    try:
        await call.identity.organization_roles.create_permission(
            _require_name(form.name), form.key.strip(), form.description, actor=call.actor
        )
    except Refused as refused:
        return call.form("permission.html", form, refused, permission=None)
    return call.see(PATH, told="permission-created")


async def _permission(call: Call) -> Permission:
    """Raises Refused (404)."""
    return await call.identity.organization_roles.permission(call.path["permission_id"])


async def show_permission(call: Call) -> Response:
    permission = await _permission(call)
    form = PermissionForm(permission.name, permission.key, permission.description)
    return call.form("permission.html", form, permission=permission)


async def change_permission(call: Call) -> Response:
    form, permission = await call.form_of(PermissionForm), await _permission(call)
    try:
        await call.identity.organization_roles.update_permission(
            permission.id,
            name=_require_name(form.name),
            key=form.key.strip(),
            description=form.description,
            actor=call.actor,
        )
    except Refused as refused:
        return call.form("permission.html", form, refused, permission=permission)
    return call.see(PATH, told="permission-changed")


async def ask_delete_permission(call: Call) -> Question:
    permission = await _permission(call)
    return Question(
        title="Delete this permission?",
        text="Every role loses it at once. Applications that ask for it refuse from the next token on.",
        action="Delete the permission",
        busy="Deleting…",
        back=PATH,
        facts=(("Permission", permission.name), ("Key", permission.key)),
    )


async def delete_permission(call: Call) -> Response:
    await call.identity.organization_roles.delete_permission((await _permission(call)).id, actor=call.actor)
    return call.see(PATH, told="permission-deleted")


SECTION = Section(
    "Roles",
    PATH,
    "People",
    pages=(
        ("GET", PATH, show),
        ("GET", f"{PATH}/new", show_new),
        ("POST", f"{PATH}/new", create),
        ("GET", f"{PATH}/permissions/new", show_new_permission),
        ("POST", f"{PATH}/permissions/new", create_permission),
        ("GET", _PERMISSION, show_permission),
        ("POST", _PERMISSION, change_permission),
        *asking(f"{_PERMISSION}/delete", ask_delete_permission, delete_permission),
        ("GET", _ROLE, show_edit),
        ("POST", _ROLE, change),
        *asking(f"{_ROLE}/delete", ask_delete, delete),
    ),
    told={
        "role-created": "The role was made.",
        "role-changed": "The role was changed.",
        "role-deleted": "The role was deleted.",
        "permission-created": "The permission was made.",
        "permission-changed": "The permission was changed.",
        "permission-deleted": "The permission was deleted.",
    },
)
