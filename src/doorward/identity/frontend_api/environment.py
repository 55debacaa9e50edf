"""The document of `GET /v1/environment`: environment.json with this instance's addresses and choices put in."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

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


def environment_document(settings: IdentitySettings) -> bytes:
    """The complete JSON body; the same for everybody until the settings change."""
    text = files("doorward.identity.frontend_api").joinpath("environment.json").read_text("utf-8")
    document: dict[str, Any] = json.loads(text)
    display = document["display_config"]
    display["application_name"] = settings.application_name
    display["instance_environment_type"] = "development" if settings.development else "production"
    for name, path in _PATHS.items():
        display[name] = settings.origin + path
    user_settings = document["user_settings"]
    user_settings["sign_up"]["mode"] = "public" if settings.sign_up == "open" else "restricted"
    user_settings["attack_protection"]["enumeration_protection"]["enabled"] = settings.hide_accounts
    return json.dumps(document, separators=(",", ":")).encode()
