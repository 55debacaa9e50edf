"""Rows of `identity_organizations` and `identity_organization_memberships`."""

# ruff: noqa: S608  (only our own column lists and conditions are put into statements; every value is a parameter)

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from doorward.identity.organizations.rules import MINIMUM_PERMISSIONS
from doorward.identity.paging import Slice
from doorward.store import Tx, contains


class OrganizationRecord(msgspec.Struct, frozen=True):
    """`max_allowed_memberships` 0 is without limit. Metadata are JSON text."""

    id: str
    name: str
    slug: str
    image_id: str | None
    public_metadata: str
    private_metadata: str
    created_by: str | None
    max_allowed_memberships: int
    admin_delete_enabled: bool
    created_at: int
    updated_at: int


class MembershipRecord(msgspec.Struct, frozen=True):
    id: str
    organization_id: str
    user_id: str
    role_id: str
    public_metadata: str
    private_metadata: str
    created_at: int
    updated_at: int


class OrganizationFilter(msgspec.Struct, frozen=True, kw_only=True):
    query: str | None = None
    user_ids: tuple[str, ...] = ()
    organization_ids: tuple[str, ...] = ()


class MembershipFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What a member must be like; None and empty ask for nothing. The texts are parts, in any case; times are the
    user's, in milliseconds. `is_impossible`: something was asked for that no user here has, such as a wallet."""

    organization_id: str | None = None
    user_ids: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    email_addresses: tuple[str, ...] = ()
    phone_numbers: tuple[str, ...] = ()
    usernames: tuple[str, ...] = ()
    query: str | None = None
    email_text: str | None = None
    phone_text: str | None = None
    username_text: str | None = None
    name_text: str | None = None
    last_active_before: int | None = None
    last_active_after: int | None = None
    created_before: int | None = None
    created_after: int | None = None
    is_impossible: bool = False


_ORGANIZATION = ", ".join(OrganizationRecord.__struct_fields__)
_MEMBERSHIP = ", ".join(f"m.{name}" for name in MembershipRecord.__struct_fields__)
_MEMBERS = "(SELECT count(*) FROM identity_organization_memberships m WHERE m.organization_id = o.id)"
ORDERS = {"created_at": "o.created_at", "name": "o.name", "members_count": _MEMBERS}
_EMAILS = "EXISTS (SELECT 1 FROM identity_email_addresses e WHERE e.user_id = m.user_id AND {})"
_PHONES = "EXISTS (SELECT 1 FROM identity_phone_numbers p WHERE p.user_id = m.user_id AND {})"
_NAME = "COALESCE(u.first_name, '') || ' ' || COALESCE(u.last_name, '')"
MEMBERSHIP_ORDERS = {
    "created_at": "m.created_at",
    "updated_at": "m.updated_at",
    "role": "r.key",
    # No text instead of NULL, which each database has its own place for.
    **{name: f"COALESCE(u.{name}, '')" for name in ("first_name", "last_name", "username")},
    "email_address": "(SELECT address FROM identity_email_addresses WHERE id = u.primary_email_address_id)",
    "phone_number": "COALESCE((SELECT number FROM identity_phone_numbers WHERE id = u.primary_phone_number_id), '')",
}


def _organization(row: Sequence[object]) -> OrganizationRecord:
    values = list(row)
    values[8] = bool(row[8])
    return OrganizationRecord(*values)  # type: ignore[arg-type]  # the columns are the fields, in order


def insert(tx: Tx, organization: OrganizationRecord) -> bool:
    """False when the slug is taken."""
    return (
        tx.execute(
            f"""
            INSERT INTO identity_organizations ({_ORGANIZATION}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT DO NOTHING
            """,
            msgspec.structs.astuple(organization),
        )
        == 1
    )


def put(tx: Tx, organization: OrganizationRecord) -> None:
    """Overwrite what changes. Raises ConstraintViolated (unique) when the slug is taken."""
    tx.execute(
        """
        UPDATE identity_organizations SET name = ?, slug = ?, image_id = ?, public_metadata = ?, private_metadata = ?,
            max_allowed_memberships = ?, admin_delete_enabled = ?, created_at = ?, updated_at = ? WHERE id = ?
        """,
        (
            organization.name,
            organization.slug,
            organization.image_id,
            organization.public_metadata,
            organization.private_metadata,
            organization.max_allowed_memberships,
            organization.admin_delete_enabled,
            organization.created_at,
            organization.updated_at,
            organization.id,
        ),
    )


