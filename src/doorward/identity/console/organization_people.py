"""Who is in an organization, in which role, and who is invited into it."""

import msgspec
from starlette.responses import Response

from doorward.identity.console.call import Call
from doorward.identity.console.organization import ONE, organization_of, path_of
from doorward.identity.console.sections import PageRoute, Question, asking
from doorward.identity.console.users_by_address import user_of_address
from doorward.identity.errors import RESOURCE_NOT_FOUND, Refused
from doorward.identity.organizations.details import Membership, Organization
from doorward.identity.organizations.invitations import OrganizationInvitationWish
from doorward.identity.organizations.store import MembershipFilter
from doorward.identity.paging import Slice

_MEMBER = f"{ONE}/members/{{user_id}}"
_MOST_ROLES = 500


class MemberForm(msgspec.Struct):
    email_address: str = ""
    role: str = "org:member"


class RoleForm(msgspec.Struct):
    role: str = ""


async def role_options(call: Call) -> list[tuple[str, str]]:
    """Key and name of every role."""
    roles, _ = await call.identity.organization_roles.page(
        None, Slice(_MOST_ROLES, order="name", is_descending=False)
    )
    return [(role.record.key, role.record.name) for role in roles]


async def show_add(call: Call) -> Response:
    return call.form(
        "organization_member.html",
        MemberForm(),
        organization=await organization_of(call),
        roles=await role_options(call),
    )


async def add(call: Call) -> Response:
    form, found = await call.form_of(MemberForm), await organization_of(call)
    try:
        account = await user_of_address(call, "email_address", form.email_address)
        await call.identity.memberships.add(
            found.record.id,
            account.user.id,
            form.role,
            public_metadata={},
            private_metadata={},
            actor=call.actor,
        )
    except Refused as refused:
        roles = await role_options(call)
        return call.form("organization_member.html", form, refused, organization=found, roles=roles)
    return call.see(path_of(found), told="member-added")


async def _membership(call: Call) -> tuple[Organization, Membership]:
    """Raises Refused (404)."""
    found = await organization_of(call)
    members, _ = await call.identity.memberships.page(
        MembershipFilter(organization_id=found.record.id, user_ids=(call.path["user_id"],)),
        Slice(1),
    )
    if not members:
        raise Refused(RESOURCE_NOT_FOUND)
    return found, members[0]


async def show_role(call: Call) -> Response:
    found, member = await _membership(call)
    return call.form(
        "organization_role.html",
        RoleForm(member.role.record.key),
        organization=found,
        member=member,
        roles=await role_options(call),
    )


async def change_role(call: Call) -> Response:
    form, (found, member) = await call.form_of(RoleForm), await _membership(call)
    try:
        await call.identity.memberships.change_role(
            found.record.id, member.record.user_id, form.role, actor=call.actor
        )
    except Refused as refused:
        roles = await role_options(call)
        return call.form(
            "organization_role.html", form, refused, organization=found, member=member, roles=roles
        )
    return call.see(path_of(found), told="role-changed")


async def ask_remove(call: Call) -> Question:
    found, member = await _membership(call)
    return Question(
        title="Remove this member?",
        text=f"They are no longer in {found.record.name}; their account stays. Tokens that name the organization end within a minute.",
        action="Remove",
        busy="Removing…",
        back=path_of(found),
        facts=(("Member", member.account.primary_email.address), ("Role", member.role.record.name)),
    )


async def remove(call: Call) -> Response:
    found, member = await _membership(call)
    await call.identity.memberships.remove(found.record.id, member.record.user_id, actor=call.actor)
    return call.see(path_of(found), told="member-removed")


async def show_invite(call: Call) -> Response:
    return call.form(
        "organization_invite.html",
        MemberForm(),
        organization=await organization_of(call),
        roles=await role_options(call),
    )


async def invite(call: Call) -> Response:
    form, found = await call.form_of(MemberForm), await organization_of(call)
    try:
        await call.identity.organization_invitations.create(
            found.record.id,
            [OrganizationInvitationWish(email_address=form.email_address, role=form.role)],
            actor=call.actor,
        )
    except Refused as refused:
        roles = await role_options(call)
        return call.form("organization_invite.html", form, refused, organization=found, roles=roles)
    return call.see(path_of(found), told="invited")


async def ask_revoke(call: Call) -> Question:
    found = await organization_of(call)
    invitation = await call.identity.organization_invitations.get(found.record.id, call.path["invitation_id"])
    return Question(
        title="Revoke this invitation?",
        text=f"The link that was mailed to {invitation.email_address} no longer works.",
        action="Revoke",
        busy="Revoking…",
        back=path_of(found),
    )


async def revoke(call: Call) -> Response:
    found = await organization_of(call)
    await call.identity.organization_invitations.revoke(
        found.record.id, call.path["invitation_id"], requesting_user_id=None, actor=call.actor
    )
    return call.see(path_of(found), told="revoked")


PAGES: tuple[PageRoute, ...] = (
    ("GET", f"{ONE}/members/new", show_add),
    ("POST", f"{ONE}/members/new", add),
    ("GET", f"{_MEMBER}/role", show_role),
    ("POST", f"{_MEMBER}/role", change_role),
    *asking(f"{_MEMBER}/remove", ask_remove, remove),
    ("GET", f"{ONE}/invitations/new", show_invite),
    ("POST", f"{ONE}/invitations/new", invite),
    *asking(f"{ONE}/invitations/{{invitation_id}}/revoke", ask_revoke, revoke),
)
TOLD = {
    "member-added": "They are a member now.",
    "member-removed": "They are no longer a member.",
    "role-changed": "The role was changed.",
    "invited": "The invitation is on its way.",
    "revoked": "The invitation was revoked.",
}
