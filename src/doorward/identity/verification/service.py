"""Sending and checking codes, inside the caller's transaction."""

from __future__ import annotations

from doorward.identity.errors import CODE_TOO_MANY_REQUESTS, FORM_CODE_INCORRECT, Problem, Refused
from doorward.identity.keyed_hash import KeyedHash
from doorward.identity.verification import rules, store
from doorward.identity.verification.store import VerificationRecord
from doorward.store import Tx

_PURPOSE = "email-code"


class Codes:
    """The codes of this instance. Its methods run inside a transaction and answer; they mail nothing."""

    def __init__(self, keyed_hash: KeyedHash, resend_ms: int) -> None:
        self._hash = keyed_hash
        self._resend_ms = resend_ms

    def issue(self, tx: Tx, subject_id: str, *, strategy: str, code: str, now: int) -> VerificationRecord:
        """Bind `code` to the subject. Raises Refused (429) when the last one is younger than the re-send pause."""
        earlier = store.find(tx, subject_id)
        if earlier is not None and earlier.verified_at is None and now - earlier.sent_at < self._resend_ms:
            wait_ms = self._resend_ms - (now - earlier.sent_at)
            raise Refused(CODE_TOO_MANY_REQUESTS, retry_after=-(-wait_ms // 1000))
        verification = VerificationRecord(
            subject_id=subject_id,
            strategy=strategy,
            code_hash=self._hash.of(_PURPOSE, f"{subject_id}:{code}"),
            attempts=0,
            sent_at=now,
            expire_at=now + rules.CODE_LIFETIME_MS,
            verified_at=None,
        )
        store.replace(tx, verification)
        return verification

    def attempt(self, tx: Tx, subject_id: str, *, strategy: str, code: str, now: int) -> Problem | None:
        """Use up one attempt. None when the code was right; it never counts again.

        Answers instead of raising, because raising would roll the counted attempt back.
        """
        verification = store.find(tx, subject_id)
        matches = verification is not None and self._hash.matches(
            _PURPOSE, f"{subject_id}:{code.strip()}", verification.code_hash
        )
        problem = rules.judge(verification, strategy=strategy, matches=matches, now=now)
        if problem is None:
            store.mark_verified(tx, subject_id, now)
        elif problem is FORM_CODE_INCORRECT:
            store.count_attempt(tx, subject_id)
        return problem
