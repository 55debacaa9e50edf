"""What can be wrong, with a stable `code` to switch on and a sentence that says what to do.

VerifyError
├── ConfigurationError    a key or option is missing or unusable; raised when the object is made
├── TokenRefused          a JWT that is not a valid token here; `reason` is one of reasons.py
├── HandshakeFailed       a development instance's handshake token is not by our instance
├── WebhookRefused        a delivery that is not by the holder of the secret, or not as it was sent
├── KeySetUnavailable     the keys cannot be had: 503, not 401
└── ApiError              the Backend API refused or did not answer; `status` is None without an answer
    ├── SecretKeyRefused  401: the instance's or machine's secret key is wrong
    ├── NotAllowed        403
    ├── TokenNotFound     404: unknown, revoked, expired, or not for this machine
    ├── BadRequest        400 and 422
    └── Unreachable       no answer, or a broken one
"""

from __future__ import annotations

from doorward.verify import reasons


class VerifyError(Exception):
    """Base of the tree. `action` is what to do about it, when there is something to do."""

    code = "verify_error"
    action: str | None = None


class ConfigurationError(VerifyError):
    code = "configuration"


class HandshakeFailed(VerifyError):
    code = "handshake_failed"


class KeySetUnavailable(VerifyError):
    """No key set was ever fetched and the issuer does not answer with one. Tokens cannot be checked now;
    that is 503, not 401. `code` is `secret-key-invalid` where the answer was that the key is wrong."""

    code = reasons.REMOTE_JWK_FAILED_TO_LOAD

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code


class TokenRefused(VerifyError):
    """A JWT refused for `reason`. `skew_seconds` is how far the clock is past `exp`, or short of `nbf` or
    `iat`, when that was the cause: a small number points at a clock, a large one at a stale token."""

    def __init__(
        self, reason: str, message: str, *, action: str | None = None, skew_seconds: float | None = None
    ) -> None:
        super().__init__(message)
        self.code = self.reason = reason
        self.message = message
        self.action = action
        self.skew_seconds = skew_seconds

    def full_message(self, carrier: str) -> str:
        """Clerk's form of the message: what, what to do, why, and whence the token came."""
        said = " ".join(part for part in (self.message, self.action) if part)
        return f"{said} (reason={self.reason}, token-carrier={carrier})"


class WebhookRefused(VerifyError):
    """A delivery refused; answer it with 400. `skew_seconds` is how old or early it is, when that was the cause."""

    def __init__(
        self, code: str, message: str, *, action: str | None = None, skew_seconds: float | None = None
    ) -> None:
        super().__init__(message if action is None else f"{message} {action}")
        self.code = code
        self.message = message
        self.action = action
        self.skew_seconds = skew_seconds


class ApiError(VerifyError):
    """`status` of the answer, and the `code` and text of its first error."""

    code = "unexpected-error"

    def __init__(self, message: str, *, status: int | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        if code is not None:
            self.code = code


class SecretKeyRefused(ApiError):
    code = "secret-key-invalid"
    action = "Check the secret key: it must be this instance's, or the machine's own, and not rotated away."


class NotAllowed(ApiError):
    code = "not-allowed"
    action = "A machine's secret key speaks for that machine only; use the instance's secret key for others."


class TokenNotFound(ApiError):
    code = "token-invalid"
    action = "Ask for a fresh token; check that its machine may speak to this one (its scopes)."


class BadRequest(ApiError):
    code = "bad-request"


class Unreachable(ApiError):
    code = "unreachable"
    action = "Check `api_url` (CLERK_API_URL) and that the accounts server answers there."
