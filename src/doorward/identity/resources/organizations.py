"""Organizations, memberships, roles, invitations and domains."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, UnsetType

from doorward.identity.invitations import rules as invitation_rules
from doorward.identity.organizations import role_store, rules, store
from doorward.identity.resources.public_user_data import PublicUserData, public_user_data
from doorward.identity.verification.rules import status_of

if TYPE_CHECKING:
    from doorward.identity.invitations.store import Invitation as InvitationRecord
    from doorward.identity.organizations import details
    from doorward.identity.resources.images import Images


class Organization(msgspec.Struct, kw_only=True):
    object: str = "organization"
    id: str
    name: str
    slug: str
    image_url: str
    has_image: bool
    members_count: int | UnsetType = UNSET
    missing_member_with_elevated_permissions: bool | UnsetType = UNSET
    pending_invitations_count: int | UnsetType = UNSET
    max_allowed_memberships: int
    admin_delete_enabled: bool
    public_metadata: msgspec.Raw
    created_at: int
    updated_at: int


class OrganizationMembership(msgspec.Struct, kw_only=True):
    object: str = "organization_membership"
    id: str
    role: str
    role_name: str
    permissions: list[str]
    public_metadata: msgspec.Raw
    organization: Organization
    public_user_data: PublicUserData
    created_at: int
    updated_at: int


class OrganizationInvitation(msgspec.Struct, kw_only=True):
    object: str = "organization_invitation"
    id: str
    email_address: str
    role: str
    role_name: str
    organization_id: str
    inviter_id: str | None
    status: str
    public_metadata: msgspec.Raw
    expires_at: int
    created_at: int
    updated_at: int


class PublicOrganizationData(msgspec.Struct, kw_only=True):
    """What somebody who does not belong to an organization sees of it."""

    id: str
    name: str
    slug: str
    image_url: str
    has_image: bool


class OrganizationDomainVerification(msgspec.Struct, kw_only=True):
    status: str
    strategy: str
    attempts: int | None
    expire_at: int | None
    expires_at: int | None
    verified_at: int | None


class OrganizationDomain(msgspec.Struct, kw_only=True):
    object: str = "organization_domain"
    id: str
    organization_id: str
    name: str
    enrollment_mode: str
    affiliation_email_address: str | None
    affiliation_verification: OrganizationDomainVerification | None
    ownership_verification: OrganizationDomainVerification | None
    verification: OrganizationDomainVerification | None
    total_pending_invitations: int
    total_pending_suggestions: int
    public_organization_data: PublicOrganizationData
    created_at: int
    updated_at: int


class Permission(msgspec.Struct, frozen=True, kw_only=True):
    object: str = "permission"
    id: str
    name: str
    key: str
    description: str
    type: str
    created_at: int
    updated_at: int


class Role(msgspec.Struct, frozen=True, kw_only=True):
    object: str = "role"
    id: str
    name: str
    key: str
    description: str | None
    is_creator_eligible: bool
    permissions: list[Permission]
    created_at: int
    updated_at: int


def organization(
    one: store.OrganizationRecord, images: Images, counted: details.Organization | None = None
) -> Organization:
    return Organization(
        id=one.id,
        name=one.name,
        slug=one.slug,
        image_url=images.url(one.image_id),
        has_image=one.image_id is not None,
        members_count=UNSET if counted is None else counted.members_count,
        missing_member_with_elevated_permissions=UNSET
        if counted is None
        else not counted.has_elevated_member,
        pending_invitations_count=UNSET if counted is None else counted.pending_invitations_count,
        max_allowed_memberships=one.max_allowed_memberships,
        admin_delete_enabled=one.admin_delete_enabled,
        public_metadata=msgspec.Raw(one.public_metadata.encode()),
        created_at=one.created_at,
        updated_at=one.updated_at,
    )


def membership(one: details.Membership, images: Images) -> OrganizationMembership:
    record = one.record
    return OrganizationMembership(
        id=record.id,
        role=one.role.record.key,
        role_name=one.role.record.name,
        permissions=one.role.keys,
        public_metadata=msgspec.Raw(record.public_metadata.encode()),
        organization=organization(one.organization, images),
        public_user_data=public_user_data(one.account, images),
        created_at=record.created_at,
        updated_at=record.updated_at,
    )


def invitation(one: InvitationRecord, now: int) -> OrganizationInvitation:
    key = one.role or ""
    return OrganizationInvitation(
        id=one.id,
        email_address=one.email_address or "",
        role=key,
        role_name=key.removeprefix("org:").replace("_", " ").capitalize(),
        organization_id=one.organization_id or "",
        inviter_id=one.inviter_id,
        status=invitation_rules.status_of(one, now),
        public_metadata=msgspec.Raw(one.public_metadata.encode()),
        expires_at=one.expire_at,
        created_at=one.created_at,
        updated_at=one.updated_at,
    )


def public_organization_data(one: store.OrganizationRecord, images: Images) -> PublicOrganizationData:
    return PublicOrganizationData(
        id=one.id,
        name=one.name,
        slug=one.slug,
        image_url=images.url(one.image_id),
        has_image=one.image_id is not None,
    )


def domain(one: details.Domain, images: Images, now: int) -> OrganizationDomain:
    """Browsers call the end of a verification `expires_at`, back ends `expire_at`."""
    record, code = one.record, one.verification
    affiliation = ownership = None
    if record.verified_at is not None and code is None:
        ownership = OrganizationDomainVerification(
            status="verified",
            strategy=record.verified_by or "",
            attempts=None,
            expire_at=None,
            expires_at=None,
            verified_at=record.verified_at,
        )
    elif code is not None:
        affiliation = OrganizationDomainVerification(
            status="verified" if record.verified_at is not None else status_of(code, now),
            strategy=record.verified_by or code.strategy,
            attempts=code.attempts,
            expire_at=code.expire_at,
            expires_at=code.expire_at,
            verified_at=record.verified_at,
        )
    return OrganizationDomain(
        id=record.id,
        organization_id=record.organization_id,
        name=record.name,
        enrollment_mode=record.enrollment_mode,
        affiliation_email_address=record.affiliation_email_address,
        affiliation_verification=affiliation,
        ownership_verification=ownership,
        verification=ownership or affiliation,
        total_pending_invitations=one.total_pending_invitations,
        total_pending_suggestions=one.total_pending_suggestions,
        public_organization_data=public_organization_data(one.organization, images),
        created_at=record.created_at,
        updated_at=record.updated_at,
    )


def permission(one: role_store.Permission) -> Permission:
    return Permission(
        id=one.id,
        name=one.name,
        key=one.key,
        description=one.description,
        type=one.type,
        created_at=one.created_at,
        updated_at=one.updated_at,
    )


def role(one: role_store.Role) -> Role:
    record = one.record
    return Role(
        id=record.id,
        name=record.name,
        key=record.key,
        description=record.description,
        is_creator_eligible=rules.is_elevated(one.keys),
        permissions=[permission(each) for each in one.permissions],
        created_at=record.created_at,
        updated_at=record.updated_at,
    )
