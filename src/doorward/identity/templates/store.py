"""Rows of `identity_jwt_templates`."""

# ruff: noqa: S608  (only our own column lists are put into statements; every value is a parameter)

from __future__ import annotations

import msgspec

from doorward.store import Tx


class TemplateRecord(msgspec.Struct, frozen=True):
    """`claims` is JSON text; `lifetime` and `allowed_clock_skew` are seconds."""

    id: str
    name: str
    claims: str
    lifetime: int
    allowed_clock_skew: int
    created_at: int
    updated_at: int


_COLUMNS = "id, name, claims, lifetime, allowed_clock_skew, created_at, updated_at"


def insert(tx: Tx, template: TemplateRecord) -> bool:
    """False when the name is taken."""
    changed = tx.execute(
        f"INSERT INTO identity_jwt_templates ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (
            template.id,
            template.name,
            template.claims,
            template.lifetime,
            template.allowed_clock_skew,
            template.created_at,
            template.updated_at,
        ),
    )
    return changed == 1


def find_by_name(tx: Tx, name: str) -> TemplateRecord | None:
    row = tx.fetch_one(f"SELECT {_COLUMNS} FROM identity_jwt_templates WHERE name = ?", (name,))
    return None if row is None else TemplateRecord(*row)


def longest_lifetime(tx: Tx) -> int:
    row = tx.fetch_one("SELECT COALESCE(MAX(lifetime), 0) FROM identity_jwt_templates")
    return 0 if row is None else int(row[0])
