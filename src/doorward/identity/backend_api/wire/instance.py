"""The instance, its lists, redirect URLs and domains."""

from __future__ import annotations

import msgspec


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    object: str = "instance"
    id: str
    environment_type: str
    allowed_origins: list[str]
    workspace_id: str | None = None


class InstanceRestrictions(msgspec.Struct, frozen=True, kw_only=True):
    """`sign_up_mode` is ours: Clerk's is set in its dashboard."""

    object: str = "instance_restrictions"
    allowlist: bool
    blocklist: bool
    allowlist_blocklist_disabled_on_sign_in: bool
    block_email_subaddresses: bool
    block_disposable_email_domains: bool
    ignore_dots_for_gmail_addresses: bool
    sign_up_mode: str


class OrganizationSettings(msgspec.Struct, frozen=True, kw_only=True):
    object: str = "organization_settings"
    enabled: bool
    max_allowed_memberships: int
    max_allowed_roles: int
    max_allowed_domains: int
    max_allowed_permissions: int
    creator_role: str
    admin_delete_enabled: bool
    domains_enabled: bool
    slug_disabled: bool
    domains_enrollment_modes: list[str]
    domains_default_role: str


class AllowlistIdentifier(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    object: str
    id: str
    invitation_id: str | None = None
    identifier: str
    identifier_type: str
    instance_id: str
    created_at: int
    updated_at: int


class BlocklistIdentifier(msgspec.Struct, frozen=True, kw_only=True):
    object: str = "blocklist_identifier"
    id: str
    identifier: str
    identifier_type: str
    instance_id: str
    created_at: int
    updated_at: int


class RedirectURL(msgspec.Struct, frozen=True, kw_only=True):
    object: str = "redirect_url"
    id: str
    url: str
    created_at: int
    updated_at: int


class CNameTarget(msgspec.Struct, frozen=True):
    host: str
    value: str
    required: bool


class Domain(msgspec.Struct, frozen=True, kw_only=True):
    object: str = "domain"
    id: str
    name: str
    is_satellite: bool
    frontend_api_url: str
    accounts_portal_url: str
    proxy_url: str | None = None
    development_origin: str
    cname_targets: list[CNameTarget] = []
