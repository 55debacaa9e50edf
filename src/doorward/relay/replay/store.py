"""Rows of used proofs."""

from doorward.store import Tx


def consume(tx: Tx, *, owner: str, jti: str, iat: int, expires_at: int, now: int) -> bool:
    """Remember (owner, jti); false when it was there already. Times in milliseconds, `iat` in seconds."""
    inserted = tx.execute(
        "INSERT INTO relay_dpop_proofs (thumbprint, jti, iat, expires_at, created_at) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (thumbprint, jti) DO NOTHING",
        (owner, jti, iat, expires_at, now),
    )
    return inserted == 1


def prune(tx: Tx, *, now: int) -> int:
    """Delete what no check could accept any more."""
    return tx.execute("DELETE FROM relay_dpop_proofs WHERE expires_at < ?", (now,))