def find(tx: Tx, id_or_slug: str) -> OrganizationRecord | None:
    row = tx.fetch_one(
        f"SELECT {_ORGANIZATION} FROM identity_organizations WHERE id = ? OR slug = ?",
        (id_or_slug, id_or_slug),
    )
    return None if row is None else _organization(row)


def find_each(tx: Tx, ids: Sequence[str]) -> dict[str, OrganizationRecord]:
    """Those of the ids that there are, some hundreds at most."""
    if not ids:
        return {}
    rows = tx.fetch_all(
        f"SELECT {_ORGANIZATION} FROM identity_organizations WHERE id IN ({_marks(ids)})", ids
    )
    return {found.id: found for found in map(_organization, rows)}


def delete(tx: Tx, organization_id: str) -> None:
    """With its logo, memberships and invitations."""
    tx.execute(
        "DELETE FROM identity_images WHERE id = (SELECT image_id FROM identity_organizations WHERE id = ?)",
        (organization_id,),
    )
    tx.execute("DELETE FROM identity_invitations WHERE organization_id = ?", (organization_id,))
    tx.execute("DELETE FROM identity_organizations WHERE id = ?", (organization_id,))


def page(tx: Tx, wanted: OrganizationFilter, part: Slice) -> tuple[list[OrganizationRecord], int]:
    """The page, by one of ORDERS, and how many there are in all."""
    conditions, values = ["1 = 1"], []  # type: list[str], list[object]
    if wanted.query:
        pattern = contains(wanted.query.lower())
        conditions.append(r"(lower(o.name) LIKE ? ESCAPE '\' OR o.slug LIKE ? ESCAPE '\' OR o.id = ?)")
        values += [pattern, pattern, wanted.query]
    if wanted.organization_ids:
        conditions.append(f"o.id IN ({_marks(wanted.organization_ids)})")
        values += wanted.organization_ids
    if wanted.user_ids:
        conditions.append(
            f"""EXISTS (SELECT 1 FROM identity_organization_memberships m
                WHERE m.organization_id = o.id AND m.user_id IN ({_marks(wanted.user_ids)}))"""
        )
        values += wanted.user_ids
    where = " AND ".join(conditions)
    count = tx.fetch_one(f"SELECT count(*) FROM identity_organizations o WHERE {where}", values)
    rows = tx.fetch_all(
        f"""
        SELECT {_ORGANIZATION} FROM identity_organizations o WHERE {where}
        {part.order_by(ORDERS, tie="o.id")}
        """,
        (*values, part.limit, part.offset),
    )
    return [_organization(row) for row in rows], 0 if count is None else count[0]


def count_created_by(tx: Tx, user_id: str) -> int:
    row = tx.fetch_one("SELECT count(*) FROM identity_organizations WHERE created_by = ?", (user_id,))
    return 0 if row is None else int(row[0])


def count_members(tx: Tx, organization_id: str) -> int:
    row = tx.fetch_one(
        "SELECT count(*) FROM identity_organization_memberships WHERE organization_id = ?", (organization_id,)
    )
    return 0 if row is None else int(row[0])


def count_elevated(tx: Tx, organization_id: str) -> int:
    """Members whose role has every permission that keeps an organization manageable."""
    needed = sorted(MINIMUM_PERMISSIONS)
    row = tx.fetch_one(
        f"""
        SELECT count(*) FROM identity_organization_memberships m
        WHERE m.organization_id = ? AND {len(needed)} = (
            SELECT count(*) FROM identity_organization_role_permissions r
            JOIN identity_organization_permissions p ON p.id = r.permission_id
            WHERE r.role_id = m.role_id AND p.key IN ({_marks(needed)}))
        """,
        (organization_id, *needed),
    )
    return 0 if row is None else int(row[0])


def insert_membership(tx: Tx, membership: MembershipRecord) -> bool:
    """False when the user is a member already."""
    columns = ", ".join(MembershipRecord.__struct_fields__)
    return (
        tx.execute(
            f"""
            INSERT INTO identity_organization_memberships ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT DO NOTHING
            """,
            msgspec.structs.astuple(membership),
        )
        == 1
    )


