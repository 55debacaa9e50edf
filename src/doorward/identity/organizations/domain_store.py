"""Rows of `identity_organization_domains` and `identity_organization_suggestions`."""

# ruff: noqa: S608  (only our own column lists and conditions are put into statements; every value is a parameter)

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from doorward.identity.paging import Slice
from doorward.store import Tx, contains


class DomainRecord(msgspec.Struct, frozen=True, kw_only=True):
    """`verified_by` is the strategy that proved it: a mailed code, or a back end that vouched."""

    id: str
    organization_id: str
    name: str
    enrollment_mode: str
    affiliation_email_address: str | None = None
    verified_at: int | None = None
    verified_by: str | None = None
    created_at: int
    updated_at: int


class Suggestion(msgspec.Struct, frozen=True, kw_only=True):
    """`pending`: shown to the user; `accepted`: they asked to join; `completed` and `rejected`: a member answered."""

    id: str
    organization_id: str
    domain_id: str
    user_id: str
    status: str
    created_at: int
    updated_at: int


class DomainFilter(msgspec.Struct, frozen=True, kw_only=True):
    organization_id: str | None = None
    is_verified: bool | None = None
    modes: tuple[str, ...] = ()
    excluded_modes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    query: str | None = None


_NAMES = DomainRecord.__struct_fields__
_DOMAIN = ", ".join(_NAMES)
_SUGGESTION_NAMES = Suggestion.__struct_fields__
_SUGGESTION = ", ".join(_SUGGESTION_NAMES)
ORDERS = {"created_at": "created_at", "name": "name"}


def _domain(row: Sequence[object]) -> DomainRecord:
    return DomainRecord(**dict(zip(_NAMES, row, strict=True)))  # type: ignore[arg-type]  # columns are the fields


def _suggestion(row: Sequence[object]) -> Suggestion:
    return Suggestion(**dict(zip(_SUGGESTION_NAMES, row, strict=True)))  # type: ignore[arg-type]  # as above


def insert(tx: Tx, domain: DomainRecord) -> bool:
    """False when the organization has it, or another has proved it."""
    marks = ", ".join("?" * len(_NAMES))
    statement = (
        f"INSERT INTO identity_organization_domains ({_DOMAIN}) VALUES ({marks}) ON CONFLICT DO NOTHING"
    )
    return tx.execute(statement, msgspec.structs.astuple(domain)) == 1


def put(tx: Tx, domain: DomainRecord) -> None:
    """Overwrite what changes. Raises ConstraintViolated (unique) when another organization has proved the domain."""
    tx.execute(
        """
        UPDATE identity_organization_domains SET enrollment_mode = ?, affiliation_email_address = ?,
            verified_at = ?, verified_by = ?, updated_at = ? WHERE id = ?
        """,
        (
            domain.enrollment_mode,
            domain.affiliation_email_address,
            domain.verified_at,
            domain.verified_by,
            domain.updated_at,
            domain.id,
        ),
    )


def find(tx: Tx, domain_id: str) -> DomainRecord | None:
    row = tx.fetch_one(f"SELECT {_DOMAIN} FROM identity_organization_domains WHERE id = ?", (domain_id,))
    return None if row is None else _domain(row)


def find_verified(tx: Tx, name: str) -> DomainRecord | None:
    row = tx.fetch_one(
        f"SELECT {_DOMAIN} FROM identity_organization_domains WHERE name = ? AND verified_at IS NOT NULL",
        (name,),
    )
    return None if row is None else _domain(row)


def delete(tx: Tx, domain_id: str) -> None:
    tx.execute("DELETE FROM identity_verifications WHERE subject_id = ?", (domain_id,))
    tx.execute("DELETE FROM identity_organization_domains WHERE id = ?", (domain_id,))


