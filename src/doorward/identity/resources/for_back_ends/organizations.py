"""Organizations, memberships and invitations as back ends alone see them: with what browsers do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import asdict

from doorward.identity.invitations.store import Invitation as InvitationRecord
from doorward.identity.organizations import store
from doorward.identity.resources import organizations as shared

if TYPE_CHECKING:
    from doorward.identity.organizations import details
    from doorward.identity.resources.images import Images


class Organization(shared.Organization, kw_only=True):
    private_metadata: msgspec.Raw
    created_by: str | UnsetType = UNSET


class OrganizationMembership(shared.OrganizationMembership, kw_only=True):
    organization: Organization
    private_metadata: msgspec.Raw


class OrganizationInvitation(shared.OrganizationInvitation, kw_only=True):
    """`url` is null but where the invitation is made."""

    public_inviter_data: None = None
    private_metadata: msgspec.Raw
    url: str | None = None


class OrganizationInvitationOfUser(OrganizationInvitation, kw_only=True):
    public_organization_data: shared.PublicOrganizationData


class DeletedOrganization(msgspec.Struct, frozen=True, kw_only=True):
    object: str = "organization"
    id: str
    slug: str
    deleted: bool = True


def organization(
    one: store.OrganizationRecord, images: Images, counted: details.Organization | None = None
) -> Organization:
    return Organization(
        **asdict(shared.organization(one, images, counted)),
        private_metadata=msgspec.Raw(one.private_metadata.encode()),
        created_by=one.created_by or UNSET,
    )


def membership(one: details.Membership, images: Images) -> OrganizationMembership:
    seen = asdict(shared.membership(one, images)) | {"organization": organization(one.organization, images)}
    return OrganizationMembership(**seen, private_metadata=msgspec.Raw(one.record.private_metadata.encode()))


def invitation(one: InvitationRecord, now: int, url: str | None = None) -> OrganizationInvitation:
    return OrganizationInvitation(
        **asdict(shared.invitation(one, now)),
        private_metadata=msgspec.Raw(one.private_metadata.encode()),
        url=url,
    )


def invitation_of_user(
    one: InvitationRecord, by: store.OrganizationRecord, images: Images, now: int
) -> OrganizationInvitationOfUser:
    """With the organization that invites."""
    return OrganizationInvitationOfUser(
        **asdict(invitation(one, now)), public_organization_data=shared.public_organization_data(by, images)
    )
