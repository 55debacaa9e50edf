"""Every way an HTTP/1.1 message can be refused, and every way an exchange can fail.

HttpError
├── BadRequest    a client's head or body we will not carry (answered with its status)
└── BadResponse   an origin's head or body we will not carry (answered 502)
"""

from __future__ import annotations

from doorward.http1.exchange import Failure


class HttpError(Exception):
    """`code` is stable for programs; the message is for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class BadRequest(HttpError):
    """Shown to the client as `status`; the connection ends afterwards."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(code, message)
        self.status = status


class BadResponse(HttpError):
    """The origin broke the protocol."""


def malformed(detail: str) -> BadRequest:
    return BadRequest(400, "malformed_request", f"The request could not be read: {detail}.")


def head_too_large() -> BadRequest:
    return BadRequest(431, "head_too_large", "The request's headers are larger than this server accepts.")


def head_timeout() -> BadRequest:
    return BadRequest(408, "request_timeout", "The request did not arrive in time.")


def body_timeout() -> BadRequest:
    return BadRequest(408, "body_timeout", "The request's body stopped arriving.")


UNREACHABLE = Failure(
    502, "origin_unreachable", "The service behind this address does not answer.", may_retry=True
)
CONNECT_TIMEOUT = Failure(
    504,
    "origin_connect_timeout",
    "The service behind this address did not accept a connection in time.",
    may_retry=True,
)
RESPONSE_TIMEOUT = Failure(504, "origin_timeout", "The service behind this address took too long to answer.")
CLOSED_EARLY = Failure(
    502, "origin_closed", "The service behind this address closed the connection before it had answered."
)
BROKEN_RESPONSE = Failure(
    502, "origin_malformed", "The service behind this address sent a response that is not valid HTTP."
)
CANNOT_TAKE_OVER = Failure(502, "upgrade_unavailable", "This connection cannot be upgraded here.")
ROUTER_FAILED = Failure(500, "internal_error", "Something went wrong here while handling the request.")
