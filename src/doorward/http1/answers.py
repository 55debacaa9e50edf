"""Short answers of our own: one renderer for every error page the engine or the edge shows."""

from __future__ import annotations

from html import escape
from http import HTTPStatus

import msgspec

from doorward.http1.exchange import Answer
from doorward.http1.heads import Headers

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 0; min-height: 100vh; display: grid; place-items: center; }}
main {{ max-width: 32rem; padding: 24px; }}
h1 {{ font-size: 1.5rem; line-height: 1.25; margin: 0 0 8px; }}
p {{ margin: 0 0 8px; }}
small {{ opacity: .75; }}
</style></head>
<body><main><h1>{title}</h1><p>{message}</p><p><small>{status} {code}</small></p></main></body></html>
"""

_SECURITY: Headers = [
    (b"cache-control", b"no-store"),
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]


class _ProblemBody(msgspec.Struct):
    error: str
    message: str


def problem(
    status: int, code: str, message: str, *, accept: bytes | None = None, title: str | None = None
) -> Answer:
    """An error as HTML when `accept` (the request's header) names it, JSON when it prefers that, else plain text."""
    title = title or reason_phrase(status).decode()
    wanted = (accept or b"").lower()
    html_at = wanted.find(b"text/html")
    json_at = wanted.find(b"json")
    if json_at >= 0 and (html_at < 0 or json_at < html_at):
        kind, body = b"application/json", msgspec.json.encode(_ProblemBody(code, message))
    elif html_at >= 0:
        page = _PAGE.format(title=escape(title), message=escape(message), status=status, code=escape(code))
        kind, body = b"text/html; charset=utf-8", page.encode()
    else:
        kind, body = b"text/plain; charset=utf-8", f"{title}. {message}\n".encode()
    return Answer(status, [(b"content-type", kind), *_SECURITY], body)


def reason_phrase(status: int) -> bytes:
    try:
        return HTTPStatus(status).phrase.encode()
    except ValueError:
        return b""
