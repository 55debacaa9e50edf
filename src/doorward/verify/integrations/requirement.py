"""What every framework's integration does with a verdict: whom to let in, and what to answer the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from doorward.verify import reasons
from doorward.verify.authenticator import Authenticator
from doorward.verify.authorization import Reverification
from doorward.verify.errors import HandshakeFailed
from doorward.verify.requests import AuthRequest
from doorward.verify.results import Auth, InvalidTokenAuth, SessionAuth, filtered
from doorward.verify.settings import Accepted, AcceptsToken, read_accepts
from doorward.verify.state import Headers, RequestState, signed_out

KEY = "doorward.auth"  # where a request keeps its RequestState, in whatever the framework has for that

_UNAVAILABLE = frozenset((reasons.REMOTE_JWK_FAILED_TO_LOAD, reasons.SECRET_KEY_INVALID))


class Answer(msgspec.Struct, frozen=True):
    """An HTTP answer in place of the application's."""

    status: int
    headers: Headers
    body: bytes = b""

    @property
    def reason_phrase(self) -> str:
        return {307: "Temporary Redirect", 401: "Unauthorized", 403: "Forbidden"}.get(
            self.status, "Service Unavailable"
        )


class NotLetIn(Exception):
    """Raised where a framework answers by exception."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"{answer.status}")
        self.answer = answer


class Requirement:
    """Whom a handler lets in: a kind of token and, of a session, what `has()` asks. Raises ConfigurationError."""

    def __init__(
        self,
        accepts_token: AcceptsToken = "session_token",
        *,
        role: str | None = None,
        permission: str | None = None,
        feature: str | None = None,
        plan: str | None = None,
        reverification: str | Reverification | None = None,
    ) -> None:
        self.accepts: Accepted = read_accepts(accepts_token)
        asked = {
            "role": role,
            "permission": permission,
            "feature": feature,
            "plan": plan,
            "reverification": reverification,
        }
        self._asked: Mapping[str, Any] = {name: value for name, value in asked.items() if value is not None}

    def check(self, state: RequestState) -> Auth:
        """Who the request is by. Raises NotLetIn."""
        auth = read_auth(state, self.accepts)
        if not auth.is_authenticated:
            raise NotLetIn(_unauthenticated(state, auth))
        # What is asked of a session no other kind of token can answer.
        if self._asked and not auth.has(**self._asked):
            raise NotLetIn(_forbidden(self._asked))
        return auth


def judge(authenticator: Authenticator, request: AuthRequest, accepts: Accepted) -> RequestState:
    """The verdict, in a thread. Ask `remembered_bearer` first: it needs no more of a request than its one
    `Authorization` header, which saves reading it whole."""
    try:
        return authenticator.authenticate_request(request, accepts_token=accepts)
    except HandshakeFailed as failure:
        return signed_out("session_token", reasons.UNEXPECTED_ERROR, str(failure))


async def judge_async(authenticator: Authenticator, request: AuthRequest, accepts: Accepted) -> RequestState:
    """As `judge`, in a coroutine."""
    try:
        return await authenticator.authenticate_request_async(request, accepts_token=accepts)
    except HandshakeFailed as failure:
        return signed_out("session_token", reasons.UNEXPECTED_ERROR, str(failure))


def redirect(state: RequestState) -> Answer | None:
    """The 307 of a handshake, or of its end in development; None to let the application answer."""
    # Nearly every request of somebody signed in has no headers.
    return Answer(307, state.headers) if state.headers and state.redirect_url is not None else None


def read_auth(state: RequestState | None, accepts: AcceptsToken) -> Auth:
    """Who the request is by, as one of the kinds accepted; signed out where nothing asked. Raises ConfigurationError."""
    if state is None:
        raise LookupError("no middleware of doorward.verify has seen this request; add it to the application")
    auth = state.to_auth()
    if auth is not None and auth.token_type == accepts:  # nearly always
        return auth
    return filtered(SessionAuth() if auth is None else auth, read_accepts(accepts))


def _unauthenticated(state: RequestState, auth: Auth) -> Answer:
    if state.reason in _UNAVAILABLE:
        message = "Tokens cannot be verified now: the keys cannot be had."
        return Answer(503, (("retry-after", "10"), *_JSON), _body(state.reason or "", message))
    reason = state.reason if not state.is_authenticated else reasons.TOKEN_TYPE_MISMATCH
    if isinstance(auth, SessionAuth) and auth.session_status == "pending":
        reason = "session-pending"
    kind = (
        "Another kind of token is due here."
        if isinstance(auth, InvalidTokenAuth)
        else "Sign in, or send a valid token."
    )
    return Answer(
        401,
        (("www-authenticate", "Bearer"), *_JSON),
        _body(reason or "unauthenticated", state.message or kind),
    )


def _forbidden(asked: Mapping[str, Any]) -> Answer:
    if "reverification" in asked:
        code, message = "reverification-error", "Verify it is you again, then repeat the request."
    else:
        code, message = "forbidden", "The session lacks what this needs: " + ", ".join(asked) + "."
    return Answer(403, _JSON, _body(code, message))


_JSON: Headers = (("content-type", "application/json"), ("cache-control", "no-store"))


class _Entry(msgspec.Struct):
    code: str
    message: str
    long_message: str


class _Errors(msgspec.Struct):
    errors: list[_Entry]


def _body(code: str, message: str) -> bytes:
    return msgspec.json.encode(_Errors([_Entry(code, message, message)]))
