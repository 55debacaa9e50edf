"""`/organizations/{id}/memberships…` and `/organizations/{id}/invitations…`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec.structs import replace

from doorward.identity.backend_api.operations import Call, operation
from doorward.identity.backend_api.ordering import slice_of
from doorward.identity.backend_api.wire.shapes import Body, Listed, NoBody, NoQuery, Page, Time
from doorward.identity.invitations import rules as invitation_rules
from doorward.identity.invitations import store as invitations
from doorward.identity.invitations.rules import InvitationStatus
from doorward.identity.invitations.store import Invitation, InvitationFilter
from doorward.identity.organizations import store
from doorward.identity.organizations.invitations import OrganizationInvitationWish
from doorward.identity.organizations.store import MembershipFilter, OrganizationRecord
from doorward.identity.resources.for_back_ends import organizations as resources

Metadata = dict[str, Any]


class MembershipQuery(Page, frozen=True, kw_only=True):
    order_by: str = "-created_at"
    user_id: tuple[str, ...] = ()
    email_address: tuple[str, ...] = ()
    phone_number: tuple[str, ...] = ()
    username: tuple[str, ...] = ()
    web3_wallet: tuple[str, ...] = ()
    role: tuple[str, ...] = ()
    query: str | None = None
    email_address_query: str | None = None
    phone_number_query: str | None = None
    username_query: str | None = None
    name_query: str | None = None
    last_active_at_before: Time | None = None
    last_active_at_after: Time | None = None
    created_at_before: Time | None = None
    created_at_after: Time | None = None


class CreateMembership(Body, frozen=True, kw_only=True):
    user_id: str
    role: str
    public_metadata: Metadata | None = None
    private_metadata: Metadata | None = None


class UpdateMembership(Body, frozen=True, kw_only=True):
    role: str


class MembershipMetadata(Body, frozen=True, kw_only=True):
    public_metadata: Metadata | None = None
    private_metadata: Metadata | None = None


class OrganizationInvitationQuery(Page, frozen=True, kw_only=True):
    status: tuple[InvitationStatus, ...] = ()
    email_address: str | None = None
    query: str | None = None
    order_by: str = "-created_at"


class UserInvitationQuery(Page, frozen=True, kw_only=True):
    status: tuple[InvitationStatus, ...] = ()


class CreateOrganizationInvitation(Body, frozen=True, kw_only=True):
    email_address: str
    role: str
    inviter_user_id: str | None = None
    public_metadata: Metadata | None = None
    private_metadata: Metadata | None = None
    redirect_url: str | None = None
    expires_in_days: Annotated[int, msgspec.Meta(ge=1, le=365)] | None = None
    notify: bool | None = True


class RevokeOrganizationInvitation(Body, frozen=True, kw_only=True):
    requesting_user_id: str | None = None


CreateInvitations = Annotated[list[CreateOrganizationInvitation], msgspec.Meta(min_length=1, max_length=10)]


async def list_organization_memberships(
    call: Call[MembershipQuery, NoBody],
) -> Listed[resources.OrganizationMembership]:
    """Who belongs to an organization."""
    return await _memberships(call, organization_id=call.path["organization_id"])


async def instance_get_organization_memberships(
    call: Call[MembershipQuery, NoBody],
) -> Listed[resources.OrganizationMembership]:
    """Every membership of the instance."""
    return await _memberships(call)


async def users_get_organization_memberships(
    call: Call[MembershipQuery, NoBody],
) -> Listed[resources.OrganizationMembership]:
    """What a user belongs to."""
    return await _memberships(call, user_ids=(call.path["user_id"],))


async def _memberships(
    call: Call[MembershipQuery, NoBody],
    *,
    organization_id: str | None = None,
    user_ids: tuple[str, ...] | None = None,
) -> Listed[resources.OrganizationMembership]:
    wanted = call.query
    found, total = await call.identity.memberships.page(
        MembershipFilter(
            organization_id=organization_id,
            user_ids=user_ids or wanted.user_id,
            roles=wanted.role,
            email_addresses=tuple(address.lower() for address in wanted.email_address),
            phone_numbers=wanted.phone_number,
            usernames=tuple(name.lower() for name in wanted.username),
            query=wanted.query,
            email_text=wanted.email_address_query,
            phone_text=wanted.phone_number_query,
            username_text=wanted.username_query,
            name_text=wanted.name_query,
            last_active_before=wanted.last_active_at_before,
            last_active_after=wanted.last_active_at_after,
            created_before=wanted.created_at_before,
            created_after=wanted.created_at_after,
            is_impossible=bool(wanted.web3_wallet),
        ),
        slice_of(wanted, store.MEMBERSHIP_ORDERS),
    )
    return Listed([resources.membership(one, call.identity.views.images) for one in found], total)


async def create_organization_membership(
    call: Call[NoQuery, CreateMembership],
) -> resources.OrganizationMembership:
    """Make a user a member."""
    body = call.body
    added = await call.identity.memberships.add(
        call.path["organization_id"],
        body.user_id,
        body.role,
        public_metadata=body.public_metadata or {},
        private_metadata=body.private_metadata or {},
        actor=call.caller.id,
    )
    return resources.membership(added, call.identity.views.images)


async def update_organization_membership(
    call: Call[NoQuery, UpdateMembership],
) -> resources.OrganizationMembership:
    """Give a member another role."""
    changed = await call.identity.memberships.change_role(
        call.path["organization_id"], call.path["user_id"], call.body.role, actor=call.caller.id
    )
    return resources.membership(changed, call.identity.views.images)


async def update_organization_membership_metadata(
    call: Call[NoQuery, MembershipMetadata],
) -> resources.OrganizationMembership:
    """Merge a membership's metadata."""
    changed = await call.identity.memberships.merge_metadata(
        call.path["organization_id"],
        call.path["user_id"],
        public_metadata=call.body.public_metadata,
        private_metadata=call.body.private_metadata,
        actor=call.caller.id,
    )
    return resources.membership(changed, call.identity.views.images)


