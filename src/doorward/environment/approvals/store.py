"""SQL of `auth_connect_clients`. The next state comes from `rules`; rows are written whole."""

from doorward.environment.approvals.rules import Client
from doorward.store import Row, Tx

_COLUMNS = (
    "client_proof_key_thumbprint, cloud_user_id, device_id, status, role, client_label, client_device_type,"
    " client_os, requested_at, updated_at, approved_at, rejected_at, revoked_at, last_seen_at"
)


def _client(row: Row) -> Client:
    return Client(
        thumbprint=row[0],
        cloud_user_id=row[1],
        device_id=row[2],
        status=row[3],
        role=row[4],
        label=row[5],
        device_type=row[6],
        os=row[7],
        requested_at=row[8],
        updated_at=row[9],
        approved_at=row[10],
        rejected_at=row[11],
        revoked_at=row[12],
        last_seen_at=row[13],
    )


# Whole texts, not made anew for every mint: what is known of a statement is found by its text.
_FIND = f"SELECT {_COLUMNS} FROM auth_connect_clients WHERE client_proof_key_thumbprint = ?"  # noqa: S608
_SAVE = f"""
    INSERT INTO auth_connect_clients ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (client_proof_key_thumbprint) DO UPDATE SET
    cloud_user_id = excluded.cloud_user_id, device_id = excluded.device_id, status = excluded.status,
    role = excluded.role, client_label = excluded.client_label,
    client_device_type = excluded.client_device_type, client_os = excluded.client_os,
    requested_at = excluded.requested_at, updated_at = excluded.updated_at,
    approved_at = excluded.approved_at, rejected_at = excluded.rejected_at,
    revoked_at = excluded.revoked_at, last_seen_at = excluded.last_seen_at
    """  # noqa: S608


def find(tx: Tx, thumbprint: str) -> Client | None:
    """The row, revoked or not."""
    row = tx.fetch_one(_FIND, (thumbprint,))
    return None if row is None else _client(row)


def save(tx: Tx, client: Client) -> None:
    tx.execute(
        _SAVE,
        (
            client.thumbprint,
            client.cloud_user_id,
            client.device_id,
            client.status,
            client.role,
            client.label,
            client.device_type,
            client.os,
            client.requested_at,
            client.updated_at,
            client.approved_at,
            client.rejected_at,
            client.revoked_at,
            client.last_seen_at,
        ),
    )


def list_active(tx: Tx) -> list[Client]:
    """Every key that is not revoked: pending, approved, rejected; then the latest change first."""
    rows = tx.fetch_all(
        f"SELECT {_COLUMNS} FROM auth_connect_clients WHERE revoked_at IS NULL"  # noqa: S608
        " ORDER BY CASE status WHEN 'pending' THEN 0 WHEN 'approved' THEN 1 ELSE 2 END,"
        " updated_at DESC, client_proof_key_thumbprint DESC"
    )
    return [_client(row) for row in rows]


def addresses(tx: Tx) -> dict[str, str]:
    """By thumbprint: where each key was last heard from, as the edge told it; keys nobody heard from are absent.

    A session says more than a wait at the gate did before it.
    """
    rows = tx.fetch_all(
        "SELECT client_proof_key_thumbprint, COALESCE((SELECT s.client_ip_address FROM auth_sessions s"
        " WHERE s.jkt = c.client_proof_key_thumbprint AND s.client_ip_address IS NOT NULL"
        " ORDER BY s.issued_at DESC LIMIT 1), c.client_ip_address) AS address"
        " FROM auth_connect_clients c WHERE c.revoked_at IS NULL"
    )
    return {row[0]: row[1] for row in rows if row[1] is not None}


def waiting_address(tx: Tx, thumbprint: str) -> str | None:
    """Where a key last waited at the gate."""
    row = tx.fetch_one(
        "SELECT client_ip_address FROM auth_connect_clients WHERE client_proof_key_thumbprint = ?",
        (thumbprint,),
    )
    return None if row is None else row[0]


def set_address(tx: Tx, thumbprint: str, address: str) -> bool:
    """Where a waiting key asks from; false when that was known already, or the key is not."""
    changed = tx.execute(
        "UPDATE auth_connect_clients SET client_ip_address = ? WHERE client_proof_key_thumbprint = ?"
        " AND revoked_at IS NULL AND (client_ip_address IS NULL OR client_ip_address <> ?)",
        (address, thumbprint, address),
    )
    return changed == 1


def drop_oldest_pending(tx: Tx, cloud_user_id: str, *, keep: int, spare: str) -> list[str]:
    """Delete the user's oldest pending rows beyond `keep`, never that of `spare`; their thumbprints."""
    rows = tx.fetch_all(
        "SELECT client_proof_key_thumbprint FROM auth_connect_clients"
        " WHERE cloud_user_id = ? AND revoked_at IS NULL AND status = 'pending'"
        " ORDER BY CASE client_proof_key_thumbprint WHEN ? THEN 0 ELSE 1 END,"
        " requested_at DESC, client_proof_key_thumbprint DESC",
        (cloud_user_id, spare),
    )
    surplus = [row[0] for row in rows[keep:]]
    for thumbprint in surplus:
        tx.execute("DELETE FROM auth_connect_clients WHERE client_proof_key_thumbprint = ?", (thumbprint,))
    return surplus
