"""`/v1/organizations…`: what members do in their organizations, as far as their role lets them.

Nobody is put into an organization unasked: people join by accepting an invitation. (Clerk's own `POST …/memberships`, which
adds any user whose id one knows and shows their address, is the Backend API's alone here.)
"""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import Route

from doorward.identity.errors import (
    FORM_PARAM_ARRAY_SIZE_EXCEEDED,
    FORM_PARAM_VALUE_INVALID,
    Refused,
    missing,
)
from doorward.identity.frontend_api import wire
from doorward.identity.frontend_api.call import Call
from doorward.identity.frontend_api.dispatch import Endpoints
from doorward.identity.invitations.store import InvitationFilter
from doorward.identity.organizations import rules
from doorward.identity.organizations.details import Organization
from doorward.identity.organizations.invitations import OrganizationInvitationWish
from doorward.identity.organizations.service import NewOrganization, OrganizationChange
from doorward.identity.organizations.store import MembershipFilter
from doorward.identity.paging import Slice
from doorward.identity.resources import organizations as resources

_ONE = "/v1/organizations/{organization_id}"
MOST_INVITED_AT_ONCE = 10


def routes(endpoints: Endpoints) -> list[Route]:
    return [
        endpoints.route("/v1/organizations", POST=create),
        endpoints.route(_ONE, GET=read, PATCH=update, DELETE=delete),
        endpoints.route(f"{_ONE}/logo", takes_image=True, PUT=set_logo, DELETE=delete_logo),
        endpoints.route(f"{_ONE}/memberships", GET=memberships),
        endpoints.route(f"{_ONE}/memberships/{{user_id}}", PATCH=change_role, DELETE=remove_member),
        endpoints.route(f"{_ONE}/invitations", GET=invitations, POST=invite),
        endpoints.route(f"{_ONE}/invitations/bulk", POST=invite),
        endpoints.route(f"{_ONE}/invitations/{{invitation_id}}/revoke", POST=revoke_invitation),
        endpoints.route(f"{_ONE}/roles", GET=roles),
    ]


async def create(call: Call) -> Response:
    user_id = (await call.signed_in()).user_id
    limit = call.identity.settings.limits.organization_per_account
    await call.identity.restrictions.spend("organization", user_id, limit)
    wish = NewOrganization(name=call.require("name"), slug=call.param("slug"), created_by=user_id)
    made = await call.identity.organizations.create(wish, actor=user_id, as_member=True)
    return await call.wrapped(_shown(call, made))


async def read(call: Call) -> Response:
    found = await call.identity.organizations.get(
        call.path("organization_id"), member=(await call.signed_in()).user_id
    )
    return await call.wrapped(_shown(call, found))


async def update(call: Call) -> Response:
    change = OrganizationChange(name=call.param("name"), slug=call.param("slug"))
    changed = await call.identity.organizations.update(
        call.path("organization_id"), change, actor=(await call.signed_in()).user_id, as_member=True
    )
    return await call.wrapped(_shown(call, changed))


async def delete(call: Call) -> Response:
    gone = await call.identity.organizations.delete(
        call.path("organization_id"), actor=(await call.signed_in()).user_id, as_member=True
    )
    return await call.wrapped(wire.DeletedObject("organization", gone.id, gone.slug))


async def set_logo(call: Call) -> Response:
    user_id = (await call.signed_in()).user_id
    await call.identity.organizations.permit(call.path("organization_id"), user_id, rules.MANAGE_PROFILE)
    return await _put_logo(call, user_id, await call.upload())


async def delete_logo(call: Call) -> Response:
    return await _put_logo(call, (await call.signed_in()).user_id, None)


async def _put_logo(call: Call, user_id: str, content: bytes | None) -> Response:
    changed = await call.identity.organizations.set_logo(
        call.path("organization_id"), content, actor=user_id, as_member=True
    )
    return await call.wrapped(_shown(call, changed))


