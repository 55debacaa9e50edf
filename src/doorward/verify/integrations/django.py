"""Django, under WSGI and ASGI.

MIDDLEWARE = ["doorward.verify.integrations.django.AuthMiddleware", ...]
DOORWARD = {"authorized_parties": ["https://app.example.com"]}     # options of `Authenticator`; keys from CLERK_*

@require_auth(permission="org:orders:read")
def orders(request): return JsonResponse({"user": get_auth(request).user_id})
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Container
from http.cookies import Morsel
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from doorward.verify.authenticator import Authenticator
from doorward.verify.integrations.requirement import (
    KEY,
    Answer,
    NotLetIn,
    Requirement,
    judge,
    judge_async,
    read_auth,
    redirect,
)
from doorward.verify.requests import AuthRequest, auth_request
from doorward.verify.results import Auth
from doorward.verify.settings import AcceptsToken, read_accepts
from doorward.verify.state import RequestState

_ATTRIBUTE = KEY.replace(".", "_")


class AuthMiddleware:
    """Judges each request; the rest of the stack may be synchronous or not."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        options: dict[str, Any] = dict(getattr(settings, "DOORWARD", {}))
        self._accepts = read_accepts(options.pop("accepts_token", "any"))
        self._authenticator = options.pop("authenticator", None) or Authenticator(**options)
        self._get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self._is_async:
            return self._call_async(request)
        state = self._remembered(request)
        if state is None:
            state = judge(self._authenticator, request_of(request), self._accepts)
        answer = _begin(request, state)
        return response(answer) if answer is not None else _end(self._get_response(request), state)

    async def _call_async(self, request: HttpRequest) -> HttpResponseBase:
        state = self._remembered(request)
        if state is None:
            state = await judge_async(self._authenticator, request_of(request), self._accepts)
        answer = _begin(request, state)
        return response(answer) if answer is not None else _end(await self._get_response(request), state)

    def _remembered(self, request: HttpRequest) -> RequestState | None:
        return self._authenticator.remembered_bearer(request.META.get("HTTP_AUTHORIZATION"), self._accepts)


def get_auth(request: HttpRequest, accepts_token: AcceptsToken = "session_token") -> Auth:
    """Who the request is by. Raises LookupError without the middleware."""
    return read_auth(getattr(request, _ATTRIBUTE, None), accepts_token)


def get_state(request: HttpRequest) -> RequestState | None:
    """The whole verdict; None without the middleware."""
    return getattr(request, _ATTRIBUTE, None)


def require_auth(
    accepts_token: AcceptsToken = "session_token", **asked: Any
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Lets only requests in that `Requirement(accepts_token, **asked)` does; for views of both kinds."""
    requirement = Requirement(accepts_token, **asked)

    def refusal(request: HttpRequest) -> HttpResponse | None:
        get_auth(request)
        try:
            requirement.check(getattr(request, _ATTRIBUTE))
        except NotLetIn as refused:
            return response(refused.answer)
        return None

    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        if iscoroutinefunction(view):

            @functools.wraps(view)
            async def guarded_async(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
                return refusal(request) or await view(request, *args, **kwargs)

            return guarded_async

        @functools.wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            return refusal(request) or view(request, *args, **kwargs)

        return guarded

    return decorate


def request_of(request: HttpRequest) -> AuthRequest:
    host = request.META.get("HTTP_HOST") or f"{request.META['SERVER_NAME']}:{request.META['SERVER_PORT']}"
    url = f"{request.scheme}://{host}{request.get_full_path()}"
    return auth_request(request.method or "GET", url, request.headers.items())


def response(answer: Answer) -> HttpResponse:
    made = HttpResponse(answer.body, status=answer.status)
    return _with_headers(made, answer.headers)


def _begin(request: HttpRequest, state: RequestState) -> Answer | None:
    setattr(request, _ATTRIBUTE, state)
    return redirect(state)


def _end(answered: HttpResponseBase, state: RequestState) -> HttpResponseBase:
    return _with_headers(answered, state.headers)


def _with_headers(answered: Any, headers: tuple[tuple[str, str], ...]) -> Any:
    for name, value in headers:
        if name == "set-cookie":
            dict.__setitem__(answered.cookies, value, _Directive(value))
        else:
            answered[name] = value
    return answered


class _Directive(Morsel):  # type: ignore[type-arg]
    """A `Set-Cookie` line as it is. Django keeps one cookie a name, and a handshake sets one name for two domains."""

    def __init__(self, line: str) -> None:
        super().__init__()
        self._line = line

    def OutputString(self, attrs: Container[str] | None = None) -> str:  # noqa: N802 - the library's name
        return self._line
