"""The gate's own answers: refusals as JSON, redirects, and the few pages a person may meet on a service host.

The pages are self-contained: a service host carries nothing of ours but `/.doorward/`, so there is no
stylesheet to link; the colours are those of `doorward.web`.
"""

from __future__ import annotations

import secrets
from html import escape

from doorward.environment.gate.errors import Refusal
from doorward.environment.gate.headers import NONCE_COOKIE, SESSION_COOKIE, Header
from doorward.http1 import Answer

COOKIE_LIFETIME = 900  # seconds; `__Host-doorward` is renewed by a hop through the API host

_NO_STORE: list[Header] = [
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
]
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style nonce="{nonce}">
:root {{ color-scheme: light dark; --ink: #1b1f23; --quiet: #575e66; --ground: #f6f4ef; --card: #fff; --line: #dfdbd2; --accent: #0b5d5b; --on: #fff; }}
@media (prefers-color-scheme: dark) {{ :root {{ --ink: #e9eaec; --quiet: #a8afb8; --ground: #131518; --card: #1b1e23; --line: #30353d; --accent: #6fd0c4; --on: #06201e; }} }}
* {{ box-sizing: border-box; }}
body {{ margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--ground); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }}
main {{ width: min(100% - 32px, 440px); padding: 32px 24px; background: var(--card); border: 1px solid var(--line); border-top: 8px solid var(--accent); border-radius: 2px 2px 12px 12px; overflow-wrap: anywhere; }}
h1 {{ margin: 0 0 8px; font-size: 24px; line-height: 1.25; }} p {{ margin: 0 0 16px; color: var(--quiet); }} p:last-child {{ margin: 0; }}
a {{ display: inline-block; padding: 10px 16px; border-radius: 8px; background: var(--accent); color: var(--on); font-weight: 600; text-decoration: none; }}
a:focus-visible {{ outline: 3px solid var(--accent); outline-offset: 2px; }}
</style></head><body><main><h1>{title}</h1>{paragraphs}{action}</main></body></html>
"""


def refusal(reason: Refusal, *, gate_url: str | None = None) -> Answer:
    """A refusal for programs and scripts; `gate_url` tells them where a person signs in."""
    headers = [(b"content-type", b"application/json"), *_NO_STORE]
    if gate_url is not None:
        headers.append((b"doorward-gate", gate_url.encode()))
    return Answer(reason.status, headers, reason.body())


def redirect(location: str, *cookies: bytes) -> Answer:
    """303: whatever the request was, the browser goes on with a GET."""
    return Answer(
        303,
        [(b"location", location.encode()), *_NO_STORE, *((b"set-cookie", cookie) for cookie in cookies)],
    )


def session_cookie(value: str) -> bytes:
    return f"{SESSION_COOKIE}={value}; Path=/; Max-Age={COOKIE_LIFETIME}; Secure; HttpOnly; SameSite=Lax".encode()


def nonce_cookie(value: str) -> bytes:
    """Lives as long as the browser: an approval may take the owner an hour."""
    return f"{NONCE_COOKIE}={value}; Path=/; Secure; HttpOnly; SameSite=Lax".encode()


def cleared_cookies() -> tuple[bytes, ...]:
    return tuple(
        f"{name}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax".encode()
        for name in (SESSION_COOKIE, NONCE_COOKIE)
    )


def page(
    status: int,
    title: str,
    *sentences: str,
    action: tuple[str, str] | None = None,
    cookies: tuple[bytes, ...] = (),
) -> Answer:
    """A page for a person: what happened, then what to do. `action` is (path, label) of its one link."""
    nonce = secrets.token_urlsafe(16)
    body = _PAGE.format(
        title=escape(title),
        nonce=nonce,
        paragraphs="".join(f"<p>{escape(sentence)}</p>" for sentence in sentences),
        action=f'<p><a href="{escape(action[0])}">{escape(action[1])}</a></p>' if action else "",
    )
    policy = f"default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    return Answer(
        status,
        [
            (b"content-type", b"text/html; charset=utf-8"),
            (b"content-security-policy", policy.encode()),
            *_NO_STORE,
            *((b"set-cookie", cookie) for cookie in cookies),
        ],
        body.encode(),
    )
