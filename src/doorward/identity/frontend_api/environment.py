"""The document of `GET /v1/environment`: environment.json with this instance's addresses and choices put in."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files
from typing import Any

from doorward.identity.instance import Instance, InstanceSettings, SignUpMode
from doorward.identity.instance.rules import OrganizationSettings
from doorward.identity.settings import IdentitySettings

_PATHS = {
    "home_url": "/",
    "logo_link_url": "/",
    "sign_in_url": "/sign-in",
    "sign_up_url": "/sign-up",
    "user_profile_url": "/account",
    "waitlist_url": "/waitlist",
    "oauth_consent_url": "/oauth-consent",
    "after_sign_in_url": "/",
    "after_sign_up_url": "/",
    "after_sign_out_one_url": "/sign-in",
    "after_sign_out_all_url": "/sign-in",
    "after_switch_session_url": "/",
    "organization_profile_url": "/organization",
    "create_organization_url": "/create-organization",
    "after_leave_organization_url": "/",
    "after_create_organization_url": "/",
}


def environment_document(settings: IdentitySettings, instance: Instance) -> bytes:
    """The complete JSON body; the same for everybody until somebody changes the instance."""
    return _document(settings, instance.current, instance.sign_up_mode)


@lru_cache(maxsize=8)
def _document(settings: IdentitySettings, current: InstanceSettings, mode: SignUpMode) -> bytes:
    text = files("doorward.identity.frontend_api").joinpath("environment.json").read_text("utf-8")
    document: dict[str, Any] = json.loads(text)
    document["auth_config"]["test_mode"] = current.test_mode
    display = document["display_config"]
    display["application_name"] = settings.application_name
    display["instance_environment_type"] = "development" if settings.development else "production"
    display["support_email"] = current.support_email
    for name, path in _PATHS.items():
        display[name] = settings.origin + path
    user_settings = document["user_settings"]
    user_settings["sign_up"]["mode"] = mode
    user_settings["actions"]["create_organization"] = current.organizations.enabled
    _show_organizations(document["organization_settings"], current.organizations)
    user_settings["attack_protection"]["enumeration_protection"]["enabled"] = settings.hide_accounts
    _restrict(user_settings["restrictions"], current)
    return json.dumps(document, separators=(",", ":")).encode()


def _show_organizations(shown: dict[str, Any], settings: OrganizationSettings) -> None:
    shown["enabled"] = settings.enabled
    shown["max_allowed_memberships"] = settings.max_allowed_memberships
    shown["actions"]["admin_delete"] = settings.admin_delete_enabled
    shown["domains"]["enabled"] = settings.domains_enabled
    shown["domains"]["enrollment_modes"] = list(settings.domains_enrollment_modes)
    shown["domains"]["default_role"] = settings.domains_default_role
    shown["slug"]["disabled"] = settings.slug_disabled
    shown["creator_role"] = settings.creator_role


def _restrict(shown: dict[str, Any], current: InstanceSettings) -> None:
    shown["allowlist"]["enabled"] = current.allowlist
    shown["blocklist"]["enabled"] = current.blocklist
    shown["allowlist_blocklist_disabled_on_sign_in"]["enabled"] = (
        current.allowlist_blocklist_disabled_on_sign_in
    )
    shown["block_email_subaddresses"]["enabled"] = current.block_email_subaddresses
    shown["block_disposable_email_domains"]["enabled"] = current.block_disposable_email_domains
