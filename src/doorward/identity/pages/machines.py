"""The machines linked to one's account.

The list is the relay's, and identity has no say in it: the page's module takes a short-lived token for this session
and asks the relay itself. Without scripts the page says so and names the command that shows the same list.
"""

from starlette.requests import Request
from starlette.responses import Response

from doorward.identity.pages.site import Site


async def show(site: Site, request: Request) -> Response:
    _, signed_in = await site.signed_in(request)
    context = {"session_id": signed_in.session.id, "relay_origin": site.settings.relay_origin}
    return site.page(request, "machines.html", context)
