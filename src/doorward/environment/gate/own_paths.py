"""`/.doorward/` on a service host: where a code becomes a cookie, and where a browser gives the cookie back."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from doorward.environment.gate import answers
from doorward.environment.gate.errors import Refusal
from doorward.environment.gate.headers import NONCE_COOKIE, SESSION_COOKIE, only_cookie_value
from doorward.environment.gate.rules import (
    OWN_PATHS,
    is_opaque_secret,
    is_own_form,
    safe_return_path,
)
from doorward.http1 import Answer, RequestHead

if TYPE_CHECKING:
    from doorward.environment.environment import Environment
    from doorward.environment.gate.streams import Streams

CALLBACK = OWN_PATHS + "callback"
SIGN_OUT = OWN_PATHS + "sign-out"
OWN_PATHS_START = OWN_PATHS.rstrip("/").encode()
"""A target that does not start so is no path of ours; one that does is judged by `is_own_path`."""


def is_own_path(path: bytes) -> bool:
    return path.startswith(OWN_PATHS.encode()) or path == OWN_PATHS_START


async def answer_own_path(
    environment: Environment, streams: Streams, head: RequestHead, *, service_host: str, own_origin: str
) -> Answer:
    path = head.path.decode("latin-1")
    if path == CALLBACK:
        if head.method != b"GET":
            return answers.refusal(Refusal.METHOD_NOT_ALLOWED)
        return await _callback(environment, head, service_host=service_host)
    if path == SIGN_OUT:
        if head.method != b"POST":
            return answers.refusal(Refusal.METHOD_NOT_ALLOWED)
        if not is_own_form(head.headers, own_origin=own_origin):
            return answers.refusal(Refusal.FOREIGN_ORIGIN)
        return await _sign_out(environment, streams, head)
    return answers.refusal(Refusal.NOT_FOUND)


async def _callback(environment: Environment, head: RequestHead, *, service_host: str) -> Answer:
    query = parse_qs(head.target.partition(b"?")[2].decode("latin-1"), keep_blank_values=True)
    code = _once(query, "code")
    return_path = safe_return_path(_once(query, "return"))
    nonce = only_cookie_value(head.headers, NONCE_COOKIE)
    if code is not None and nonce is not None and is_opaque_secret(code) and is_opaque_secret(nonce):
        child = await environment.children.redeem_code(code, service_host, nonce)
        if child is not None:
            return answers.redirect(return_path, answers.session_cookie(child.cookie))
    # A person who reloads, goes back or has two tabs arrives here with a spent code and a good session.
    cookie = only_cookie_value(head.headers, SESSION_COOKIE)
    if (
        cookie is not None
        and is_opaque_secret(cookie)
        and await environment.children.authorise_cookie(cookie, service_host) is not None
    ):
        return answers.redirect(return_path)
    return answers.page(
        400,
        "This link does not work any more",
        "It works once, within half a minute, in the browser that asked for it.",
        "If it happens again, this browser may be refusing cookies from this address.",
        machine=environment.label,
        action=(return_path, "Open the service again"),
    )


async def _sign_out(environment: Environment, streams: Streams, head: RequestHead) -> Answer:
    cookie = only_cookie_value(head.headers, SESSION_COOKIE)
    if cookie is not None and is_opaque_secret(cookie):
        session_id = await environment.children.end(cookie)
        if session_id is not None:
            # At the other services too, where they open again with their own cookies.
            streams.close(session_id)
    return answers.page(
        200,
        "Signed out of this service",
        "This browser has no access here until it signs in again. The device stays approved.",
        machine=environment.label,
        action=("/", "Sign in again"),
        cookies=answers.cleared_cookies(),
    )


def _once(query: dict[str, list[str]], name: str) -> str | None:
    values = query.get(name, [])
    return values[0] if len(values) == 1 else None
