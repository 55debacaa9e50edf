"""The page at `/docs`: every route by method, path and who may call it. No scripts, nothing from elsewhere.

The relay has no pages but this one, so it brings its few rules of style along; their hash is all the policy allows.
"""

import base64
import hashlib
import html
from collections.abc import Sequence
from typing import Any

from doorward.relay.http.responses import Response
from doorward.relay.http.routing import Route, anyone

TITLE = "T3 Code Relay API"

_STYLE = """
:root { color-scheme: light dark; }
body { margin: 0 auto; padding: 2rem 1rem; max-width: 56rem; background: light-dark(#f6f4ef, #131518); color: light-dark(#1b1f23, #e9eaec); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.75rem; line-height: 2.25rem; }
a { color: light-dark(#0b5d5b, #6fd0c4); }
:focus-visible { outline: 3px solid light-dark(#0b5d5b, #6fd0c4); outline-offset: 2px; border-radius: 4px; }
ul { margin: 2rem 0 0; padding: 0; list-style: none; }
li { padding: 0.75rem 0; border-top: 1px solid light-dark(#dfdbd2, #30353d); }
p { margin: 0.25rem 0 0; }
code { font: 0.9375rem/1.5 ui-monospace, "DejaVu Sans Mono", monospace; }
.soft { color: light-dark(#575e66, #a8afb8); }
"""
_POLICY = (
    "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    + "'"
)
_HEADERS = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)


def page(routes: Sequence[Route[Any, Any]]) -> Response:
    """The whole answer, headers included."""
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{TITLE}</title>"
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<style>{_STYLE}</style></head><body><main><h1>{TITLE}</h1>"
        '<p>With every body and answer, for programs: <a href="/openapi.json">OpenAPI 3.1</a>.</p>'
        f"<ul>{''.join(map(_entry, routes))}</ul></main></body></html>"
    )
    return Response(200, text.encode(), b"text/html; charset=utf-8", _HEADERS)


def _entry(route: Route[Any, Any]) -> str:
    return (
        f"<li><code><strong>{route.method}</strong> {html.escape(route.path)}</code>"
        f'<p>{html.escape(route.summary)}. <span class="soft">{_caller(route)}</span></p></li>'
    )


def _caller(route: Route[Any, Any]) -> str:
    if route.guard is anyone:
        return "DPoP proof, and a session in the body." if route.required_headers else "No authentication."
    return "DPoP token and proof." if route.is_dpop else "Bearer token."
