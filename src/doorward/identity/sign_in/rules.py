"""Where a sign-in stands. Pure functions of the stored attempt."""

from __future__ import annotations

from typing import Literal

from doorward.identity.settings import DAY
from doorward.identity.sign_in.store import SignInRecord

ATTEMPT_LIFETIME_MS = DAY
CODE_STRATEGIES = ("email_code", "reset_password_email_code")
# How long after the reset code a new password may be chosen (ASVS 5 V6.4: a reset is short-lived).
RESET_LIFETIME_MS = 10 * 60_000

SignInStatus = Literal[
    "needs_identifier", "needs_first_factor", "needs_new_password", "complete", "abandoned"
]


def status_of(attempt: SignInRecord, now: int) -> SignInStatus:
    if attempt.created_session_id is not None:
        return "complete"
    if now >= attempt.abandon_at:
        return "abandoned"
    if attempt.identifier is None:
        return "needs_identifier"
    if attempt.first_factor_at is None:
        return "needs_first_factor"
    if attempt.first_factor == "reset_password_email_code":
        is_fresh = now - attempt.first_factor_at < RESET_LIFETIME_MS
        return "needs_new_password" if is_fresh else "abandoned"
    return "needs_first_factor"
