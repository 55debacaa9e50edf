"""Rows of `identity_signing_keys` and `identity_secrets`."""

# ruff: noqa: S608  (only our own column lists are put into statements; every value is a parameter)

from __future__ import annotations

from typing import Literal

import msgspec

from doorward.store import Tx

CHANNEL = "identity.signing_keys"

KeyState = Literal["next", "active", "retired"]


class SigningKeyRecord(msgspec.Struct, frozen=True):
    kid: str
    state: KeyState
    sealed_private_key: bytes | None
    public_jwk: str
    created_at: int
    activated_at: int | None
    retired_at: int | None
    publish_until: int | None
    #: The end of the longest-lived token that was promised to stay verifiable; 0 for none.
    longest_token_until: int = 0

    def __repr__(self) -> str:
        return f"SigningKeyRecord({self.kid}, {self.state})"


_COLUMNS = """kid, state, sealed_private_key, public_jwk, created_at, activated_at, retired_at, publish_until,
    longest_token_until"""


def insert(tx: Tx, key: SigningKeyRecord) -> bool:
    """False when another key already is in that state (another node was faster)."""
    changed = tx.execute(
        f"INSERT INTO identity_signing_keys ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (
            key.kid,
            key.state,
            key.sealed_private_key,
            key.public_jwk,
            key.created_at,
            key.activated_at,
            key.retired_at,
            key.publish_until,
            key.longest_token_until,
        ),
    )
    if changed:
        tx.notify(CHANNEL, key.kid)
    return changed == 1


def everything(tx: Tx) -> list[SigningKeyRecord]:
    """Active first, then next, then retired ones, newest first."""
    rows = tx.fetch_all(
        f"SELECT {_COLUMNS} FROM identity_signing_keys ORDER BY CASE state WHEN 'active' THEN 0 WHEN 'next' THEN 1 ELSE 2 END, created_at DESC"
    )
    return [_key(row) for row in rows]


def _key(row: tuple[object, ...]) -> SigningKeyRecord:
    values = list(row)
    values[2] = None if row[2] is None else bytes(row[2])  # type: ignore[call-overload]  # a buffer on both engines
    return SigningKeyRecord(*values)  # type: ignore[arg-type]  # the columns above are the fields, in order


def waiting(tx: Tx) -> SigningKeyRecord | None:
    """The key that signs next."""
    row = tx.fetch_one(f"SELECT {_COLUMNS} FROM identity_signing_keys WHERE state = 'next'")
    return None if row is None else _key(row)


def promote(tx: Tx, kid: str, *, now: int, publish_until: int) -> None:
    """next → active, and active → retired, whose private half is erased."""
    tx.execute(
        """
        UPDATE identity_signing_keys SET state = 'retired', retired_at = ?, sealed_private_key = NULL,
            publish_until = CASE WHEN longest_token_until > ? THEN longest_token_until ELSE ? END
        WHERE state = 'active'
        """,
        (now, publish_until, publish_until),
    )
    tx.execute(
        "UPDATE identity_signing_keys SET state = 'active', activated_at = ? WHERE kid = ?", (now, kid)
    )
    tx.notify(CHANNEL, kid)


def keep_published(tx: Tx, kid: str, until: int) -> None:
    """The key stays in the JWKS until then at least, also if it has just been retired."""
    tx.execute(
        "UPDATE identity_signing_keys SET longest_token_until = ? WHERE kid = ? AND longest_token_until < ?",
        (until, kid, until),
    )
    tx.execute(
        "UPDATE identity_signing_keys SET publish_until = ? WHERE kid = ? AND publish_until < ?",
        (until, kid, until),
    )


def delete_gone(tx: Tx, now: int) -> int:
    """Forget retired keys that no living token can need."""
    changed = tx.execute(
        "DELETE FROM identity_signing_keys WHERE state = 'retired' AND publish_until <= ?", (now,)
    )
    if changed:
        tx.notify(CHANNEL, "gone")
    return changed


def find_secret(tx: Tx, name: str) -> bytes | None:
    row = tx.fetch_one("SELECT sealed FROM identity_secrets WHERE name = ?", (name,))
    return None if row is None else bytes(row[0])


def insert_secret(tx: Tx, name: str, sealed: bytes, now: int) -> None:
    tx.execute(
        "INSERT INTO identity_secrets (name, sealed, created_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        (name, sealed, now),
    )
