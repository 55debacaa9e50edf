"""Authentication in web frameworks: one module each, importing its framework and nothing of the others.

    asgi, wsgi                  the bare interfaces; Starlette, FastAPI and Litestar stand on the first
    starlette, fastapi, litestar, aiohttp, django, drf, flask

All do the same. A middleware asks the authenticator once per request, answers a handshake with its redirect, and puts
what it learned on the request; `get_auth(request)` reads it, and `require_auth` (FastAPI: `RequireAuth`) lets only some in. A refusal
is 401 with `WWW-Authenticate`, 403 where the token is good but may not, 503 where keys cannot be had, with
Clerk's error body. What is the same is in `requirement`.
"""
