"""When a code counts. Pure."""

from __future__ import annotations

import secrets
from typing import Literal

from doorward.identity.errors import (
    FORM_CODE_INCORRECT,
    VERIFICATION_ALREADY_VERIFIED,
    VERIFICATION_EXPIRED,
    VERIFICATION_FAILED,
    VERIFICATION_MISSING,
    VERIFICATION_STRATEGY_INVALID,
    Problem,
)
from doorward.identity.verification.store import VerificationRecord

CODE_LIFETIME_MS = 10 * 60_000
MAX_ATTEMPTS = 5

VerificationStatus = Literal["unverified", "verified", "failed", "expired"]


def new_code() -> str:
    """Six decimal digits from the operating system's generator."""
    return f"{secrets.randbelow(1_000_000):06d}"


def status_of(verification: VerificationRecord, now: int) -> VerificationStatus:
    if verification.verified_at is not None:
        return "verified"
    if verification.attempts >= MAX_ATTEMPTS:
        return "failed"
    if now >= verification.expire_at:
        return "expired"
    return "unverified"


def judge(
    verification: VerificationRecord | None, *, strategy: str, matches: bool, now: int
) -> Problem | None:
    """Why this attempt does not prove the address, or None when it does."""
    if verification is None:
        return VERIFICATION_MISSING
    if verification.strategy != strategy:
        return VERIFICATION_STRATEGY_INVALID
    status = status_of(verification, now)
    if status == "verified":
        return VERIFICATION_ALREADY_VERIFIED
    if status == "failed":
        return VERIFICATION_FAILED
    if status == "expired":
        return VERIFICATION_EXPIRED
    return None if matches else FORM_CODE_INCORRECT
