"""Rows of `identity_api_keys`. Times in milliseconds."""

# ruff: noqa: S608  (only our own column lists are put into statements; every value is a parameter)

from __future__ import annotations

import msgspec

from doorward.store import Tx, contains


class APIKey(msgspec.Struct, frozen=True):
    """`claims` is JSON as text: an object, or `null`. A key without `expire_at` never ends by itself."""

    id: str
    type: str
    subject: str
    name: str
    description: str | None
    claims: str
    scopes: tuple[str, ...]
    created_by: str | None
    created_at: int
    updated_at: int
    expire_at: int | None
    last_used_at: int | None = None
    revoked_at: int | None = None
    revocation_reason: str | None = None

    def is_expired(self, now: int) -> bool:
        return self.expire_at is not None and now >= self.expire_at

    def is_live(self, now: int) -> bool:
        return self.revoked_at is None and not self.is_expired(now)


_COLUMNS = """id, type, subject, name, description, claims, scopes, created_by, created_at, updated_at, expire_at,
    last_used_at, revoked_at, revocation_reason"""


def insert(tx: Tx, key: APIKey, *, key_hash: str, sealed_secret: bytes) -> None:
    tx.execute(
        f"""
        INSERT INTO identity_api_keys ({_COLUMNS}, key_hash, sealed_secret)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        """,
        (
            key.id,
            key.type,
            key.subject,
            key.name,
            key.description,
            key.claims,
            _scopes(key),
            key.created_by,
            key.created_at,
            key.updated_at,
            key.expire_at,
            key.last_used_at,
            key.revoked_at,
            key.revocation_reason,
            key_hash,
            sealed_secret,
        ),
    )


def find(tx: Tx, key_id: str) -> APIKey | None:
    return _key(tx.fetch_one(f"SELECT {_COLUMNS} FROM identity_api_keys WHERE id = ?", (key_id,)))


def find_by_hash(tx: Tx, key_hash: str) -> APIKey | None:
    return _key(tx.fetch_one(f"SELECT {_COLUMNS} FROM identity_api_keys WHERE key_hash = ?", (key_hash,)))


def find_sealed_secret(tx: Tx, key_id: str) -> bytes | None:
    row = tx.fetch_one("SELECT sealed_secret FROM identity_api_keys WHERE id = ?", (key_id,))
    return None if row is None else bytes(row[0])


def page(
    tx: Tx,
    subject: str,
    key_type: str,
    *,
    query: str | None,
    live_at: int | None,
    limit: int,
    offset: int,
) -> tuple[list[APIKey], int]:
    """Newest first, and how many there are in all. `live_at` leaves out those that do not work at that time; `query` is
    an id, or part of a name."""
    where, values = "subject = ? AND type = ?", [subject, key_type]
    if live_at is not None:
        where += f" AND revoked_at IS NULL AND (expire_at IS NULL OR expire_at > {live_at:d})"
    if query is not None:
        where += r" AND (id = ? OR LOWER(name) LIKE LOWER(?) ESCAPE '\')"
        values += [query, contains(query)]
    rows = tx.fetch_all(
        f"SELECT {_COLUMNS} FROM identity_api_keys WHERE {where} ORDER BY created_at DESC, id LIMIT ? OFFSET ?",
        [*values, limit, offset],
    )
    count = tx.fetch_one(f"SELECT COUNT(*) FROM identity_api_keys WHERE {where}", values)
    keys = [key for row in rows if (key := _key(row)) is not None]
    return keys, 0 if count is None else int(count[0])


def update(tx: Tx, key: APIKey) -> None:
    """What may be changed of a key, its revocation included."""
    tx.execute(
        """
        UPDATE identity_api_keys SET subject = ?, description = ?, claims = ?, scopes = ?, expire_at = ?,
            revoked_at = ?, revocation_reason = ?, updated_at = ? WHERE id = ?
        """,
        (
            key.subject,
            key.description,
            key.claims,
            _scopes(key),
            key.expire_at,
            key.revoked_at,
            key.revocation_reason,
            key.updated_at,
            key.id,
        ),
    )


def delete(tx: Tx, key_id: str) -> bool:
    return tx.execute("DELETE FROM identity_api_keys WHERE id = ?", (key_id,)) == 1


def note_use(tx: Tx, key_id: str, now: int) -> None:
    tx.execute("UPDATE identity_api_keys SET last_used_at = ? WHERE id = ?", (now, key_id))


def _scopes(key: APIKey) -> str:
    return msgspec.json.encode(key.scopes).decode()


def _key(row: tuple[object, ...] | None) -> APIKey | None:
    if row is None:
        return None
    values = list(row)
    values[6] = msgspec.json.decode(str(row[6]).encode(), type=tuple[str, ...])
    return APIKey(*values)  # type: ignore[arg-type]  # the columns above are the fields, in order
