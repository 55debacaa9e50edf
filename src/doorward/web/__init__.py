"""The visual system: what every page of Doorward is made of.

Owns one stylesheet (`static/doorward.css`), one small ES module (`static/doorward.js`), the mark, the page shell
(`templates/base.html`), the components (`templates/components.html`) and the content security policy. It mounts no routes of its own: a room makes one `Pages` and adds `pages.routes`.

    pages = Pages("doorward.identity.pages")             # a package with `templates/` and, if it likes, `static/`
    Starlette(routes=[*pages.routes, Route("/hello", hello)])
    async def hello(request): return pages.page(request, "hello.html", {"name": "Ada"})

Templates begin with `{% extends "base.html" %}` and `{% import "components.html" as ui %}`. There are no inline
styles, inline handlers or `innerHTML`: the policy sent with every page refuses them. A page's own module is named
by `{% block scripts %}{{ module("hello.js") }}{% endblock %}` and imports others as
`import { element } from "doorward/doorward.js"`; the page's import map turns such names into hashed URLs.

Neighbours: `identity.pages` and `environment.pages` build on it. It imports nothing of ours.
"""

from doorward.web.assets import StaticAssets
from doorward.web.headers import security_headers
from doorward.web.pages import Pages
from doorward.web.templating import templates

__all__ = [
    "Pages",
    "StaticAssets",
    "security_headers",
    "templates",
]
