"""Rows of environment credentials."""

import msgspec

from doorward.relay.credentials.rules import NewCredential
from doorward.store import Tx


class CredentialOwner(msgspec.Struct, frozen=True):
    """Whom a presented credential stands for."""

    user_id: str
    environment_id: str
    environment_public_key: str


def insert(tx: Tx, credential: NewCredential, owner: CredentialOwner, *, now: int) -> None:
    tx.execute(
        "INSERT INTO relay_environment_credentials (credential_id, user_id, environment_id,"
        " environment_public_key, credential_hash, revoked_at, created_at, updated_at)"
        " VALUES (?, ?, ?, ?, ?, NULL, ?, ?)",
        (
            credential.credential_id,
            owner.user_id,
            owner.environment_id,
            owner.environment_public_key,
            credential.credential_hash,
            now,
            now,
        ),
    )


def revoke_older(tx: Tx, *, kept_id: str, owner: CredentialOwner, now: int) -> int:
    """Revoke every other active credential of the same environment key."""
    return tx.execute(
        "UPDATE relay_environment_credentials SET revoked_at = ?, updated_at = ?"
        " WHERE environment_id = ? AND environment_public_key = ? AND revoked_at IS NULL AND credential_id <> ?",
        (now, now, owner.environment_id, owner.environment_public_key, kept_id),
    )


def revoke_unlinked(tx: Tx, *, environment_id: str, environment_public_key: str, now: int) -> int:
    """Revoke the key's credentials unless some account is still linked with that very key."""
    return tx.execute(
        "UPDATE relay_environment_credentials SET revoked_at = ?, updated_at = ?"
        " WHERE environment_id = ? AND environment_public_key = ? AND revoked_at IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM relay_environment_links l WHERE l.environment_id = ?"
        " AND l.environment_public_key = ? AND l.revoked_at IS NULL)",
        (now, now, environment_id, environment_public_key, environment_id, environment_public_key),
    )


def find_active(tx: Tx, credential_hash: str) -> CredentialOwner | None:
    row = tx.fetch_one(
        "SELECT user_id, environment_id, environment_public_key FROM relay_environment_credentials"
        " WHERE credential_hash = ? AND revoked_at IS NULL",
        (credential_hash,),
    )
    return None if row is None else CredentialOwner(str(row[0]), str(row[1]), str(row[2]))
