"""`/v1/me/organization_…`: where the signed-in person belongs, is invited to, and leaves."""

from __future__ import annotations

import msgspec
from starlette.responses import Response
from starlette.routing import Route

from doorward.identity.errors import FORM_PARAM_VALUE_INVALID, Refused
from doorward.identity.frontend_api import wire
from doorward.identity.frontend_api.call import Call
from doorward.identity.frontend_api.dispatch import Endpoints
from doorward.identity.frontend_api.organizations import invitation_statuses
from doorward.identity.invitations import rules as invitation_rules
from doorward.identity.invitations.store import Invitation
from doorward.identity.organizations.enrollment import SuggestedOrganization
from doorward.identity.organizations.store import OrganizationRecord
from doorward.identity.resources import organizations as resources
from doorward.identity.resources.organizations import PublicOrganizationData


class OwnInvitation(msgspec.Struct, kw_only=True):
    """An invitation as the one who got it sees it."""

    object: str = "organization_invitation"
    id: str
    email_address: str
    public_organization_data: PublicOrganizationData
    public_metadata: msgspec.Raw
    role: str
    status: str
    created_at: int
    updated_at: int


class OwnSuggestion(msgspec.Struct, kw_only=True):
    """An organization one may ask to join, as its domain says."""

    object: str = "organization_suggestion"
    id: str
    public_organization_data: PublicOrganizationData
    status: str
    created_at: int
    updated_at: int


def routes(endpoints: Endpoints) -> list[Route]:
    invitations_path, suggestions_path = "/v1/me/organization_invitations", "/v1/me/organization_suggestions"
    return [
        endpoints.route("/v1/me/organization_memberships", GET=memberships),
        endpoints.route("/v1/me/organization_memberships/{organization_id}", DELETE=leave),
        endpoints.route(invitations_path, GET=invitations),
        endpoints.route(f"{invitations_path}/{{invitation_id}}/accept", POST=accept),
        endpoints.route(suggestions_path, GET=suggestions),
        endpoints.route(f"{suggestions_path}/{{suggestion_id}}/accept", POST=accept_suggestion),
    ]


async def memberships(call: Call) -> Response:
    limit, offset = call.paging()
    found, total = await call.identity.memberships.of_user(
        (await call.signed_in()).user_id, limit=limit, offset=offset
    )
    shown = [resources.membership(one, call.views.images) for one in found]
    is_paginated = call.request.query_params.get("paginated") == "true"
    return await call.wrapped(wire.Paged(shown, total) if is_paginated else shown)


async def leave(call: Call) -> Response:
    user_id = (await call.signed_in()).user_id
    gone = await call.identity.memberships.remove(
        call.path("organization_id"), user_id, actor=user_id, as_member=True
    )
    return await call.wrapped(wire.DeletedObject("organization_membership", gone.record.id))


async def invitations(call: Call) -> Response:
    (limit, offset), user_id = call.paging(), (await call.signed_in()).user_id
    await call.identity.enrollment.invite(user_id)
    found, total = await call.identity.organization_invitations.of_user(
        user_id, tuple(invitation_statuses(call)), limit=limit, offset=offset
    )
    return await call.wrapped(wire.Paged([_shown(call, *one) for one in found], total))


async def accept(call: Call) -> Response:
    accepted = await call.identity.organization_invitations.accept_own(
        call.path("invitation_id"), (await call.signed_in()).user_id
    )
    return await call.wrapped(_shown(call, *accepted))


async def suggestions(call: Call) -> Response:
    limit, offset = call.paging()
    wanted = tuple(call.many("status"))
    if not set(wanted) <= {"pending", "accepted", "completed"}:
        raise Refused(FORM_PARAM_VALUE_INVALID.at("status"))
    found, total = await call.identity.enrollment.suggestions(
        (await call.signed_in()).user_id, wanted, limit=limit, offset=offset
    )
    return await call.wrapped(wire.Paged([_suggested(call, one) for one in found], total))


async def accept_suggestion(call: Call) -> Response:
    """Ask to join; a member who may manage members answers."""
    asked = await call.identity.enrollment.ask_to_join(
        call.path("suggestion_id"), (await call.signed_in()).user_id
    )
    return await call.wrapped(_suggested(call, asked))


def _suggested(call: Call, one: SuggestedOrganization) -> OwnSuggestion:
    return OwnSuggestion(
        id=one.suggestion.id,
        public_organization_data=resources.public_organization_data(one.organization, call.views.images),
        status=one.suggestion.status,
        created_at=one.suggestion.created_at,
        updated_at=one.suggestion.updated_at,
    )


def _shown(call: Call, invitation: Invitation, organization: OrganizationRecord) -> OwnInvitation:
    return OwnInvitation(
        id=invitation.id,
        email_address=invitation.email_address or "",
        public_organization_data=resources.public_organization_data(organization, call.views.images),
        public_metadata=msgspec.Raw(invitation.public_metadata.encode()),
        role=invitation.role or "",
        status=invitation_rules.status_of(invitation, call.now),
        created_at=invitation.created_at,
        updated_at=invitation.updated_at,
    )
