"""The life cycle's arithmetic. Pure."""

from __future__ import annotations

from doorward.identity.settings import DAY, HOUR

JWKS_MAX_AGE = 300  # seconds a verifier may cache the key set
# The longest-lived token that verifiers check by themselves is the OAuth access or ID token: one day.
LONGEST_TOKEN_MS = DAY


def publish_until(retired_at: int, longest_token_ms: int = LONGEST_TOKEN_MS) -> int:
    """How long a retired key stays in the JWKS: every token it signed has expired, everywhere, by then."""
    return retired_at + max(longest_token_ms, LONGEST_TOKEN_MS) + HOUR + JWKS_MAX_AGE * 1000


def may_sign_from(created_at: int) -> int:
    """When every cached key set has been refreshed since the key was first published."""
    return created_at + 2 * JWKS_MAX_AGE * 1000


def keep_published_until(expires_at: int) -> int:
    """For a token that ends then; in whole days, so that a promise is written down once a day and not for each token."""
    return (expires_at + HOUR) // DAY * DAY + DAY
