"""Rows of used proofs."""

from doorward.store import Statement, Tx


def consume(tx: Tx, *, owner: str, jti: str, iat: int, expires_at: int, now: int) -> bool:
    """Remember (owner, jti); false when it was there already. Times in milliseconds, `iat` in seconds."""
    inserted = tx.execute(
        "INSERT INTO relay_dpop_proofs (thumbprint, jti, iat, expires_at, created_at) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (thumbprint, jti) DO NOTHING",
        (owner, jti, iat, expires_at, now),
    )
    return inserted == 1


def consuming(
    *, owner: str, jti: str, iat: int, expires_at: int, now: int, condition: Statement
) -> Statement:
    """`consume` where `condition` has a row; it returns a row if (owner, jti) was not there."""
    return Statement(
        "INSERT INTO relay_dpop_proofs (thumbprint, jti, iat, expires_at, created_at)"
        " SELECT ?, ?, CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT)"
        f" WHERE EXISTS ({condition.sql}) ON CONFLICT (thumbprint, jti) DO NOTHING RETURNING 1",
        (owner, jti, iat, expires_at, now, *condition.params),
    )


def prune(tx: Tx, *, now: int) -> int:
    """Delete what no check could accept any more."""
    return tx.execute("DELETE FROM relay_dpop_proofs WHERE expires_at < ?", (now,))
