"""Rows of `identity_verifications`."""

# ruff: noqa: S608  (only our own column lists are put into statements; every value is a parameter)

from __future__ import annotations

import msgspec

from doorward.store import Tx


class VerificationRecord(msgspec.Struct, frozen=True):
    subject_id: str
    strategy: str
    code_hash: str
    attempts: int
    sent_at: int
    expire_at: int
    verified_at: int | None

    def __repr__(self) -> str:
        return f"VerificationRecord({self.subject_id}, {self.strategy})"


_COLUMNS = "subject_id, strategy, code_hash, attempts, sent_at, expire_at, verified_at"


def find(tx: Tx, subject_id: str) -> VerificationRecord | None:
    row = tx.fetch_one(f"SELECT {_COLUMNS} FROM identity_verifications WHERE subject_id = ?", (subject_id,))
    return None if row is None else VerificationRecord(*row)


def replace(tx: Tx, verification: VerificationRecord) -> None:
    """Store it, voiding whatever code the subject had before."""
    tx.execute(
        f"""
        INSERT INTO identity_verifications ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (subject_id) DO UPDATE SET strategy = excluded.strategy, code_hash = excluded.code_hash,
            attempts = excluded.attempts, sent_at = excluded.sent_at, expire_at = excluded.expire_at,
            verified_at = excluded.verified_at
        """,
        (
            verification.subject_id,
            verification.strategy,
            verification.code_hash,
            verification.attempts,
            verification.sent_at,
            verification.expire_at,
            verification.verified_at,
        ),
    )


def count_attempt(tx: Tx, subject_id: str) -> None:
    tx.execute(
        "UPDATE identity_verifications SET attempts = attempts + 1 WHERE subject_id = ?", (subject_id,)
    )


def mark_verified(tx: Tx, subject_id: str, now: int) -> None:
    tx.execute("UPDATE identity_verifications SET verified_at = ? WHERE subject_id = ?", (now, subject_id))


def forget(tx: Tx, subject_id: str) -> None:
    tx.execute("DELETE FROM identity_verifications WHERE subject_id = ?", (subject_id,))


def forget_before(tx: Tx, instant: int) -> int:
    """Remove rows that expired before `instant`."""
    return tx.execute("DELETE FROM identity_verifications WHERE expire_at < ?", (instant,))
