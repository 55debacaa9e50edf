"""Rows of `identity_secret_keys`. Times in milliseconds."""

from __future__ import annotations

import msgspec

from doorward.store import Tx


class SecretKey(msgspec.Struct, frozen=True):
    id: str
    name: str
    created_at: int
    revoked_at: int | None


def insert(tx: Tx, key: SecretKey, key_hash: str) -> None:
    """Nothing happens when the same key is there."""
    tx.execute(
        "INSERT INTO identity_secret_keys (id, name, key_hash, created_at, revoked_at) VALUES (?, ?, ?, ?, NULL)"
        " ON CONFLICT (key_hash) DO NOTHING",
        (key.id, key.name, key_hash, key.created_at),
    )


def find_by_hash(tx: Tx, key_hash: str) -> SecretKey | None:
    row = tx.fetch_one(
        "SELECT id, name, created_at, revoked_at FROM identity_secret_keys WHERE key_hash = ?", (key_hash,)
    )
    return None if row is None else SecretKey(*row)


def list_all(tx: Tx) -> list[SecretKey]:
    """Newest first, revoked ones among them."""
    rows = tx.fetch_all(
        "SELECT id, name, created_at, revoked_at FROM identity_secret_keys ORDER BY created_at DESC, id"
    )
    return [SecretKey(*row) for row in rows]


def revoke(tx: Tx, key_id: str, now: int) -> bool:
    return (
        tx.execute(
            "UPDATE identity_secret_keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL",
            (now, key_id),
        )
        == 1
    )