async def delete_organization_membership(call: Call[NoQuery, NoBody]) -> resources.OrganizationMembership:
    """Remove a member; what was is answered."""
    gone = await call.identity.memberships.remove(
        call.path["organization_id"], call.path["user_id"], actor=call.caller.id
    )
    return resources.membership(gone, call.identity.views.images)


async def list_organization_invitations(
    call: Call[OrganizationInvitationQuery, NoBody],
) -> Listed[resources.OrganizationInvitation]:
    """An organization's invitations, newest first."""
    return await _invitations(call, call.path["organization_id"], call.query)


async def list_pending_organization_invitations(
    call: Call[Page, NoBody],
) -> Listed[resources.OrganizationInvitation]:
    """An organization's invitations that wait; older programs ask for them here."""
    wanted = OrganizationInvitationQuery(
        status=("pending",), limit=call.query.limit, offset=call.query.offset
    )
    return await _invitations(call, call.path["organization_id"], wanted)


async def list_instance_organization_invitations(
    call: Call[OrganizationInvitationQuery, NoBody],
) -> Listed[resources.OrganizationInvitationWithOrganization]:
    """The invitations of every organization."""
    found, total = await call.identity.organization_invitations.page_of_instance(
        _wanted(call.query, None), slice_of(call.query, invitations.ORDERS)
    )
    return Listed(await _shown_with_organizations(call, found), total)


async def _invitations(
    call: Call[Any, Any], organization_id: str, wanted: OrganizationInvitationQuery
) -> Listed[resources.OrganizationInvitation]:
    found, total = await call.identity.organization_invitations.page(
        _wanted(wanted, organization_id), slice_of(wanted, invitations.ORDERS)
    )
    return Listed(await _shown(call, found), total)


def _wanted(query: OrganizationInvitationQuery, organization_id: str | None) -> InvitationFilter:
    return InvitationFilter(
        kind="organization",
        organization_id=organization_id,
        statuses=query.status,
        email_addresses=() if query.email_address is None else (query.email_address.lower(),),
        query=query.query,
    )


async def _shown(call: Call[Any, Any], found: Sequence[Invitation]) -> list[resources.OrganizationInvitation]:
    inviters = await call.identity.organization_invitations.inviters_of(found)
    return [resources.invitation(one, call.now, inviters.get(one.inviter_id)) for one in found]


async def _shown_with_organizations(
    call: Call[Any, Any], found: Sequence[tuple[Invitation, OrganizationRecord]]
) -> list[resources.OrganizationInvitationWithOrganization]:
    shown, images = await _shown(call, [one for one, _ in found]), call.identity.views.images
    return [
        resources.invitation_with_organization(one, into, images)
        for one, (_, into) in zip(shown, found, strict=True)
    ]


async def users_get_organization_invitations(
    call: Call[UserInvitationQuery, NoBody],
) -> Listed[resources.OrganizationInvitationWithOrganization]:
    """Invitations to the addresses that a user has proved, newest first."""
    user_id, wanted = call.path["user_id"], call.query
    await call.identity.administration.get(user_id)
    found, total = await call.identity.organization_invitations.of_user(
        user_id, wanted.status, limit=wanted.limit, offset=wanted.offset
    )
    return Listed(await _shown_with_organizations(call, found), total)


async def create_organization_invitation(
    call: Call[NoQuery, CreateOrganizationInvitation],
) -> resources.OrganizationInvitation:
    """Invite an address into an organization; the answer alone holds the link."""
    return (await _invited(call, [call.body]))[0]


async def create_organization_invitation_bulk(
    call: Call[NoQuery, list[CreateOrganizationInvitation]],
) -> Listed[resources.OrganizationInvitation]:
    """Invite up to ten addresses, all or none."""
    made = await _invited(call, call.body)
    return Listed(made, len(made))