def _shown(call: Call, organization: Organization) -> resources.Organization:
    return resources.organization(organization.record, call.views.images, organization)


# -- members


async def memberships(call: Call) -> Response:
    limit, offset = call.paging()
    wanted = MembershipFilter(
        organization_id=call.path("organization_id"),
        roles=tuple(call.many("role")),
        query=call.request.query_params.get("query"),
    )
    found, total = await call.identity.memberships.page(
        wanted,
        Slice(limit, offset),
        member=(await call.signed_in()).user_id,
    )
    shown = [resources.membership(one, call.views.images) for one in found]
    return await call.wrapped(wire.Paged(shown, total))


async def change_role(call: Call) -> Response:
    changed = await call.identity.memberships.change_role(
        call.path("organization_id"),
        call.path("user_id"),
        call.require("role"),
        actor=(await call.signed_in()).user_id,
        as_member=True,
    )
    return await call.wrapped(resources.membership(changed, call.views.images))


async def remove_member(call: Call) -> Response:
    gone = await call.identity.memberships.remove(
        call.path("organization_id"),
        call.path("user_id"),
        actor=(await call.signed_in()).user_id,
        as_member=True,
    )
    return await call.wrapped(resources.membership(gone, call.views.images))


async def roles(call: Call) -> Response:
    limit, offset = call.paging()
    await call.identity.organizations.get(
        call.path("organization_id"), member=(await call.signed_in()).user_id
    )
    found, total = await call.identity.organization_roles.page(
        None, Slice(limit, offset, is_descending=False)
    )
    return await call.wrapped(wire.Paged([resources.role(one) for one in found], total))


# -- invitations


async def invitations(call: Call) -> Response:
    limit, offset = call.paging()
    wanted = InvitationFilter(
        kind="organization",
        organization_id=call.path("organization_id"),
        statuses=tuple(invitation_statuses(call)),
    )
    found, total = await call.identity.organization_invitations.page(
        wanted,
        Slice(limit, offset),
        member=(await call.signed_in()).user_id,
    )
    return await call.wrapped(wire.Paged([resources.invitation(one, call.now) for one in found], total))


async def invite(call: Call) -> Response:
    """One address, or of `…/bulk` several in one role: all of them are invited or none."""
    user_id, role, addresses = (
        (await call.signed_in()).user_id,
        call.require("role"),
        call.many("email_address"),
    )
    is_bulk = call.request.url.path.endswith("/bulk")
    if not addresses:
        raise Refused(missing("email_address"))
    if len(addresses) > (MOST_INVITED_AT_ONCE if is_bulk else 1):
        raise Refused(FORM_PARAM_ARRAY_SIZE_EXCEEDED.at("email_address"))
    limit = call.identity.settings.limits.organization_mail_per_account
    for _ in addresses:
        await call.identity.restrictions.spend("organization mail", user_id, limit)
    made = await call.identity.organization_invitations.create(
        call.path("organization_id"),
        [OrganizationInvitationWish(address, role, inviter_user_id=user_id) for address in addresses],
        actor=user_id,
        as_member=True,
    )
    shown = [resources.invitation(one.invitation, call.now) for one in made]
    return await call.wrapped(shown if is_bulk else shown[0])


async def revoke_invitation(call: Call) -> Response:
    revoked = await call.identity.organization_invitations.revoke(
        call.path("organization_id"),
        call.path("invitation_id"),
        actor=(await call.signed_in()).user_id,
        as_member=True,
    )
    return await call.wrapped(resources.invitation(revoked, call.now))


def invitation_statuses(call: Call) -> list[str]:
    """Raises Refused (422) for a status that is none."""
    wanted = call.many("status")
    if any(status not in ("pending", "accepted", "revoked", "expired") for status in wanted):
        raise Refused(FORM_PARAM_VALUE_INVALID.at("status"))
    return wanted
