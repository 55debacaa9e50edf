"""`/invitations…`: invitations to the application."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from doorward.identity.accounts import metadata
from doorward.identity.backend_api.operations import Call, operation
from doorward.identity.backend_api.ordering import slice_of
from doorward.identity.backend_api.wire.shapes import Body, Listed, NoBody, NoQuery, Page
from doorward.identity.invitations import rules, store
from doorward.identity.invitations.rules import InvitationStatus
from doorward.identity.invitations.service import InvitationWish
from doorward.identity.invitations.store import InvitationFilter
from doorward.identity.resources.for_back_ends import invitations as resources

_BULK = 10

Days = Annotated[int, msgspec.Meta(ge=1, le=365)]


class InvitationQuery(Page, frozen=True, kw_only=True):
    status: tuple[InvitationStatus, ...] = ()
    query: str | None = None
    order_by: str = "-created_at"


class NewInvitation(Body, frozen=True, kw_only=True):
    email_address: str
    public_metadata: dict[str, Any] | None = None
    redirect_url: str | None = None
    notify: bool | None = True
    ignore_existing: bool | None = False
    expires_in_days: Days | None = None
    template_slug: Literal["invitation", "waitlist_invitation"] | None = None


NewInvitations = Annotated[list[NewInvitation], msgspec.Meta(min_length=1, max_length=_BULK)]


async def create_invitation(call: Call[NoQuery, NewInvitation]) -> resources.Invitation:
    """Invite an address to sign up; the answer alone holds the link."""
    return (await _made(call, [call.body]))[0]


async def create_bulk_invitations(call: Call[NoQuery, list[NewInvitation]]) -> list[resources.Invitation]:
    """Invite up to ten addresses, all or none."""
    return await _made(call, call.body)


async def list_invitations(
    call: Call[InvitationQuery, NoBody],
) -> list[resources.Invitation] | Listed[resources.Invitation]:
    """Invitations, newest first; revoked ones only where asked for."""
    wanted, now = call.query, call.now
    found, total = await call.identity.invitations.page(
        InvitationFilter(kind="application", statuses=wanted.status, hides_revoked=True, query=wanted.query),
        slice_of(wanted, store.ORDERS),
    )
    data = [resources.invitation(record, now) for record in found]
    return Listed(data, total) if wanted.paginated else data


async def revoke_invitation(call: Call[NoQuery, NoBody]) -> resources.Invitation:
    """Void an invitation that was not accepted."""
    revoked = await call.identity.invitations.revoke(call.path["invitation_id"], actor=call.caller.id)
    return resources.invitation(revoked, call.now)


async def _made(
    call: Call[NoQuery, NewInvitation] | Call[NoQuery, list[NewInvitation]], bodies: list[NewInvitation]
) -> list[resources.Invitation]:
    made = await call.identity.invitations.create([_wish(body) for body in bodies], actor=call.caller.id)
    return [resources.invitation(one.invitation, call.now, one.url) for one in made]


def _wish(body: NewInvitation) -> InvitationWish:
    return InvitationWish(
        email_address=body.email_address,
        public_metadata=metadata.as_text("public_metadata", body.public_metadata or {}),
        redirect_url=body.redirect_url,
        notify=body.notify is not False,
        ignore_existing=bool(body.ignore_existing),
        expires_in_days=body.expires_in_days or rules.DEFAULT_LIFETIME_DAYS,
        is_from_waitlist=body.template_slug == "waitlist_invitation",
    )


OPERATIONS = (
    operation("POST", "/invitations", create_invitation, body=NewInvitation, answer=resources.Invitation),
    operation(
        "GET",
        "/invitations",
        list_invitations,
        query=InvitationQuery,
        answer=list[resources.Invitation] | Listed[resources.Invitation],
    ),
    operation(
        "POST",
        "/invitations/bulk",
        create_bulk_invitations,
        body=NewInvitations,
        answer=list[resources.Invitation],
    ),
    operation("POST", "/invitations/{invitation_id}/revoke", revoke_invitation, answer=resources.Invitation),
)
