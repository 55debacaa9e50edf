"""The verdict on a request: signed in, signed out, or to be sent to the accounts server for a moment."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from doorward.verify.machine_tokens import MachineAuth
from doorward.verify.results import Auth, SessionAuth, TokenType, session_auth, signed_out_auth

Status = Literal["signed-in", "signed-out", "handshake"]
Headers = tuple[tuple[str, str], ...]

STATUS_HEADER = "x-clerk-auth-status"
REASON_HEADER = "x-clerk-auth-reason"
MESSAGE_HEADER = "x-clerk-auth-message"


class RequestState(msgspec.Struct, frozen=True, kw_only=True):
    """`reason` and `message` say why somebody is not signed in (reasons.py). `headers` belong on the answer: the
    status and reason, cookies to set, and for a handshake `location`, to be answered 307. `session` is a
    person, also while a task keeps the session from counting, `machine` anything else: ask `to_auth`. `skew_seconds` is set
    when a clock or a stale token is the cause; `keys_are_stale` when the issuer could not be asked lately."""

    status: Status
    token_type: TokenType | None
    reason: str | None = None
    message: str | None = None
    headers: Headers = ()
    token: str | None = None
    session: SessionAuth | None = None
    machine: MachineAuth | None = None
    skew_seconds: float | None = None
    keys_are_stale: bool = False

    def __repr__(self) -> str:
        return f"RequestState(status={self.status!r}, token_type={self.token_type!r}, reason={self.reason!r})"

    @property
    def is_authenticated(self) -> bool:
        return self.status == "signed-in"

    @property
    def session_claims(self) -> dict[str, Any] | None:
        """What a session token says, read anew when asked for."""
        return None if self.session is None else self.session.session_claims

    @property
    def redirect_url(self) -> str | None:
        """Where to send the browser with a 307: for a handshake, and after one in development."""
        if not self.headers:  # nearly every request of somebody signed in
            return None
        return next((value for name, value in self.headers if name == "location"), None)

    def to_auth(self, *, treat_pending_as_signed_out: bool = True) -> Auth | None:
        """Who the request is by; None during a handshake, when nobody knows yet."""
        session = self.session
        if session is not None:
            is_pending = treat_pending_as_signed_out and session.session_status == "pending"
            return SessionAuth(session_status="pending") if is_pending else session
        if self.status == "handshake":
            return None
        return self.machine or signed_out_auth(self.token_type)


def signed_in_session(token: str, claims: dict[str, Any], headers: Headers = ()) -> RequestState:
    return signed_in(session_auth(token, claims), headers)


def signed_in(session: SessionAuth, headers: Headers = ()) -> RequestState:
    return RequestState(
        status="signed-in",
        token_type="session_token",
        token=session.token,
        session=session,
        headers=headers,
    )


def signed_in_machine(machine: MachineAuth) -> RequestState:
    return RequestState(
        status="signed-in", token_type=machine.token_type, token=machine.token, machine=machine
    )


def signed_out(
    token_type: TokenType | None,
    reason: str,
    message: str = "",
    headers: Headers = (),
    skew_seconds: float | None = None,
) -> RequestState:
    return RequestState(
        status="signed-out",
        token_type=token_type,
        reason=reason,
        message=message,
        headers=headers + _told("signed-out", reason, message),
        skew_seconds=skew_seconds,
    )


def handshake(reason: str, message: str, headers: Headers, skew_seconds: float | None = None) -> RequestState:
    return RequestState(
        status="handshake",
        token_type="session_token",
        reason=reason,
        message=message,
        headers=headers + _told("handshake", reason, message),
        skew_seconds=skew_seconds,
    )


def _told(status: Status, reason: str, message: str) -> Headers:
    told = ((REASON_HEADER, reason), (STATUS_HEADER, status))
    return ((MESSAGE_HEADER, message), *told) if message and _fits_header(message) else told


def _fits_header(text: str) -> bool:
    """Parts of a message come from the token: nothing in it may end the header."""
    return all(" " <= letter <= "ÿ" and letter != "\x7f" for letter in text)
