"""`/redirect_urls…`."""

from __future__ import annotations

from doorward.identity.backend_api.operations import Call, operation
from doorward.identity.backend_api.wire.instance import RedirectURL
from doorward.identity.backend_api.wire.shapes import Body, Listed, NoBody, NoQuery, Page
from doorward.identity.redirect_urls import RedirectUrl
from doorward.identity.resources.deleted import Deleted


class NewRedirectUrl(Body, frozen=True, kw_only=True):
    url: str


async def list_redirect_urls(call: Call[Page, NoBody]) -> list[RedirectURL] | Listed[RedirectURL]:
    """Registered redirect URLs, newest first."""
    page = call.query
    found, total = await call.identity.redirect_urls.page(page.limit, page.offset)
    data = [_shown(entry) for entry in found]
    return Listed(data, total) if page.paginated else data


async def create_redirect_url(call: Call[NoQuery, NewRedirectUrl]) -> RedirectURL:
    """Register a redirect URL, to the letter."""
    return _shown(await call.identity.redirect_urls.create(call.body.url, actor=call.caller.id))


async def get_redirect_url(call: Call[NoQuery, NoBody]) -> RedirectURL:
    """One redirect URL."""
    return _shown(await call.identity.redirect_urls.get(call.path["id"]))


async def delete_redirect_url(call: Call[NoQuery, NoBody]) -> Deleted:
    """Remove a redirect URL."""
    await call.identity.redirect_urls.delete(call.path["id"], actor=call.caller.id)
    return Deleted("redirect_url", call.path["id"])


def _shown(entry: RedirectUrl) -> RedirectURL:
    return RedirectURL(id=entry.id, url=entry.url, created_at=entry.created_at, updated_at=entry.updated_at)


OPERATIONS = (
    operation(
        "GET",
        "/redirect_urls",
        list_redirect_urls,
        query=Page,
        answer=list[RedirectURL] | Listed[RedirectURL],
    ),
    operation("POST", "/redirect_urls", create_redirect_url, body=NewRedirectUrl, answer=RedirectURL),
    operation("GET", "/redirect_urls/{id}", get_redirect_url, answer=RedirectURL),
    operation("DELETE", "/redirect_urls/{id}", delete_redirect_url, answer=Deleted),
)
