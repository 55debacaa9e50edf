"""What the engine refuses a request with. A bad or expired token is 400 there, never 401: clients must not wait for that.

| status | codes |
|---|---|
| 400 | token_missing, token_location_invalid, token_invalid, kid_missing, claims_invalid, default_role_not_allowed |
| 401 | role_not_allowed |
| 403 | webhook_denied |
| 500 | claims_not_found, claims_unreadable, duplicate_role, key_not_found, keys_unavailable, webhook_failed, variable_missing, variable_type |
"""

from __future__ import annotations

_STATUS = {
    "token_missing": 400,
    "token_location_invalid": 400,
    "token_invalid": 400,
    "kid_missing": 400,
    "claims_invalid": 400,
    "default_role_not_allowed": 400,
    "role_not_allowed": 401,
    "webhook_denied": 403,
    "claims_not_found": 500,
    "claims_unreadable": 500,
    "duplicate_role": 500,
    "key_not_found": 500,
    "keys_unavailable": 500,
    "webhook_failed": 500,
    "variable_missing": 500,
    "variable_type": 500,
}


class HasuraRefused(Exception):
    """`code` is stable, `status` what the engine answers. The message holds no claim values and no token."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.status = _STATUS[code]
