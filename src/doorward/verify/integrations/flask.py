"""Flask.

app = Flask(__name__)
init_app(app, Authenticator())

@app.get("/orders")
@require_auth(permission="org:orders:read")
def orders(): return {"user": get_auth().user_id}
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from flask import Flask, Response, request

from doorward.verify.authenticator import Authenticator
from doorward.verify.authorization import Reverification
from doorward.verify.integrations.requirement import (
    KEY,
    Answer,
    NotLetIn,
    Requirement,
    judge,
    read_auth,
    redirect,
)
from doorward.verify.integrations.wsgi import request_of
from doorward.verify.results import Auth
from doorward.verify.settings import AcceptsToken, read_accepts

P = ParamSpec("P")
T = TypeVar("T")


def init_app(app: Flask, authenticator: Authenticator, *, accepts_token: AcceptsToken = "any") -> None:
    """Judges each request of `app`; `accepts_token` are the kinds worth verifying at all."""
    accepts = read_accepts(accepts_token)

    @app.before_request
    def authenticate() -> Response | None:
        environ = request.environ
        state = authenticator.remembered_bearer(environ.get("HTTP_AUTHORIZATION"), accepts)
        if state is None:
            state = judge(authenticator, request_of(environ), accepts)
        environ[KEY] = state
        answer = redirect(state)
        return None if answer is None else response(answer)

    @app.after_request
    def tell(answered: Response) -> Response:
        state = request.environ.get(KEY)
        if state is not None and state.redirect_url is None:
            for name, value in state.headers:
                answered.headers.add(name, value)
        return answered


def get_auth(accepts_token: AcceptsToken = "session_token") -> Auth:
    """Who the current request is by. Raises LookupError where `init_app` was not called."""
    return read_auth(request.environ.get(KEY), accepts_token)


def require_auth(
    accepts_token: AcceptsToken = "session_token",
    *,
    role: str | None = None,
    permission: str | None = None,
    feature: str | None = None,
    plan: str | None = None,
    reverification: str | Reverification | None = None,
) -> Callable[[Callable[P, T]], Callable[P, T | Response]]:
    """Lets only requests in that the `Requirement` of the same words does."""
    requirement = Requirement(
        accepts_token,
        role=role,
        permission=permission,
        feature=feature,
        plan=plan,
        reverification=reverification,
    )

    def decorate(view: Callable[P, T]) -> Callable[P, T | Response]:
        @functools.wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> T | Response:
            get_auth()
            try:
                requirement.check(request.environ[KEY])
            except NotLetIn as refused:
                return response(refused.answer)
            return view(*args, **kwargs)

        return guarded

    return decorate


def response(answer: Answer) -> Response:
    return Response(answer.body, answer.status, headers=list(answer.headers))
