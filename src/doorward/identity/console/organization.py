"""One organization: what it is, its edits and its end."""

import msgspec
from starlette.responses import Response

from doorward.identity.console.call import Call
from doorward.identity.console.json_fields import indented, object_of
from doorward.identity.console.paging import PAGE_SIZE, offset_of, pager
from doorward.identity.console.sections import PageRoute, Question, asking
from doorward.identity.console.text_fields import MOST, whole_number_in
from doorward.identity.errors import RESOURCE_NOT_FOUND, Refused
from doorward.identity.invitations.store import InvitationFilter
from doorward.identity.organizations.details import Organization
from doorward.identity.organizations.service import OrganizationChange
from doorward.identity.organizations.store import MembershipFilter
from doorward.identity.paging import Slice

ONE = "/admin/organizations/{organization_id}"
_MOST_SHOWN = 50

KINDS = {
    "public": ("public_metadata", "Public metadata", "Its members and applications read it."),
    "private": ("private_metadata", "Private metadata", "Only back ends with a secret key read it."),
}


class OrganizationForm(msgspec.Struct):
    name: str = ""
    slug: str = ""
    max_allowed_memberships: str = "0"
    admin_delete_enabled: str = ""


class MetadataForm(msgspec.Struct):
    metadata: str = "{}"


async def organization_of(call: Call) -> Organization:
    """Which one the address is about. Raises Refused (403, 404)."""
    return await call.identity.organizations.get(call.path["organization_id"])


def path_of(organization: Organization) -> str:
    return f"/admin/organizations/{organization.record.id}"


async def show(call: Call) -> Response:
    found, identity = await organization_of(call), call.identity
    organization_id = found.record.id
    members, total = await identity.memberships.page(
        MembershipFilter(organization_id=organization_id),
        Slice(PAGE_SIZE, offset_of(call)),
    )
    invitations, invitation_count = await identity.organization_invitations.page(
        InvitationFilter(kind="organization", organization_id=organization_id, statuses=("pending",)),
        Slice(_MOST_SHOWN),
    )
    return call.page(
        "organization.html",
        organization=found,
        page=pager(call, members, total),
        invitations=invitations,
        invitation_count=invitation_count,
        metadata=[
            (kind, title, hint, indented(getattr(found.record, member)))
            for kind, (member, title, hint) in KINDS.items()
        ],
    )


async def show_edit(call: Call) -> Response:
    found = await organization_of(call)
    record = found.record
    form = OrganizationForm(
        name=record.name,
        slug=record.slug,
        max_allowed_memberships=str(record.max_allowed_memberships),
        admin_delete_enabled="true" if record.admin_delete_enabled else "",
    )
    return call.form("organization_edit.html", form, organization=found)


async def change(call: Call) -> Response:
    form, found = await call.form_of(OrganizationForm), await organization_of(call)
    try:
        await call.identity.organizations.update(
            found.record.id,
            OrganizationChange(
                name=form.name,
                slug=form.slug.strip(),
                max_allowed_memberships=whole_number_in(
                    "max_allowed_memberships", form.max_allowed_memberships, least=0, most=MOST
                ),
                admin_delete_enabled=form.admin_delete_enabled == "true",
            ),
            actor=call.actor,
        )
    except Refused as refused:
        return call.form("organization_edit.html", form, refused, organization=found)
    return call.see(path_of(found), told="changed")


def _crumb(found: Organization) -> tuple[str, str]:
    return path_of(found), found.record.name


async def show_metadata(call: Call) -> Response:
    member, title, hint = _kind(call)
    found = await organization_of(call)
    form = MetadataForm(indented(getattr(found.record, member)))
    return call.form("metadata.html", form, crumb=_crumb(found), title=title, hint=hint)


async def change_metadata(call: Call) -> Response:
    member, title, hint = _kind(call)
    form, found = await call.form_of(MetadataForm), await organization_of(call)
    try:
        given = object_of("metadata", form.metadata)
        wanted = (
            OrganizationChange(public_metadata=given)
            if member == "public_metadata"
            else OrganizationChange(private_metadata=given)
        )
        await call.identity.organizations.update(found.record.id, wanted, actor=call.actor)
    except Refused as refused:
        return call.form("metadata.html", form, refused, crumb=_crumb(found), title=title, hint=hint)
    return call.see(path_of(found), told="metadata")


def _kind(call: Call) -> tuple[str, str, str]:
    kind = KINDS.get(call.path["kind"])
    if kind is None:
        raise Refused(RESOURCE_NOT_FOUND)
    return kind


async def ask_delete(call: Call) -> Question:
    found = await organization_of(call)
    return Question(
        title="Delete this organization?",
        text="It is gone with its memberships and invitations. Its members keep their accounts. This cannot be undone.",
        action="Delete the organization",
        busy="Deleting…",
        back=path_of(found),
        facts=(("Name", found.record.name), ("Members", str(found.members_count)), ("Id", found.record.id)),
    )


async def delete(call: Call) -> Response:
    await call.identity.organizations.delete((await organization_of(call)).record.id, actor=call.actor)
    return call.see("/admin/organizations", told="deleted")


PAGES: tuple[PageRoute, ...] = (
    ("GET", ONE, show),
    ("GET", f"{ONE}/edit", show_edit),
    ("POST", f"{ONE}/edit", change),
    ("GET", f"{ONE}/metadata/{{kind}}", show_metadata),
    ("POST", f"{ONE}/metadata/{{kind}}", change_metadata),
    *asking(f"{ONE}/delete", ask_delete, delete, needs_proof=True),
)
TOLD = {
    "changed": "The organization was changed.",
    "metadata": "The metadata were changed.",
    "deleted": "The organization was deleted.",
}
