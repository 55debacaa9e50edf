"""The same application in every framework."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Annotated, Any

from doorward.verify import Authenticator, SessionAuth
from tests.verify.frameworks.serving import aiohttp_server, asgi_server, wsgi_server

PERMISSION = "org:orders:read"
ANY = ("session_token", "api_key")
Server = Callable[[Any], AbstractContextManager[str]]


def told(auth: Any) -> dict[str, Any]:
    """What a handler answers about who asks."""
    return {
        "kind": auth.token_type,
        "who": getattr(auth, "user_id", None) or getattr(auth, "subject", None),
        "signed_in": auth.is_authenticated,
    }


def plain_asgi(authenticator: Authenticator) -> Any:
    from doorward.verify.integrations.asgi import AuthMiddleware, get_auth
    from doorward.verify.integrations.requirement import KEY, Requirement

    requirements = _requirements(Requirement)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        auth = get_auth(scope)
        if scope["path"] in requirements:
            auth = requirements[scope["path"]].check(scope[KEY])
        body = json.dumps(told(auth)).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return AuthMiddleware(app, authenticator)


def plain_wsgi(authenticator: Authenticator) -> Any:
    from doorward.verify.integrations.requirement import KEY, Requirement
    from doorward.verify.integrations.wsgi import AuthMiddleware, get_auth

    requirements = _requirements(Requirement)

    def app(environ: Any, start_response: Any) -> Any:
        auth = get_auth(environ)
        if environ["PATH_INFO"] in requirements:
            auth = requirements[environ["PATH_INFO"]].check(environ[KEY])
        body = json.dumps(told(auth)).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    return AuthMiddleware(app, authenticator)


def _requirements(requirement: Any) -> dict[str, Any]:
    return {
        "/orders": requirement(),
        "/reports": requirement(permission=PERMISSION),
        "/machine": requirement("m2m_token"),
        "/any": requirement(ANY),
    }


def starlette(authenticator: Authenticator) -> Any:
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    from doorward.verify.integrations.starlette import AuthMiddleware, get_auth, require_auth

    def endpoint(accepts: Any) -> Any:
        async def answer(request: Any) -> Any:
            return JSONResponse(told(get_auth(request, accepts)))

        return answer

    return Starlette(
        routes=[
            Route("/", endpoint("session_token"), methods=["GET", "POST"]),
            Route("/orders", require_auth()(endpoint("session_token"))),
            Route("/reports", require_auth(permission=PERMISSION)(endpoint("session_token"))),
            Route("/machine", require_auth("m2m_token")(endpoint("m2m_token"))),
            Route("/any", require_auth(ANY)(endpoint(ANY))),
        ],
        middleware=[Middleware(AuthMiddleware, authenticator=authenticator)],
    )


def fastapi(authenticator: Authenticator) -> Any:
    from fastapi import Depends, FastAPI, Request

    from doorward.verify.integrations.fastapi import AuthMiddleware, RequireAuth, get_auth

    app = FastAPI()
    app.add_middleware(AuthMiddleware, authenticator=authenticator)

    async def anybody(request: Request) -> dict[str, Any]:
        return told(get_auth(request))

    anybody.__annotations__["request"] = Request  # imported here, where FastAPI does not look for names
    app.add_api_route("/", anybody)
    for path, required in {
        "/orders": RequireAuth(authenticator),
        "/reports": RequireAuth(authenticator, permission=PERMISSION),
        "/machine": RequireAuth(authenticator, "m2m_token"),
        "/any": RequireAuth(authenticator, ANY),
    }.items():
        app.add_api_route(path, _told_by(required, Depends))
    return app


def _told_by(required: Any, depends: Any) -> Any:
    async def answer(auth: Any) -> dict[str, Any]:
        return told(auth)

    answer.__annotations__["auth"] = Annotated[Any, depends(required)]
    return answer


def litestar(authenticator: Authenticator) -> Any:
    from litestar import Litestar, Request, get, route
    from litestar.middleware import DefineMiddleware

    from doorward.verify.integrations.litestar import AuthMiddleware, get_auth, require_auth

    def handler(path: str, accepts: Any, **options: Any) -> Any:
        async def answer(request: Request) -> dict[str, Any]:
            return told(get_auth(request, accepts))

        answer.__annotations__ = {"request": Request, "return": dict[str, Any]}
        if path == "/":
            return route(path, http_method=["GET", "POST"], status_code=200)(answer)
        return get(path, guards=[require_auth(accepts, **options)])(answer)

    return Litestar(
        [
            handler("/", "session_token"),
            handler("/orders", "session_token"),
            handler("/reports", "session_token", permission=PERMISSION),
            handler("/machine", "m2m_token"),
            handler("/any", ANY),
        ],
        middleware=[DefineMiddleware(AuthMiddleware, authenticator=authenticator)],
    )


def aiohttp(authenticator: Authenticator) -> Any:
    from aiohttp import web

    from doorward.verify.integrations.aiohttp import auth_middleware, get_auth, require_auth

    def endpoint(accepts: Any) -> Any:
        async def answer(request: Any) -> Any:
            return web.json_response(told(get_auth(request, accepts)))

        return answer

    app = web.Application(middlewares=[auth_middleware(authenticator)])
    app.router.add_get("/", endpoint("session_token"))
    app.router.add_post("/", endpoint("session_token"))
    app.router.add_get("/orders", require_auth()(endpoint("session_token")))
    app.router.add_get("/reports", require_auth(permission=PERMISSION)(endpoint("session_token")))
    app.router.add_get("/machine", require_auth("m2m_token")(endpoint("m2m_token")))
    app.router.add_get("/any", require_auth(ANY)(endpoint(ANY)))
    return app


def flask(authenticator: Authenticator) -> Any:
    from flask import Flask

    from doorward.verify.integrations.flask import get_auth, init_app, require_auth

    app = Flask("orders")
    init_app(app, authenticator)

    def view(accepts: Any) -> Any:
        return lambda: told(get_auth(accepts))

    app.add_url_rule("/", "home", view("session_token"), methods=["GET", "POST"])
    app.add_url_rule("/orders", "orders", require_auth()(view("session_token")))
    app.add_url_rule("/reports", "reports", require_auth(permission=PERMISSION)(view("session_token")))
    app.add_url_rule("/machine", "machine", require_auth("m2m_token")(view("m2m_token")))
    app.add_url_rule("/any", "any", require_auth(ANY)(view(ANY)))
    return app


def django_wsgi(authenticator: Authenticator) -> Any:
    from django.core.handlers.wsgi import WSGIHandler

    from tests.verify.frameworks import django_site

    django_site.configure(authenticator)
    return WSGIHandler()


def django_asgi(authenticator: Authenticator) -> Any:
    from django.core.handlers.asgi import ASGIHandler

    from tests.verify.frameworks import django_site

    django_site.configure(authenticator)
    return ASGIHandler()


def django_rest_framework(authenticator: Authenticator) -> Any:
    from tests.verify.frameworks import django_site

    app = django_wsgi(authenticator)
    django_site.use_rest_framework()
    return app


FRAMEWORKS: dict[str, tuple[Callable[[Authenticator], Any], Server]] = {
    "asgi": (plain_asgi, asgi_server),
    "wsgi": (plain_wsgi, wsgi_server),
    "starlette": (starlette, asgi_server),
    "fastapi": (fastapi, asgi_server),
    "litestar": (litestar, asgi_server),
    "aiohttp": (aiohttp, aiohttp_server),
    "flask": (flask, wsgi_server),
    "django-wsgi": (django_wsgi, wsgi_server),
    "django-asgi": (django_asgi, asgi_server),
    "django-rest-framework": (django_rest_framework, wsgi_server),
}


# What the same handlers tell of where nothing asks the request.
SOMEBODY = SessionAuth(is_authenticated=True, user_id="user_2abcDEFghiJKLmnoPQRstuVWXyz")


def bare_asgi() -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = json.dumps(told(SOMEBODY)).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


def bare_wsgi() -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        body = json.dumps(told(SOMEBODY)).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    return app


def bare_starlette() -> Any:
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    async def answer(request: Any) -> Any:
        return JSONResponse(told(SOMEBODY))

    return Starlette(routes=[Route("/", answer)])


def bare_fastapi() -> Any:
    from fastapi import FastAPI, Request

    app = FastAPI()

    async def answer(request: Request) -> dict[str, Any]:
        return told(SOMEBODY)

    answer.__annotations__["request"] = Request
    app.add_api_route("/", answer)
    return app


def bare_litestar() -> Any:
    from litestar import Litestar, Request, get

    async def answer(request: Request) -> dict[str, Any]:
        return told(SOMEBODY)

    answer.__annotations__ = {"request": Request, "return": dict[str, Any]}
    return Litestar([get("/")(answer)])


def bare_aiohttp() -> Any:
    from aiohttp import web

    async def answer(request: Any) -> Any:
        return web.json_response(told(SOMEBODY))

    app = web.Application()
    app.router.add_get("/", answer)
    return app


def bare_flask() -> Any:
    from flask import Flask

    app = Flask("orders")
    app.add_url_rule("/", "home", lambda: told(SOMEBODY))
    return app


def bare_django() -> Any:
    from django.core.handlers.wsgi import WSGIHandler

    from tests.verify.frameworks import django_site

    django_site.configure_bare()
    return WSGIHandler()


# The same without authentication, for `bench/middleware.py` to compare with.
BARE: dict[str, Callable[[], Any]] = {
    "asgi": bare_asgi,
    "wsgi": bare_wsgi,
    "starlette": bare_starlette,
    "fastapi": bare_fastapi,
    "litestar": bare_litestar,
    "aiohttp": bare_aiohttp,
    "flask": bare_flask,
    "django-wsgi": bare_django,
}
