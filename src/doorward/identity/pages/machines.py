"""The machines linked to one's account.

The list is the relay's, and identity has no say in it: the page's module takes a short-lived token for this session
and asks the relay itself. Without scripts the page says so and names the command that shows the same list.
"""

from starlette.requests import Request
from starlette.responses import Response

from doorward.identity.pages.site import Site
from doorward.web.notifier import WORKER_POLICY, notifier


async def show(site: Site, request: Request) -> Response:
    _, signed_in = await site.signed_in(request)
    context = {"session_id": signed_in.session.id, "relay_origin": site.settings.relay_origin}
    return site.page(request, "machines.html", context, worker_policy=WORKER_POLICY)


async def worker(_: Site, __: Request) -> Response:
    """What shows notifications of the agents' work on these machines; the relay sends them."""
    return notifier()
