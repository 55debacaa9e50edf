"""Where a sign-up stands. Pure functions of the stored attempt."""

from __future__ import annotations

from typing import Literal

from doorward.identity.settings import DAY
from doorward.identity.sign_up.store import SignUpRecord

ATTEMPT_LIFETIME_MS = DAY
REQUIRED_FIELDS = ("email_address", "password")
OPTIONAL_FIELDS = ("first_name", "last_name")

SignUpStatus = Literal["missing_requirements", "complete", "abandoned"]


def missing_fields(attempt: SignUpRecord) -> list[str]:
    present = {
        "email_address": attempt.email_address is not None,
        "password": attempt.password_hash is not None or attempt.created_user_id is not None,
    }
    return [field for field in REQUIRED_FIELDS if not present[field]]


def unverified_fields(attempt: SignUpRecord) -> list[str]:
    is_open = attempt.email_address is not None and attempt.email_verified_at is None
    return ["email_address"] if is_open else []


def is_ready(attempt: SignUpRecord) -> bool:
    """Whether nothing stands between this attempt and an account."""
    return attempt.created_user_id is None and not missing_fields(attempt) and not unverified_fields(attempt)


def status_of(attempt: SignUpRecord, now: int) -> SignUpStatus:
    if attempt.created_user_id is not None:
        return "complete"
    return "abandoned" if now >= attempt.abandon_at else "missing_requirements"
