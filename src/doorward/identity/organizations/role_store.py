"""Rows of `identity_organization_roles`, `…_permissions` and `…_role_permissions`."""

# ruff: noqa: S608  (only our own column lists and conditions are put into statements; every value is a parameter)

from __future__ import annotations

import msgspec

from doorward.identity.paging import Slice
from doorward.store import Tx, contains
from doorward.store.database import Row


class Permission(msgspec.Struct, frozen=True):
    """`type` is `system` or `user`."""

    id: str
    name: str
    key: str
    description: str
    type: str
    created_at: int
    updated_at: int


class RoleRecord(msgspec.Struct, frozen=True):
    id: str
    name: str
    key: str
    description: str | None
    created_at: int
    updated_at: int


class Role(msgspec.Struct, frozen=True):
    record: RoleRecord
    permissions: tuple[Permission, ...]

    @property
    def keys(self) -> list[str]:
        return [permission.key for permission in self.permissions]


_ROLE = ", ".join(RoleRecord.__struct_fields__)
_PERMISSION = ", ".join(Permission.__struct_fields__)
ORDERS = {"created_at": "created_at", "name": "name", "key": "key"}


def insert_role(tx: Tx, role: RoleRecord) -> bool:
    """False when the key is taken."""
    return (
        tx.execute(
            f"INSERT INTO identity_organization_roles ({_ROLE}) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            msgspec.structs.astuple(role),
        )
        == 1
    )


def insert_permission(tx: Tx, permission: Permission) -> bool:
    """False when the key is taken."""
    return (
        tx.execute(
            f"""
            INSERT INTO identity_organization_permissions ({_PERMISSION}) VALUES (?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT DO NOTHING
            """,
            msgspec.structs.astuple(permission),
        )
        == 1
    )


def assign(tx: Tx, role_id: str, permission_id: str) -> bool:
    """False when the role has it already."""
    return (
        tx.execute(
            """
            INSERT INTO identity_organization_role_permissions (role_id, permission_id) VALUES (?, ?)
            ON CONFLICT DO NOTHING
            """,
            (role_id, permission_id),
        )
        == 1
    )


def unassign(tx: Tx, role_id: str, permission_id: str) -> bool:
    return (
        tx.execute(
            "DELETE FROM identity_organization_role_permissions WHERE role_id = ? AND permission_id = ?",
            (role_id, permission_id),
        )
        == 1
    )


def find_role(tx: Tx, id_or_key: str) -> Role | None:
    row = tx.fetch_one(
        f"SELECT {_ROLE} FROM identity_organization_roles WHERE id = ? OR key = ?", (id_or_key, id_or_key)
    )
    return None if row is None else _with_permissions(tx, RoleRecord(*row))


def find_permission(tx: Tx, id_or_key: str) -> Permission | None:
    row = tx.fetch_one(
        f"SELECT {_PERMISSION} FROM identity_organization_permissions WHERE id = ? OR key = ?",
        (id_or_key, id_or_key),
    )
    return None if row is None else Permission(*row)


def update_role(tx: Tx, role: RoleRecord) -> None:
    """Raises ConstraintViolated (unique) when the key is taken."""
    tx.execute(
        "UPDATE identity_organization_roles SET name = ?, key = ?, description = ?, updated_at = ? WHERE id = ?",
        (role.name, role.key, role.description, role.updated_at, role.id),
    )


def update_permission(tx: Tx, permission: Permission) -> None:
    """Raises ConstraintViolated (unique) when the key is taken."""
    tx.execute(
        """
        UPDATE identity_organization_permissions SET name = ?, key = ?, description = ?, updated_at = ?
        WHERE id = ?
        """,
        (permission.name, permission.key, permission.description, permission.updated_at, permission.id),
    )


def delete_role(tx: Tx, role_id: str) -> None:
    tx.execute("DELETE FROM identity_organization_roles WHERE id = ?", (role_id,))


def delete_permission(tx: Tx, permission_id: str) -> None:
    tx.execute("DELETE FROM identity_organization_permissions WHERE id = ?", (permission_id,))


def page_of_roles(tx: Tx, query: str | None, part: Slice) -> tuple[list[Role], int]:
    rows, total = _page(tx, "identity_organization_roles", _ROLE, query, part)
    return [_with_permissions(tx, RoleRecord(*row)) for row in rows], total


def page_of_permissions(tx: Tx, query: str | None, part: Slice) -> tuple[list[Permission], int]:
    rows, total = _page(tx, "identity_organization_permissions", _PERMISSION, query, part)
    return [Permission(*row) for row in rows], total


def _page(tx: Tx, table: str, columns: str, query: str | None, part: Slice) -> tuple[list[Row], int]:
    where, values = "1 = 1", []  # type: str, list[object]
    if query:
        pattern = contains(query.lower())
        where, values = (
            r"(lower(name) LIKE ? ESCAPE '\' OR key LIKE ? ESCAPE '\' OR id = ?)",
            [pattern, pattern, query],
        )
    count = tx.fetch_one(f"SELECT count(*) FROM {table} WHERE {where}", values)
    rows = tx.fetch_all(
        f"SELECT {columns} FROM {table} WHERE {where} {part.order_by(ORDERS)}",
        (*values, part.limit, part.offset),
    )
    return rows, 0 if count is None else count[0]


def _with_permissions(tx: Tx, role: RoleRecord) -> Role:
    columns = ", ".join(f"p.{name}" for name in Permission.__struct_fields__)
    rows = tx.fetch_all(
        f"""
        SELECT {columns} FROM identity_organization_permissions p
        JOIN identity_organization_role_permissions r ON r.permission_id = p.id
        WHERE r.role_id = ? ORDER BY p.key
        """,
        (role.id,),
    )
    return Role(role, tuple(Permission(*row) for row in rows))
