"""What the pages' JSON routes answer when they refuse: one table."""

from __future__ import annotations

from enum import Enum

import msgspec
from starlette.responses import Response


class ProblemBody(msgspec.Struct, frozen=True):
    """`error` is stable; `message` is for a person."""

    error: str
    message: str


class Problem(Enum):
    """(status, stable code, sentence)."""

    MALFORMED = (400, "invalid_request", "The request could not be read.")
    PROOF_REFUSED = (401, "invalid_proof", "The proof of this device's key was not accepted.")
    NOT_SIGNED_IN = (
        401,
        "sign_in_required",
        "This page has no session. Open it with a new link from the machine.",
    )
    LINK_SPENT = (401, "link_spent", "This link was used before, or is too old.")
    FOREIGN_ORIGIN = (403, "foreign_origin", "The request did not come from this page.")
    NOT_ALLOWED = (403, "not_allowed", "This session may not do that.")
    MACHINE_NOT_SIGNED_IN = (409, "machine_not_signed_in", "This machine is signed in to no account.")
    RELAY_CLIENT_MISSING = (
        409,
        "relay_client_missing",
        "The relay takes cloudflared, which is not installed.",
    )
    UNDER_WAY = (409, "change_under_way", "This link is being changed already. Wait until that is done.")
    UNKNOWN_SERVICE = (404, "unknown_service", "This machine does not expose a service there.")
    UNKNOWN_DEVICE = (404, "unknown_device", "This device is not in the list any more.")
    TOO_MANY = (429, "too_many_requests", "Too many requests. Wait a moment.")
    FAILED = (500, "internal_error", "The machine could not do that. Its log says why.")
    NOT_READY = (503, "not_ready", "This machine is not linked at the moment.")

    def response(self, *, retry_after: int | None = None) -> Response:
        """`retry_after` in milliseconds; it is sent in whole seconds, rounded up."""
        status, code, sentence = self.value
        headers = {"cache-control": "no-store"}
        if retry_after is not None:
            headers["retry-after"] = str(-(-retry_after // 1000))
        return Response(
            msgspec.json.encode(ProblemBody(error=code, message=sentence)),
            status,
            headers,
            "application/json",
        )


class Refused(Exception):
    """Ends a handler with a row of the table."""

    def __init__(self, problem: Problem, *, retry_after: int | None = None) -> None:
        super().__init__(problem.name)
        self.problem = problem
        self.retry_after = retry_after
