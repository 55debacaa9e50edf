"""`/organizations…` and the instance's settings for them."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec.structs import replace

from doorward.identity.backend_api.operations import Call, operation
from doorward.identity.backend_api.ordering import slice_of
from doorward.identity.backend_api.reading import read_instant
from doorward.identity.backend_api.wire import instance as instance_wire
from doorward.identity.backend_api.wire.shapes import (
    Body,
    Listed,
    NoBody,
    NoQuery,
    Page,
    Query,
    SettingsBody,
    Upload,
)
from doorward.identity.errors import FEATURE_NOT_IMPLEMENTED, FORM_PARAM_UNKNOWN, Refused
from doorward.identity.instance import OrganizationSettings
from doorward.identity.instance.rules import EnrollmentMode
from doorward.identity.organizations import store
from doorward.identity.organizations.details import Organization
from doorward.identity.organizations.service import NewOrganization, OrganizationChange
from doorward.identity.organizations.settings import edit_of
from doorward.identity.organizations.store import OrganizationFilter
from doorward.identity.resources.for_back_ends import organizations as resources

# Nothing is sold by these numbers; they say that we do not bound what they count.
_UNBOUNDED = 10_000
_METADATA_ELSEWHERE = "2026-05-12"

Limit = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]


class Counting(Query, frozen=True, kw_only=True):
    include_members_count: bool = False
    include_missing_member_with_elevated_permissions: bool = False


_NOTHING_COUNTED = Counting()


class OrganizationQuery(Page, frozen=True, kw_only=True):
    include_members_count: bool = False
    include_missing_member_with_elevated_permissions: bool = False
    query: str | None = None
    user_id: tuple[str, ...] = ()
    organization_id: tuple[str, ...] = ()
    order_by: str = "-created_at"


class CreateOrganization(Body, frozen=True, kw_only=True):
    name: str
    created_by: str | None = None
    private_metadata: dict[str, Any] | None = None
    public_metadata: dict[str, Any] | None = None
    slug: str | None = None
    max_allowed_memberships: Limit | None = None
    created_at: str | None = None
    role_set_key: str | None = None


class UpdateOrganization(Body, frozen=True, kw_only=True):
    name: str | None = None
    slug: str | None = None
    max_allowed_memberships: Limit | None = None
    admin_delete_enabled: bool | None = None
    created_at: str | None = None
    role_set_key: str | None = None
    public_metadata: dict[str, Any] | None = None
    private_metadata: dict[str, Any] | None = None


class OrganizationMetadata(Body, frozen=True, kw_only=True):
    public_metadata: dict[str, Any] | None = None
    private_metadata: dict[str, Any] | None = None


class ChangeOrganizationSettings(SettingsBody, frozen=True, kw_only=True):
    enabled: bool | None = None
    max_allowed_memberships: Limit | None = None
    admin_delete_enabled: bool | None = None
    domains_enabled: bool | None = None
    slug_disabled: bool | None = None
    domains_enrollment_modes: tuple[EnrollmentMode, ...] | None = None
    creator_role_id: str | None = None
    domains_default_role_id: str | None = None


async def get_instance_organization_settings(
    call: Call[NoQuery, NoBody],
) -> instance_wire.OrganizationSettings:
    """What organizations may be and do."""
    return _settings(call.identity.instance.current.organizations)


async def update_instance_organization_settings(
    call: Call[NoQuery, ChangeOrganizationSettings],
) -> instance_wire.OrganizationSettings:
    """Change what organizations may be and do; roles are given by id."""
    members = msgspec.structs.asdict(call.body)
    edit = edit_of({name: value for name, value in members.items() if value is not None})
    changed = await call.identity.instance.change_by("organization_settings", call.caller.id, edit)
    return _settings(changed.organizations)


async def list_organizations(call: Call[OrganizationQuery, NoBody]) -> Listed[resources.Organization]:
    """Organizations, newest first unless ordered otherwise."""
    wanted = call.query
    found, total = await call.identity.organizations.page(
        OrganizationFilter(
            query=wanted.query, user_ids=wanted.user_id, organization_ids=wanted.organization_id
        ),
        slice_of(wanted, store.ORDERS),
    )
    counting = Counting(
        include_members_count=wanted.include_members_count,
        include_missing_member_with_elevated_permissions=wanted.include_missing_member_with_elevated_permissions,
    )
    return Listed([_shown(call, one, counting) for one in found], total)


async def create_organization(call: Call[NoQuery, CreateOrganization]) -> resources.Organization:
    """Make an organization; its creator becomes a member in the creator's role."""
    body = call.body
    _refuse_role_set(body.role_set_key)
    wish = NewOrganization(
        name=body.name,
        created_by=body.created_by,
        slug=body.slug,
        public_metadata=body.public_metadata,
        private_metadata=body.private_metadata,
        max_allowed_memberships=body.max_allowed_memberships,
        created_at=read_instant("created_at", body.created_at),
    )
    return _shown(call, await call.identity.organizations.create(wish, actor=call.caller.id))


async def get_organization(call: Call[Counting, NoBody]) -> resources.Organization:
    """One organization, by its id or slug."""
    return _shown(call, await call.identity.organizations.get(call.path["organization_id"]), call.query)


