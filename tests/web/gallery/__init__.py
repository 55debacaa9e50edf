"""Every component on one page, for tests and for whoever changes the stylesheet. Mounted nowhere in the product."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from doorward.web import Pages

PHRASE = "copper gentle lantern outdoor velvet window"


def gallery() -> Starlette:
    pages = Pages("tests.web.gallery")

    async def show(request: Request) -> Response:
        return pages.page(request, "gallery.html", {"phrase": PHRASE, "now": 1_800_000_000_000})

    async def narrow(request: Request) -> Response:
        return pages.page(request, "narrow.html", {"phrase": PHRASE})

    return Starlette(routes=[*pages.routes, Route("/", show), Route("/narrow", narrow)])
