"""Any ASGI application.

app = AuthMiddleware(app, Authenticator())
get_auth(scope).user_id
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from doorward.verify.authenticator import Authenticator
from doorward.verify.integrations.requirement import KEY, Answer, NotLetIn, judge_async, read_auth, redirect
from doorward.verify.requests import AuthRequest, auth_request
from doorward.verify.results import Auth
from doorward.verify.settings import AcceptsToken, read_accepts
from doorward.verify.state import Headers

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class AuthMiddleware:
    """Judges each request before `app` sees it; `accepts_token` are the kinds worth verifying at all."""

    def __init__(
        self, app: App, authenticator: Authenticator, *, accepts_token: AcceptsToken = "any"
    ) -> None:
        self._app = app
        self._authenticator = authenticator
        self._accepts = read_accepts(accepts_token)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        state = self._authenticator.remembered_bearer(authorization_of(scope), self._accepts)
        if state is None:
            state = await judge_async(self._authenticator, request_of(scope), self._accepts)
        scope[KEY] = state
        answer = redirect(state) if scope["type"] == "http" else None
        if answer is not None:
            await send_answer(answer, send)
            return
        telling = _adding(state.headers, send) if state.headers else send
        try:
            await self._app(scope, receive, telling)
        except NotLetIn as refused:  # raised by a plain application; frameworks answer it themselves
            await send_answer(refused.answer, telling)


def get_auth(scope: Scope, accepts_token: AcceptsToken = "session_token") -> Auth:
    """Who the request is by. Raises LookupError without the middleware."""
    return read_auth(scope.get(KEY), accepts_token)


def authorization_of(scope: Scope) -> str | None:
    """The `Authorization` header, if there is exactly one."""
    found: bytes | None = None
    for name, value in scope["headers"]:
        if name == b"authorization":
            if found is not None:
                return None
            found = value
    return None if found is None else found.decode("latin-1")


def request_of(scope: Scope) -> AuthRequest:
    """The request of an ASGI scope."""
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
    server = scope.get("server") or ("localhost", None)
    host = next((value for name, value in headers if name == "host"), None) or (
        server[0] if server[1] is None else f"{server[0]}:{server[1]}"
    )
    scheme = {"ws": "http", "wss": "https"}.get(scope.get("scheme", "http"), scope.get("scheme", "http"))
    query = scope.get("query_string", b"").decode("latin-1")
    path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
    url = f"{scheme}://{host}{path}" + (f"?{query}" if query else "")
    return auth_request(scope.get("method", "GET"), url, headers)


async def send_answer(answer: Answer, send: Send) -> None:
    headers = [*encoded(answer.headers), (b"content-length", str(len(answer.body)).encode())]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


def encoded(headers: Headers) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def _adding(headers: Headers, send: Send) -> Send:
    """`send`, with the verdict's headers on the answer's start."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *encoded(headers)]}
        await send(message)

    return send_with_headers
