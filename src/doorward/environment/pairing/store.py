"""SQL of `auth_pairing_links`."""

import msgspec

from doorward.environment.pairing.rules import PairingLink, RefusedBecause, why_refused
from doorward.store import Row, Tx

_COLUMNS = "id, credential, scopes, subject, role, label, cloud_user_id, proof_key_thumbprint, created_at, expires_at"


def _link(row: Row) -> PairingLink:
    return PairingLink(
        id=row[0],
        credential=row[1],
        scopes=tuple(msgspec.json.decode(row[2], type=list[str])),
        subject=row[3],
        role=row[4],
        label=row[5],
        cloud_user_id=row[6],
        thumbprint=row[7],
        created_at=row[8],
        expires_at=row[9],
    )


_INSERT = f"INSERT INTO auth_pairing_links ({_COLUMNS}, method) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608


def insert(tx: Tx, link: PairingLink) -> None:
    tx.execute(
        _INSERT,
        (
            link.id,
            link.credential,
            msgspec.json.encode(link.scopes).decode(),
            link.subject,
            link.role,
            link.label,
            link.cloud_user_id,
            link.thumbprint,
            link.created_at,
            link.expires_at,
            "one-time-token",
        ),
    )


def consume(tx: Tx, credential: str, thumbprint: str | None, now: int) -> PairingLink | None:
    """Use the credential up, in one statement, if everything about it fits; None when nothing changed."""
    row = tx.fetch_one(
        f"UPDATE auth_pairing_links SET consumed_at = ?"  # noqa: S608
        " WHERE credential = ? AND revoked_at IS NULL AND consumed_at IS NULL AND expires_at > ?"
        f" AND (proof_key_thumbprint IS NULL OR proof_key_thumbprint = ?) RETURNING {_COLUMNS}",
        (now, credential, now, thumbprint or ""),
    )
    return None if row is None else _link(row)


def classify(tx: Tx, credential: str, thumbprint: str | None, now: int) -> RefusedBecause:
    """Why `consume` found nothing."""
    row = tx.fetch_one(
        "SELECT revoked_at, consumed_at, expires_at, proof_key_thumbprint FROM auth_pairing_links"
        " WHERE credential = ?",
        (credential,),
    )
    if row is None:
        return why_refused(
            is_known=False, is_revoked=False, is_consumed=False, is_expired=False, is_other_key=False
        )
    return why_refused(
        is_known=True,
        is_revoked=row[0] is not None,
        is_consumed=row[1] is not None,
        is_expired=row[2] <= now,
        is_other_key=row[3] is not None and row[3] != thumbprint,
    )


def list_active(tx: Tx, now: int) -> list[PairingLink]:
    """Usable credentials, newest first, the owner's bootstrap ones left out."""
    rows = tx.fetch_all(
        f"SELECT {_COLUMNS} FROM auth_pairing_links"  # noqa: S608
        " WHERE revoked_at IS NULL AND consumed_at IS NULL AND expires_at > ?"
        " ORDER BY created_at DESC, id DESC",
        (now,),
    )
    return [link for link in map(_link, rows) if link.is_listed]


def revoke(tx: Tx, link_id: str, now: int) -> bool:
    changed = tx.execute(
        "UPDATE auth_pairing_links SET revoked_at = ?"
        " WHERE id = ? AND revoked_at IS NULL AND consumed_at IS NULL AND expires_at > ?",
        (now, link_id, now),
    )
    return changed == 1


def revoke_of_key(tx: Tx, thumbprint: str, now: int) -> list[str]:
    """Revoke what was minted for this key and not used yet; the ids."""
    rows = tx.fetch_all(
        "UPDATE auth_pairing_links SET revoked_at = ?"
        " WHERE proof_key_thumbprint = ? AND revoked_at IS NULL AND consumed_at IS NULL RETURNING id",
        (now, thumbprint),
    )
    return [row[0] for row in rows]


def keys_with_unused(tx: Tx, now: int) -> list[str]:
    """Thumbprints that hold a credential not used yet."""
    rows = tx.fetch_all(
        "SELECT DISTINCT proof_key_thumbprint FROM auth_pairing_links WHERE proof_key_thumbprint IS NOT NULL"
        " AND revoked_at IS NULL AND consumed_at IS NULL AND expires_at > ?",
        (now,),
    )
    return [row[0] for row in rows]


def prune(tx: Tx, before: int) -> None:
    tx.execute("DELETE FROM auth_pairing_links WHERE expires_at < ?", (before,))
