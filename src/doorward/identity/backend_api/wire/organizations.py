"""Organizations, memberships, roles, permissions and organizations' invitations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, UnsetType

from doorward.identity.invitations import rules as invitation_rules
from doorward.identity.invitations.store import Invitation as InvitationRecord
from doorward.identity.organizations import role_store, rules, store

if TYPE_CHECKING:
    from doorward.identity.organizations import memberships, service


class Organization(msgspec.Struct, frozen=True, kw_only=True):
    object: str = "organization"
    id: str
    name: str
    slug: str
    image_url: str
    has_image: bool = False
    members_count: int | UnsetType = UNSET
    missing_member_with_elevated_permissions: bool | UnsetType = UNSET
    pending_invitations_count: int | UnsetType = UNSET
    max_allowed_memberships: int
    admin_delete_enabled: bool
    public_metadata: msgspec.Raw
    private_metadata: msgspec.Raw
    created_by: str | UnsetType = UNSET
    created_at: int
    updated_at: int


class PublicUserData(msgspec.Struct, frozen=True, kw_only=True):
    user_id: str
    first_name: str | None
    last_name: str | None
    profile_image_url: str
    image_url: str
    has_image: bool = False
    identifier: str
    banned: bool


class OrganizationMembership(msgspec.Struct, frozen=True, kw_only=True):
    object: str = "organization_membership"
    id: str
    role: str
    role_name: str
    permissions: list[str]
    public_metadata: msgspec.Raw
    private_metadata: msgspec.Raw
    organization: Organization
    public_user_data: PublicUserData
    created_at: int
    updated_at: int


class OrganizationInvitation(msgspec.Struct, frozen=True, kw_only=True):
    """`url` is null but where the invitation is made."""

    object: str = "organization_invitation"
    id: str
    email_address: str
    role: str
    role_name: str
    organization_id: str
    inviter_id: str | None
    public_inviter_data: None = None
    status: str
    public_metadata: msgspec.Raw
    private_metadata: msgspec.Raw
    url: str | None = None
    expires_at: int
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


class DeletedOrganization(msgspec.Struct, frozen=True, kw_only=True):
    object: str = "organization"
    id: str
    slug: str
    deleted: bool = True


def organization(
    one: store.OrganizationRecord, image_url: str, counted: service.Organization | None = None
) -> Organization:
    return Organization(
        id=one.id,
        name=one.name,
        slug=one.slug,
        image_url=image_url,
        members_count=UNSET if counted is None else counted.members_count,
        missing_member_with_elevated_permissions=UNSET
        if counted is None
        else not counted.has_elevated_member,
        pending_invitations_count=UNSET if counted is None else counted.pending_invitations_count,
        max_allowed_memberships=one.max_allowed_memberships,
        admin_delete_enabled=one.admin_delete_enabled,
        public_metadata=msgspec.Raw(one.public_metadata.encode()),
        private_metadata=msgspec.Raw(one.private_metadata.encode()),
        created_by=one.created_by or UNSET,
        created_at=one.created_at,
        updated_at=one.updated_at,
    )


def membership(one: memberships.Membership, image_url: str) -> OrganizationMembership:
    user, record = one.account.user, one.record
    emails = one.account.email_addresses
    return OrganizationMembership(
        id=record.id,
        role=one.role.record.key,
        role_name=one.role.record.name,
        permissions=one.role.keys,
        public_metadata=msgspec.Raw(record.public_metadata.encode()),
        private_metadata=msgspec.Raw(record.private_metadata.encode()),
        organization=organization(one.organization, image_url),
        public_user_data=PublicUserData(
            user_id=user.id,
            first_name=user.first_name,
            last_name=user.last_name,
            profile_image_url=image_url,
            image_url=image_url,
            identifier=next((email.address for email in emails), user.id),
            banned=user.is_banned,
        ),
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


def invitation(one: InvitationRecord, now: int, url: str | None = None) -> OrganizationInvitation:
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
        private_metadata=msgspec.Raw(one.private_metadata.encode()),
        url=url,
        expires_at=one.expire_at,
        created_at=one.created_at,
        updated_at=one.updated_at,
    )
