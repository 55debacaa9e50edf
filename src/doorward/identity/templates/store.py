"""Rows of `identity_jwt_templates`."""

# ruff: noqa: S608  (only our own column lists are put into statements; every value is a parameter)

from __future__ import annotations

import msgspec

from doorward.store import Tx


class TemplateRecord(msgspec.Struct, frozen=True):
    """`claims` is JSON text; `lifetime` and `allowed_clock_skew` are seconds.

    `sealed_signing_key` is the template's own key; None where the instance's signs.
    """

    id: str
    name: str
    claims: str
    lifetime: int
    allowed_clock_skew: int
    signing_algorithm: str
    sealed_signing_key: bytes | None
    created_at: int
    updated_at: int

    def __repr__(self) -> str:
        return f"TemplateRecord({self.id}, {self.name})"


_COLUMNS = """id, name, claims, lifetime, allowed_clock_skew, signing_algorithm, sealed_signing_key,
    created_at, updated_at"""


def insert(tx: Tx, template: TemplateRecord) -> bool:
    """False when the name is taken."""
    changed = tx.execute(
        f"INSERT INTO identity_jwt_templates ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        msgspec.structs.astuple(template),
    )
    return changed == 1


def update(tx: Tx, template: TemplateRecord) -> None:
    tx.execute(
        """UPDATE identity_jwt_templates SET name = ?, claims = ?, lifetime = ?, allowed_clock_skew = ?,
            signing_algorithm = ?, sealed_signing_key = ?, updated_at = ? WHERE id = ?""",
        (
            template.name,
            template.claims,
            template.lifetime,
            template.allowed_clock_skew,
            template.signing_algorithm,
            template.sealed_signing_key,
            template.updated_at,
            template.id,
        ),
    )


def delete(tx: Tx, template_id: str) -> bool:
    """False when there is none."""
    return tx.execute("DELETE FROM identity_jwt_templates WHERE id = ?", (template_id,)) == 1


def find(tx: Tx, template_id: str) -> TemplateRecord | None:
    return _one(tx, "id", template_id)


def find_by_name(tx: Tx, name: str) -> TemplateRecord | None:
    return _one(tx, "name", name)


def page(tx: Tx, *, limit: int, offset: int) -> tuple[list[TemplateRecord], int]:
    """Newest first, and how many there are in all."""
    rows = tx.fetch_all(
        f"SELECT {_COLUMNS} FROM identity_jwt_templates ORDER BY created_at DESC, id DESC LIMIT ? OFFSET ?",
        (limit, offset),
    )
    total = tx.fetch_one("SELECT COUNT(*) FROM identity_jwt_templates")
    return [_record(row) for row in rows], 0 if total is None else int(total[0])


def longest_lifetime(tx: Tx) -> int:
    row = tx.fetch_one("SELECT COALESCE(MAX(lifetime), 0) FROM identity_jwt_templates")
    return 0 if row is None else int(row[0])


def _one(tx: Tx, column: str, value: str) -> TemplateRecord | None:
    row = tx.fetch_one(f"SELECT {_COLUMNS} FROM identity_jwt_templates WHERE {column} = ?", (value,))
    return None if row is None else _record(row)


def _record(row: tuple[object, ...]) -> TemplateRecord:
    record = TemplateRecord(*row)  # type: ignore[arg-type]
    sealed = record.sealed_signing_key
    return msgspec.structs.replace(record, sealed_signing_key=None if sealed is None else bytes(sealed))
