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
    from doorward.identity.accounts.store import Account
    from doorward.identity.organizations import details
    from doorward.identity.resources.images import Images


class Organization(shared.Organization, kw_only=True):
    private_metadata: msgspec.Raw
    created_by: str | UnsetType = UNSET


class OrganizationMembership(shared.OrganizationMembership, kw_only=True):
    organization: Organization
    private_metadata: msgspec.Raw


class PublicInviterData(msgspec.Struct, kw_only=True):
    """What somebody who is invited sees of who invites."""

    user_id: str
    first_name: str | None
    last_name: str | None
    image_url: str
    has_image: bool
    identifier: str


class OrganizationInvitation(shared.OrganizationInvitation, kw_only=True):
    """`url` is null but where the invitation is made; the inviter's data where a domain or a key invites."""

    public_inviter_data: PublicInviterData | None = None
    private_metadata: msgspec.Raw
    url: str | None = None


class OrganizationInvitationWithOrganization(OrganizationInvitation, kw_only=True):
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


def inviter(account: Account, images: Images) -> PublicInviterData:
    user = account.user
    return PublicInviterData(
        user_id=user.id,
        first_name=user.first_name,
        last_name=user.last_name,
        image_url=images.url(user.image_id),
        has_image=user.image_id is not None,
        identifier=account.primary_email.address,
    )


def invitation(
    one: InvitationRecord, now: int, by: PublicInviterData | None = None, url: str | None = None
) -> OrganizationInvitation:
    return OrganizationInvitation(
        **asdict(shared.invitation(one, now)),
        public_inviter_data=by,
        private_metadata=msgspec.Raw(one.private_metadata.encode()),
        url=url,
    )


def invitation_with_organization(
    one: OrganizationInvitation, into: store.OrganizationRecord, images: Images
) -> OrganizationInvitationWithOrganization:
    return OrganizationInvitationWithOrganization(
        **asdict(one), public_organization_data=shared.public_organization_data(into, images)
    )