async def _invited(
    call: Call[Any, Any], bodies: list[CreateOrganizationInvitation]
) -> list[resources.OrganizationInvitation]:
    wishes = [
        OrganizationInvitationWish(
            email_address=body.email_address,
            role=body.role,
            inviter_user_id=body.inviter_user_id,
            public_metadata=body.public_metadata,
            private_metadata=body.private_metadata,
            redirect_url=body.redirect_url,
            notify=body.notify is not False,
            expires_in_days=body.expires_in_days or invitation_rules.DEFAULT_LIFETIME_DAYS,
        )
        for body in bodies
    ]
    made = await call.identity.organization_invitations.create(
        call.path["organization_id"], wishes, actor=call.caller.id
    )
    shown = await _shown(call, [one.invitation for one in made])
    return [replace(invitation, url=one.url) for invitation, one in zip(shown, made, strict=True)]


async def get_organization_invitation(call: Call[NoQuery, NoBody]) -> resources.OrganizationInvitation:
    """One invitation of an organization."""
    found = await call.identity.organization_invitations.get(
        call.path["organization_id"], call.path["invitation_id"]
    )
    return (await _shown(call, [found]))[0]


async def revoke_organization_invitation(
    call: Call[NoQuery, RevokeOrganizationInvitation],
) -> resources.OrganizationInvitation:
    """Void an invitation that still waits."""
    revoked = await call.identity.organization_invitations.revoke(
        call.path["organization_id"],
        call.path["invitation_id"],
        requesting_user_id=call.body.requesting_user_id,
        actor=call.caller.id,
    )
    return (await _shown(call, [revoked]))[0]


_MEMBERS = "/organizations/{organization_id}/memberships"
_INVITATIONS = "/organizations/{organization_id}/invitations"
_LISTED_MEMBERS = Listed[resources.OrganizationMembership]
_LISTED_INVITATIONS = Listed[resources.OrganizationInvitation]
_LISTED_WITH_ORGANIZATIONS = Listed[resources.OrganizationInvitationWithOrganization]
OPERATIONS = (
    operation("GET", _MEMBERS, list_organization_memberships, query=MembershipQuery, answer=_LISTED_MEMBERS),
    operation(
        "POST",
        _MEMBERS,
        create_organization_membership,
        body=CreateMembership,
        answer=resources.OrganizationMembership,
    ),
    operation(
        "PATCH",
        f"{_MEMBERS}/{{user_id}}",
        update_organization_membership,
        body=UpdateMembership,
        answer=resources.OrganizationMembership,
    ),
    operation(
        "DELETE",
        f"{_MEMBERS}/{{user_id}}",
        delete_organization_membership,
        answer=resources.OrganizationMembership,
    ),
    operation(
        "PATCH",
        f"{_MEMBERS}/{{user_id}}/metadata",
        update_organization_membership_metadata,
        body=MembershipMetadata,
        answer=resources.OrganizationMembership,
    ),
    operation(
        "GET",
        "/organization_memberships",
        instance_get_organization_memberships,
        query=MembershipQuery,
        answer=_LISTED_MEMBERS,
    ),
    operation(
        "GET",
        "/users/{user_id}/organization_memberships",
        users_get_organization_memberships,
        query=MembershipQuery,
        answer=_LISTED_MEMBERS,
    ),
    operation(
        "GET",
        "/users/{user_id}/organization_invitations",
        users_get_organization_invitations,
        query=UserInvitationQuery,
        answer=_LISTED_WITH_ORGANIZATIONS,
    ),
    operation(
        "GET",
        _INVITATIONS,
        list_organization_invitations,
        query=OrganizationInvitationQuery,
        answer=_LISTED_INVITATIONS,
    ),
    operation(
        "GET",
        "/organization_invitations",
        list_instance_organization_invitations,
        query=OrganizationInvitationQuery,
        answer=_LISTED_WITH_ORGANIZATIONS,
    ),
    operation(
        "POST",
        _INVITATIONS,
        create_organization_invitation,
        body=CreateOrganizationInvitation,
        answer=resources.OrganizationInvitation,
    ),
    operation(
        "POST",
        f"{_INVITATIONS}/bulk",
        create_organization_invitation_bulk,
        body=CreateInvitations,
        answer=_LISTED_INVITATIONS,
    ),
    operation(
        "GET",
        f"{_INVITATIONS}/pending",
        list_pending_organization_invitations,
        query=Page,
        answer=_LISTED_INVITATIONS,
    ),
    operation(
        "GET",
        f"{_INVITATIONS}/{{invitation_id}}",
        get_organization_invitation,
        answer=resources.OrganizationInvitation,
    ),
    operation(
        "POST",
        f"{_INVITATIONS}/{{invitation_id}}/revoke",
        revoke_organization_invitation,
        body=RevokeOrganizationInvitation,
        answer=resources.OrganizationInvitation,
    ),
)
