"""The end of signing in from a terminal that no browser can come back to: a code to copy and paste there.

Anybody can make a link to this page, with a code of theirs in it. So the page decides nothing and stores nothing; what
it shows is of use to one terminal alone, which recognises the state that follows the code and holds the PKCE verifier.
"""

import re

from starlette.requests import Request
from starlette.responses import Response

from doorward.identity.errors import RESOURCE_NOT_FOUND, Refused
from doorward.identity.pages.site import Site

# What we make codes of, and what programs make states of: nothing a page could be made to say by a link.
_CODE = re.compile(r"[A-Za-z0-9_-]{20,100}")
_STATE = re.compile(r"[A-Za-z0-9_-]{8,100}")


async def show(site: Site, request: Request) -> Response:
    query = request.query_params
    if "error" in query:
        return site.page(request, "paste_denied.html")
    code, state = query.get("code", ""), query.get("state", "")
    if not (_CODE.fullmatch(code) and _STATE.fullmatch(state)):
        raise Refused(RESOURCE_NOT_FOUND)
    return site.page(request, "paste.html", {"code": f"{code}.{state}"})
