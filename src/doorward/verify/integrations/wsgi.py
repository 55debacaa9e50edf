"""Any WSGI application.

app = AuthMiddleware(app, Authenticator())
get_auth(environ).user_id
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote

from doorward.verify.authenticator import Authenticator
from doorward.verify.integrations.requirement import KEY, Answer, NotLetIn, judge, read_auth, redirect
from doorward.verify.requests import AuthRequest, auth_request
from doorward.verify.results import Auth
from doorward.verify.settings import AcceptsToken, read_accepts

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
App = Callable[[Environ, StartResponse], Iterable[bytes]]


class AuthMiddleware:
    """Judges each request before `app` sees it; `accepts_token` are the kinds worth verifying at all."""

    def __init__(
        self, app: App, authenticator: Authenticator, *, accepts_token: AcceptsToken = "any"
    ) -> None:
        self._app = app
        self._authenticator = authenticator
        self._accepts = read_accepts(accepts_token)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        state = self._authenticator.remembered_bearer(environ.get("HTTP_AUTHORIZATION"), self._accepts)
        if state is None:
            state = judge(self._authenticator, request_of(environ), self._accepts)
        environ[KEY] = state
        answer = redirect(state)
        if answer is not None:
            return start_answer(answer, start_response)

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            return start_response(status, [*headers, *state.headers], *rest)

        try:
            return self._app(environ, start if state.headers else start_response)
        except NotLetIn as refused:
            return start_answer(refused.answer, start)


def get_auth(environ: Environ, accepts_token: AcceptsToken = "session_token") -> Auth:
    """Who the request is by. Raises LookupError without the middleware."""
    return read_auth(environ.get(KEY), accepts_token)


def request_of(environ: Environ) -> AuthRequest:
    """The request of a WSGI environ."""
    headers = [
        (name[5:].replace("_", "-"), value) for name, value in environ.items() if name.startswith("HTTP_")
    ]
    host = environ.get("HTTP_HOST") or f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
    path = quote(
        (environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")).encode("latin-1"),
        safe="/:@!$&'()*+,;=~",
    )
    query = environ.get("QUERY_STRING", "")
    url = f"{environ['wsgi.url_scheme']}://{host}{path or '/'}" + (f"?{query}" if query else "")
    return auth_request(environ["REQUEST_METHOD"], url, headers)


def start_answer(answer: Answer, start_response: StartResponse) -> Iterable[bytes]:
    headers = [*answer.headers, ("content-length", str(len(answer.body)))]
    start_response(f"{answer.status} {answer.reason_phrase}", headers)
    return [answer.body]