async def update_organization(call: Call[NoQuery, UpdateOrganization]) -> resources.Organization:
    """Change an organization; since version 2026-05-12 its metadata have an operation of their own."""
    body = call.body
    _refuse_role_set(body.role_set_key)
    if call.version >= _METADATA_ELSEWHERE:
        for name in ("public_metadata", "private_metadata"):
            if getattr(body, name) is not None:
                sentence = f"{name} is changed at /organizations/{{organization_id}}/metadata."
                raise Refused(FORM_PARAM_UNKNOWN.at(name, long_message=sentence))
    change = OrganizationChange(
        name=body.name,
        slug=body.slug,
        max_allowed_memberships=body.max_allowed_memberships,
        admin_delete_enabled=body.admin_delete_enabled,
        created_at=read_instant("created_at", body.created_at),
        public_metadata=body.public_metadata,
        private_metadata=body.private_metadata,
    )
    return await _changed(call, change)


async def merge_organization_metadata(call: Call[NoQuery, OrganizationMetadata]) -> resources.Organization:
    """Merge metadata at every depth; null removes a key."""
    body = call.body
    change = OrganizationChange(
        public_metadata=body.public_metadata, private_metadata=body.private_metadata, merges=True
    )
    return await _changed(call, change)


async def replace_organization_metadata(call: Call[NoQuery, OrganizationMetadata]) -> resources.Organization:
    """Replace the metadata that are given."""
    body = call.body
    change = OrganizationChange(public_metadata=body.public_metadata, private_metadata=body.private_metadata)
    return await _changed(call, change)


async def upload_organization_logo(call: Call[NoQuery, Upload]) -> resources.Organization:
    """Give an organization a logo: JPEG, PNG, GIF or WebP."""
    return _shown(call, await _with_logo(call, call.body.file))


async def delete_organization_logo(call: Call[NoQuery, NoBody]) -> resources.Organization:
    """Take an organization's logo away."""
    return _shown(call, await _with_logo(call, None))


async def _with_logo(call: Call[Any, Any], content: bytes | None) -> Organization:
    organization_id = call.path["organization_id"]
    return await call.identity.organizations.set_logo(organization_id, content, actor=call.caller.id)


async def delete_organization(call: Call[NoQuery, NoBody]) -> resources.DeletedOrganization:
    """Delete an organization with its memberships and invitations."""
    gone = await call.identity.organizations.delete(call.path["organization_id"], actor=call.caller.id)
    return resources.DeletedOrganization(id=gone.id, slug=gone.slug)


async def _changed(call: Call[Any, Any], change: OrganizationChange) -> resources.Organization:
    organization_id = call.path["organization_id"]
    return _shown(
        call, await call.identity.organizations.update(organization_id, change, actor=call.caller.id)
    )


def _refuse_role_set(key: str | None) -> None:
    """Every organization has the roles of the instance. Raises Refused (403)."""
    if key is not None:
        raise Refused(FEATURE_NOT_IMPLEMENTED.at("role_set_key"))


def _shown(
    call: Call[Any, Any], one: Organization, counting: Counting = _NOTHING_COUNTED
) -> resources.Organization:
    shown = resources.organization(one.record, call.identity.views.images, one)
    if not counting.include_members_count:
        shown = replace(shown, members_count=msgspec.UNSET)
    if not counting.include_missing_member_with_elevated_permissions:
        shown = replace(shown, missing_member_with_elevated_permissions=msgspec.UNSET)
    return shown


def _settings(settings: OrganizationSettings) -> instance_wire.OrganizationSettings:
    return instance_wire.OrganizationSettings(
        enabled=settings.enabled,
        max_allowed_memberships=settings.max_allowed_memberships,
        max_allowed_roles=_UNBOUNDED,
        max_allowed_domains=_UNBOUNDED,
        max_allowed_permissions=_UNBOUNDED,
        creator_role=settings.creator_role,
        admin_delete_enabled=settings.admin_delete_enabled,
        domains_enabled=settings.domains_enabled,
        slug_disabled=settings.slug_disabled,
        domains_enrollment_modes=list(settings.domains_enrollment_modes),
        domains_default_role=settings.domains_default_role,
    )


_SETTINGS = "/instance/organization_settings"
_ONE = "/organizations/{organization_id}"
OPERATIONS = (
    operation(
        "GET", _SETTINGS, get_instance_organization_settings, answer=instance_wire.OrganizationSettings
    ),
    operation(
        "PATCH",
        _SETTINGS,
        update_instance_organization_settings,
        body=ChangeOrganizationSettings,
        answer=instance_wire.OrganizationSettings,
    ),
    operation(
        "GET",
        "/organizations",
        list_organizations,
        query=OrganizationQuery,
        answer=Listed[resources.Organization],
    ),
    operation(
        "POST", "/organizations", create_organization, body=CreateOrganization, answer=resources.Organization
    ),
    operation("GET", _ONE, get_organization, query=Counting, answer=resources.Organization),
    operation("PATCH", _ONE, update_organization, body=UpdateOrganization, answer=resources.Organization),
    operation("DELETE", _ONE, delete_organization, answer=resources.DeletedOrganization),
    operation("PUT", f"{_ONE}/logo", upload_organization_logo, body=Upload, answer=resources.Organization),
    operation("DELETE", f"{_ONE}/logo", delete_organization_logo, answer=resources.Organization),
    operation(
        "PATCH",
        f"{_ONE}/metadata",
        merge_organization_metadata,
        body=OrganizationMetadata,
        answer=resources.Organization,
    ),
    operation(
        "PUT",
        f"{_ONE}/metadata",
        replace_organization_metadata,
        body=OrganizationMetadata,
        answer=resources.Organization,
    ),
)