def page(tx: Tx, wanted: DomainFilter, part: Slice) -> tuple[list[DomainRecord], int]:
    """The page, by one of ORDERS, and how many there are in all."""
    conditions, values = ["1 = 1"], list[object]()
    if wanted.organization_id is not None:
        conditions.append("organization_id = ?")
        values.append(wanted.organization_id)
    if wanted.is_verified is not None:
        conditions.append(f"verified_at IS {'NOT ' if wanted.is_verified else ''}NULL")
    for column, chosen, word in (
        ("enrollment_mode", wanted.modes, "IN"),
        ("enrollment_mode", wanted.excluded_modes, "NOT IN"),
        ("name", wanted.names, "IN"),
    ):
        if chosen:
            conditions.append(f"{column} {word} ({', '.join('?' * len(chosen))})")
            values += chosen
    if wanted.query:
        conditions.append(r"(name LIKE ? ESCAPE '\' OR id = ?)")
        values += [contains(wanted.query.lower()), wanted.query]
    where = " AND ".join(conditions)
    count = tx.fetch_one(f"SELECT count(*) FROM identity_organization_domains WHERE {where}", values)
    rows = tx.fetch_all(
        f"""
        SELECT {_DOMAIN} FROM identity_organization_domains WHERE {where}
        {part.order_by(ORDERS)}
        """,
        (*values, part.limit, part.offset),
    )
    return [_domain(row) for row in rows], 0 if count is None else int(count[0])


# -- suggestions


def insert_suggestion(tx: Tx, suggestion: Suggestion) -> bool:
    """False when the organization was suggested to this user before."""
    marks = ", ".join("?" * len(_SUGGESTION_NAMES))
    statement = f"INSERT INTO identity_organization_suggestions ({_SUGGESTION}) VALUES ({marks}) ON CONFLICT DO NOTHING"
    return tx.execute(statement, msgspec.structs.astuple(suggestion)) == 1


def find_suggestion(tx: Tx, suggestion_id: str) -> Suggestion | None:
    row = tx.fetch_one(
        f"SELECT {_SUGGESTION} FROM identity_organization_suggestions WHERE id = ?", (suggestion_id,)
    )
    return None if row is None else _suggestion(row)


def move_suggestion(tx: Tx, suggestion_id: str, *, before: str, after: str, now: int) -> bool:
    """True for the one caller that moves it."""
    return (
        tx.execute(
            """
            UPDATE identity_organization_suggestions SET status = ?, updated_at = ? WHERE id = ? AND status = ?
            """,
            (after, now, suggestion_id, before),
        )
        == 1
    )


def page_of_suggestions(
    tx: Tx,
    *,
    organization_id: str | None = None,
    user_id: str | None = None,
    statuses: Sequence[str],
    limit: int,
    offset: int,
) -> tuple[list[Suggestion], int]:
    """Newest first, and how many there are in all."""
    conditions = [f"status IN ({', '.join('?' * len(statuses))})"]
    values = list[object](statuses)
    for column, value in (("organization_id", organization_id), ("user_id", user_id)):
        if value is not None:
            conditions.append(f"{column} = ?")
            values.append(value)
    where = " AND ".join(conditions)
    count = tx.fetch_one(f"SELECT count(*) FROM identity_organization_suggestions WHERE {where}", values)
    rows = tx.fetch_all(
        f"""
        SELECT {_SUGGESTION} FROM identity_organization_suggestions WHERE {where}
        ORDER BY created_at DESC, id DESC LIMIT ? OFFSET ?
        """,
        (*values, limit, offset),
    )
    return [_suggestion(row) for row in rows], 0 if count is None else int(count[0])


def count_pending_suggestions(tx: Tx, domain_id: str) -> int:
    row = tx.fetch_one(
        "SELECT count(*) FROM identity_organization_suggestions WHERE domain_id = ? AND status = 'pending'",
        (domain_id,),
    )
    return 0 if row is None else int(row[0])


def delete_pending_suggestions(tx: Tx, domain_id: str) -> None:
    tx.execute(
        "DELETE FROM identity_organization_suggestions WHERE domain_id = ? AND status = 'pending'",
        (domain_id,),
    )
