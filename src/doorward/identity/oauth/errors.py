"""The table of OAuth errors (RFC 6749 §5.2 and §4.1.2.1, RFC 8628 §3.5, RFC 8707 §2).

The wire shape is `{"error", "error_description"}`. Clerk answers `invalid_client` with 401 and the rest of the token
endpoint with 400.
"""

from __future__ import annotations

from typing import Final

STATUS: Final[dict[str, int]] = {
    "invalid_request": 400,
    "invalid_client": 401,
    "invalid_grant": 400,
    "unauthorized_client": 400,
    "unsupported_grant_type": 400,
    "unsupported_response_type": 400,
    "unsupported_token_type": 400,
    "invalid_scope": 400,
    "invalid_target": 400,
    "access_denied": 400,
    "login_required": 400,
    "consent_required": 400,
    "interaction_required": 400,
    "authorization_pending": 400,
    "slow_down": 400,
    "expired_token": 400,
    "invalid_token": 401,
    "server_error": 500,
    "temporarily_unavailable": 503,
}


class OAuthError(Exception):
    """`code` is a key of the table; `description` a sentence for a developer (ASCII, RFC 6749 §5.2)."""

    def __init__(self, code: str, description: str, *, retry_after: int | None = None) -> None:
        super().__init__(f"{code}: {description}")
        self.code = code
        self.description = description
        self.status = 429 if retry_after is not None else STATUS[code]
        self.retry_after = retry_after
