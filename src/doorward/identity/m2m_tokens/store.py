"""Rows of opaque tokens. Times in milliseconds. No row holds the token: it is made from the id again where it must be."""

# ruff: noqa: S608  (only our own column lists are put into statements; every value is a parameter)

from __future__ import annotations

import msgspec

from doorward.store import Tx


class M2MToken(msgspec.Struct, frozen=True):
    """`claims` is JSON as text: an object, or `null`."""

    id: str
    machine_id: str
    scopes: tuple[str, ...]
    claims: str
    created_at: int
    updated_at: int
    expire_at: int
    last_used_at: int | None = None
    revoked_at: int | None = None
    revocation_reason: str | None = None

    def is_live(self, now: int) -> bool:
        return self.revoked_at is None and now < self.expire_at


_COLUMNS = """id, machine_id, scopes, claims, created_at, updated_at, expire_at, last_used_at, revoked_at,
    revocation_reason"""
_INSERT = f"""INSERT INTO identity_m2m_tokens ({_COLUMNS}, token_hash, likeness)
    VALUES (?, ?, ?, ?, ?, ?, ?, NULL, NULL, NULL, ?, ?)"""
_FIND_BY_HASH = f"SELECT {_COLUMNS} FROM identity_m2m_tokens WHERE token_hash = ?"


def insert(tx: Tx, token: M2MToken, *, token_hash: str, likeness: str) -> None:
    tx.execute(
        _INSERT,
        (
            token.id,
            token.machine_id,
            " ".join(token.scopes),
            token.claims,
            token.created_at,
            token.updated_at,
            token.expire_at,
            token_hash,
            likeness,
        ),
    )


def find(tx: Tx, token_id: str) -> M2MToken | None:
    return _token(tx.fetch_one(f"SELECT {_COLUMNS} FROM identity_m2m_tokens WHERE id = ?", (token_id,)))


def find_by_hash(tx: Tx, token_hash: str) -> M2MToken | None:
    return _token(tx.fetch_one(_FIND_BY_HASH, (token_hash,)))


def longest_lived(tx: Tx, machine_id: str, likeness: str) -> M2MToken | None:
    """Of the machine's unrevoked tokens that say the same, the one that ends last."""
    return _token(
        tx.fetch_one(
            f"""
            SELECT {_COLUMNS} FROM identity_m2m_tokens
            WHERE machine_id = ? AND likeness = ? AND revoked_at IS NULL ORDER BY expire_at DESC, id LIMIT 1
            """,
            (machine_id, likeness),
        )
    )


def page(
    tx: Tx, machine_id: str, *, now: int, with_revoked: bool, with_expired: bool, limit: int, offset: int
) -> tuple[list[M2MToken], int]:
    """Newest first, and how many there are in all."""
    where, values = "machine_id = ?", [machine_id]
    if not with_revoked:
        where += " AND revoked_at IS NULL"
    if not with_expired:
        where += f" AND expire_at > {now:d}"
    rows = tx.fetch_all(
        f"SELECT {_COLUMNS} FROM identity_m2m_tokens WHERE {where} ORDER BY created_at DESC, id LIMIT ? OFFSET ?",
        [*values, limit, offset],
    )
    count = tx.fetch_one(f"SELECT COUNT(*) FROM identity_m2m_tokens WHERE {where}", values)
    tokens = [token for row in rows if (token := _token(row)) is not None]
    return tokens, 0 if count is None else int(count[0])


def revoke(tx: Tx, token_id: str, *, reason: str | None, now: int) -> bool:
    """False when it was revoked before."""
    return (
        tx.execute(
            """
            UPDATE identity_m2m_tokens SET revoked_at = ?, revocation_reason = ?, updated_at = ?
            WHERE id = ? AND revoked_at IS NULL
            """,
            (now, reason, now, token_id),
        )
        == 1
    )


def note_use(tx: Tx, token_id: str, now: int) -> None:
    tx.execute(
        "UPDATE identity_m2m_tokens SET last_used_at = ?, updated_at = ? WHERE id = ?", (now, now, token_id)
    )


def delete_ended_before(tx: Tx, before: int) -> None:
    tx.execute("DELETE FROM identity_m2m_tokens WHERE expire_at <= ?", (before,))


def _token(row: tuple[object, ...] | None) -> M2MToken | None:
    if row is None:
        return None
    token_id, machine_id, scopes, *rest = row
    return M2MToken(token_id, machine_id, tuple(str(scopes).split()), *rest)  # type: ignore[arg-type]  # in the columns' order
