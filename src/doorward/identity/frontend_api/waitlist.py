"""`/v1/waitlist`, and `/v1/tickets/accept`: the link in the mails that let people in."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urlsplit

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from doorward.identity.accounts import store as accounts
from doorward.identity.answers import json
from doorward.identity.errors import INTERNAL_ERROR, Problem, Refused, missing
from doorward.identity.frontend_api.call import Call
from doorward.identity.frontend_api.dispatch import Endpoints
from doorward.identity.invitations.store import Invitation
from doorward.store import StoreError

if TYPE_CHECKING:
    from doorward.identity.services import Identity

ErrorPage = Callable[["Identity", Request, Refused], Response]


class Joined(msgspec.Struct, frozen=True, kw_only=True):
    """What a visitor learns of their entry: not where it stands."""

    object: str = "waitlist_entry"
    id: str
    created_at: int
    updated_at: int


def routes(endpoints: Endpoints, identity: Identity, error_page: ErrorPage) -> list[BaseRoute]:
    async def accept(request: Request) -> Response:
        try:
            return await _accept(identity, request)
        except Refused as refused:
            return error_page(identity, request, refused)
        except StoreError:
            return error_page(identity, request, Refused(INTERNAL_ERROR))

    return [
        endpoints.route("/v1/waitlist", POST=join),
        Route("/v1/tickets/accept", accept, methods=["GET"]),
    ]


async def join(call: Call) -> Response:
    entry = await call.identity.waitlist.join_from(call.visit.ip, call.require("email_address"))
    return json(Joined(id=entry.id, created_at=entry.created_at, updated_at=entry.updated_at))


async def _accept(identity: Identity, request: Request) -> Response:
    """Send the browser on with the ticket, saying what it is good for here."""
    ticket = request.query_params.get("ticket") or ""
    if not ticket:
        raise Refused(missing("ticket"))
    found = await identity.invitations.of_ticket(ticket)
    if isinstance(found, Problem):
        raise Refused(found)
    visit = await identity.visits.of_navigation(request)
    signed_in = await identity.sessions.current(visit)
    if signed_in is not None:
        status = "complete"
        if found.kind == "organization":
            await identity.organization_invitations.accept(ticket, signed_in.user_id)
    else:
        status = "sign_in" if await _has_account(identity, found) else "sign_up"
    return _onward(identity, found, ticket, status)


async def _has_account(identity: Identity, invitation: Invitation) -> bool:
    address = invitation.email_address
    if address is None:
        return False
    return (await identity.database.read(lambda tx: accounts.find_by_verified_email(tx, address))) is not None


def _onward(identity: Identity, invitation: Invitation, ticket: str, status: str) -> Response:
    """The ticket's own redirect URL, else the page of ours that takes the next step."""
    origin = identity.settings.origin
    target = invitation.redirect_url
    if target is None and status == "complete":
        target = f"{origin}/"
    if target is None and status == "sign_in":
        # Signing in comes back to this very link, which then finds somebody signed in.
        back = quote(f"/v1/tickets/accept?ticket={ticket}", safe="")
        target = f"{origin}/sign-in?redirect_url={back}"
    target = target or f"{origin}/sign-up"
    joint = "&" if urlsplit(target).query else "?"
    added = urlencode({"__clerk_ticket": ticket, "__clerk_status": status})
    address, mark, fragment = target.partition("#")
    return RedirectResponse(
        f"{address}{joint}{added}{mark}{fragment}", 303, headers={"cache-control": "no-store"}
    )
