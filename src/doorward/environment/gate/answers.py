"""The gate's own answers: refusals as JSON, redirects, and the few pages a person may meet on a service host.

The pages are self-contained: a service host carries nothing of ours but `/.doorward/`, so there is no
stylesheet to link; they look as those of `doorward.web` do.
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
<title>{title} · Doorward</title><style nonce="{nonce}">
:root {{ color-scheme: light dark; --ink: #1b1f23; --soft: #575e66; --paper: #f6f4ef; --card: #ffffff; --line: #dfdbd2; --accent: #0b5d5b; --on-accent: #ffffff; }}
@media (prefers-color-scheme: dark) {{ :root {{ --ink: #e9eaec; --soft: #a8afb8; --paper: #131518; --card: #1b1e23; --line: #30353d; --accent: #6fd0c4; --on-accent: #06201e; }} }}
* {{ box-sizing: border-box; }}
body {{ max-width: 30rem; margin: 0 auto; background: var(--paper); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }}
header {{ display: flex; align-items: center; gap: 8px; min-height: 72px; padding: 16px 24px; font-size: 1.125rem; font-weight: 650; letter-spacing: -0.015em; }}
svg {{ flex: none; fill: var(--accent); }}
main {{ position: relative; display: grid; gap: 16px; margin: 4vh 24px 64px; padding: 32px; background: var(--card); border: 1px solid var(--line); border-top: 0; border-radius: 0 0 12px 12px; }}
main::before {{ content: ""; position: absolute; left: -8px; right: -8px; top: -4px; height: 8px; border-radius: 2px; background: var(--accent); forced-color-adjust: none; }}
h1, p, dl, dd {{ margin: 0; }} h1 {{ font-size: 1.75rem; font-weight: 650; line-height: 2.25rem; letter-spacing: -0.02em; text-wrap: balance; }}
dl div {{ display: grid; grid-template-columns: 10rem minmax(0, 1fr); gap: 0 16px; }} dt {{ color: var(--soft); }}
a {{ display: block; padding: 10px 20px; border: 1px solid transparent; border-radius: 8px; background: var(--accent); color: var(--on-accent); font-weight: 600; text-align: center; text-decoration: none; }}
a:focus-visible {{ outline: 3px solid var(--accent); outline-offset: 2px; }}
@media (max-width: 30rem) {{ header {{ min-height: 64px; padding: 12px 16px; }} main {{ margin: 24px 16px; padding: 24px 16px; }} dl div {{ grid-template-columns: 1fr; }} }}
</style></head><body><header><svg viewBox="0 0 32 32" width="28" height="28" aria-hidden="true"><path d="{mark}"/></svg>Doorward</header>
<main><h1>{title}</h1>{paragraphs}<dl><div><dt>Machine</dt><dd>{machine}</dd></div></dl>{action}</main></body></html>
"""
_MARK = "M2 4h28v3.5H2zM5 7.5h3.5V28H5zM23.5 7.5H27V28h-3.5zM16 11.5a4 4 0 0 1 2.2 7.34L20.5 28h-9l2.3-9.16A4 4 0 0 1 16 11.5z"


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
    machine: str,
    action: tuple[str, str] | None = None,
    cookies: tuple[bytes, ...] = (),
) -> Answer:
    """A page for a person: what happened, then what to do. `machine` is its name, `action` (path, label) of the one link."""
    nonce = secrets.token_urlsafe(16)
    body = _PAGE.format(
        title=escape(title),
        nonce=nonce,
        mark=_MARK,
        machine=escape(machine),
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
