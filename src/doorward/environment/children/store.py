"""SQL of the gate's codes and cookies. Only SHA-256 of the secrets is stored."""

from collections.abc import Sequence

from doorward.store import Tx


def insert_code(
    tx: Tx, *, code_hash: str, session_id: str, service_host: str, nonce_hash: str, expires_at: int
) -> None:
    tx.execute(
        "INSERT INTO environment_gate_codes (code_hash, session_id, service_host, nonce_hash, expires_at)"
        " VALUES (?, ?, ?, ?, ?)",
        (code_hash, session_id, service_host, nonce_hash, expires_at),
    )


def take_code(tx: Tx, code_hash: str) -> tuple[str, str, str, int] | None:
    """(session id, service host, nonce hash, expires at) of a code that is gone from now on."""
    row = tx.fetch_one(
        "DELETE FROM environment_gate_codes WHERE code_hash = ?"
        " RETURNING session_id, service_host, nonce_hash, expires_at",
        (code_hash,),
    )
    return None if row is None else (row[0], row[1], row[2], row[3])


def insert_cookie(tx: Tx, *, cookie_hash: str, session_id: str, service_host: str, expires_at: int) -> None:
    tx.execute(
        "INSERT INTO environment_service_sessions (cookie_hash, session_id, service_host, expires_at)"
        " VALUES (?, ?, ?, ?)",
        (cookie_hash, session_id, service_host, expires_at),
    )


def find_cookie(tx: Tx, *, cookie_hash: str, service_host: str, now: int) -> tuple[str, int] | None:
    """(session id, expires at) of a live cookie of this host."""
    row = tx.fetch_one(
        "SELECT session_id, expires_at FROM environment_service_sessions"
        " WHERE cookie_hash = ? AND service_host = ? AND expires_at > ?",
        (cookie_hash, service_host, now),
    )
    return None if row is None else (row[0], row[1])


def delete_cookie(tx: Tx, cookie_hash: str) -> str | None:
    row = tx.fetch_one(
        "DELETE FROM environment_service_sessions WHERE cookie_hash = ? RETURNING session_id", (cookie_hash,)
    )
    return None if row is None else str(row[0])


def end_for_sessions(tx: Tx, session_ids: Sequence[str]) -> None:
    """Codes and cookies of these sessions are gone."""
    for session_id in session_ids:
        tx.execute("DELETE FROM environment_gate_codes WHERE session_id = ?", (session_id,))
        tx.execute("DELETE FROM environment_service_sessions WHERE session_id = ?", (session_id,))


def prune(tx: Tx, now: int) -> None:
    tx.execute("DELETE FROM environment_gate_codes WHERE expires_at <= ?", (now,))
    tx.execute("DELETE FROM environment_service_sessions WHERE expires_at <= ?", (now,))