def find_membership(tx: Tx, organization_id: str, user_id: str) -> MembershipRecord | None:
    row = tx.fetch_one(
        f"SELECT {_MEMBERSHIP} FROM identity_organization_memberships m WHERE organization_id = ? AND user_id = ?",
        (organization_id, user_id),
    )
    return None if row is None else MembershipRecord(*row)


def roles_of(tx: Tx, user_id: str) -> dict[str, str]:
    """The keys of a user's roles, by organization."""
    rows = tx.fetch_all(
        """
        SELECT m.organization_id, r.key FROM identity_organization_memberships m
        JOIN identity_organization_roles r ON r.id = m.role_id WHERE m.user_id = ? ORDER BY m.created_at, m.id
        """,
        (user_id,),
    )
    return {row[0]: row[1] for row in rows}


def put_membership(tx: Tx, membership: MembershipRecord) -> None:
    tx.execute(
        """
        UPDATE identity_organization_memberships SET role_id = ?, public_metadata = ?, private_metadata = ?,
            updated_at = ? WHERE id = ?
        """,
        (
            membership.role_id,
            membership.public_metadata,
            membership.private_metadata,
            membership.updated_at,
            membership.id,
        ),
    )


def delete_membership(tx: Tx, membership_id: str) -> None:
    tx.execute("DELETE FROM identity_organization_memberships WHERE id = ?", (membership_id,))


def count_in_role(tx: Tx, role_id: str) -> int:
    row = tx.fetch_one("SELECT count(*) FROM identity_organization_memberships WHERE role_id = ?", (role_id,))
    return 0 if row is None else int(row[0])


def organizations_in_role(tx: Tx, role_id: str) -> list[str]:
    rows = tx.fetch_all(
        "SELECT DISTINCT organization_id FROM identity_organization_memberships WHERE role_id = ?", (role_id,)
    )
    return [row[0] for row in rows]


def page_of_memberships(tx: Tx, wanted: MembershipFilter, part: Slice) -> tuple[list[MembershipRecord], int]:
    """The page, by one of MEMBERSHIP_ORDERS, and how many there are in all."""
    conditions, values = _members_like(wanted)
    where = " AND ".join(conditions)
    joined = (
        "identity_organization_memberships m JOIN identity_organization_roles r ON r.id = m.role_id"
        " JOIN identity_users u ON u.id = m.user_id"
    )
    count = tx.fetch_one(f"SELECT count(*) FROM {joined} WHERE {where}", values)
    rows = tx.fetch_all(
        f"""
        SELECT {_MEMBERSHIP} FROM {joined} WHERE {where}
        {part.order_by(MEMBERSHIP_ORDERS, tie="m.id")}
        """,
        (*values, part.limit, part.offset),
    )
    return [MembershipRecord(*row) for row in rows], 0 if count is None else count[0]


def _members_like(wanted: MembershipFilter) -> tuple[list[str], list[object]]:
    """Conditions on a membership m, its role r and its user u, and their values in order."""
    conditions, values = ["1 = 0" if wanted.is_impossible else "1 = 1"], []  # type: list[str], list[object]

    def want(condition: str, *given: object) -> None:
        conditions.append(condition)
        values.extend(given)

    if wanted.organization_id is not None:
        want("m.organization_id = ?", wanted.organization_id)
    for form, column, chosen in (
        ("{}", "m.user_id", wanted.user_ids),
        ("{}", "r.key", wanted.roles),
        ("{}", "u.username", wanted.usernames),
        (_EMAILS, "e.address", wanted.email_addresses),
        (_PHONES, "p.number", wanted.phone_numbers),
    ):
        if chosen:
            want(form.format(f"{column} IN ({_marks(chosen)})"), *chosen)
    for form, column, text in (
        ("{}", "u.search_text", wanted.query),
        ("{}", "u.username", wanted.username_text),
        ("{}", f"lower({_NAME})", wanted.name_text),
        (_EMAILS, "e.address", wanted.email_text),
        (_PHONES, "p.number", wanted.phone_text),
    ):
        if text:
            want(form.format(rf"{column} LIKE ? ESCAPE '\'"), contains(text.lower()))
    for condition, instant in (
        ("u.last_active_at < ?", wanted.last_active_before),
        ("u.last_active_at > ?", wanted.last_active_after),
        ("u.created_at < ?", wanted.created_before),
        ("u.created_at > ?", wanted.created_after),
    ):
        if instant is not None:
            want(condition, instant)
    return conditions, values


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))
