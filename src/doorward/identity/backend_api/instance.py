"""`/instance…`: what an operator changes while it runs."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET, UnsetType

from doorward.identity.backend_api.operations import Call, operation
from doorward.identity.backend_api.wire import instance as wire
from doorward.identity.backend_api.wire.shapes import Body, NoBody, NoQuery, SettingsBody
from doorward.identity.errors import FORM_PARAM_VALUE_INVALID, Refused
from doorward.identity.instance import InstanceSettings, SignUpMode
from doorward.identity.instance.service import require_origins


class ChangeInstance(SettingsBody, frozen=True, kw_only=True):
    allowed_origins: list[str] | UnsetType | None = UNSET
    test_mode: bool | UnsetType | None = UNSET
    support_email: str | UnsetType | None = UNSET


class ChangeRestrictions(SettingsBody, frozen=True, kw_only=True):
    allowlist: bool | None = None
    blocklist: bool | None = None
    allowlist_blocklist_disabled_on_sign_in: bool | None = None
    block_email_subaddresses: bool | None = None
    block_disposable_email_domains: bool | None = None
    ignore_dots_for_gmail_addresses: bool | None = None
    sign_up_mode: SignUpMode | None = None


class ChangeDomain(Body, frozen=True, kw_only=True):
    home_url: Annotated[str, msgspec.Meta(min_length=1, max_length=2048)]
    is_secondary: bool = False


async def get_instance(call: Call[NoQuery, NoBody]) -> wire.Instance:
    """The instance."""
    instance = call.identity.instance
    environment: Literal["development", "production"] = (
        "development" if call.identity.settings.development else "production"
    )
    return wire.Instance(
        id=instance.id,
        environment_type=environment,
        allowed_origins=list(instance.current.allowed_origins),
    )


async def update_instance(call: Call[NoQuery, ChangeInstance]) -> None:
    """Change the instance; a list of allowed origins replaces the one before."""
    body = call.body
    changes: dict[str, object] = {}
    if body.allowed_origins is not UNSET:
        changes["allowed_origins"] = require_origins(body.allowed_origins or [])
    if body.test_mode is not UNSET and body.test_mode is not None:
        changes["test_mode"] = body.test_mode
    if body.support_email is not UNSET:
        changes["support_email"] = body.support_email or None
    await call.identity.instance.change("instance", call.caller.id, **changes)


async def get_instance_restrictions(call: Call[NoQuery, NoBody]) -> wire.InstanceRestrictions:
    """Who may sign up; Clerk has no way to ask."""
    return _restrictions(call.identity.instance.current, call.identity.instance.sign_up_mode)


async def update_instance_restrictions(
    call: Call[NoQuery, ChangeRestrictions],
) -> wire.InstanceRestrictions:
    """Change who may sign up."""
    given = {name: value for name, value in msgspec.structs.asdict(call.body).items() if value is not None}
    instance = call.identity.instance
    changed = await instance.change("restrictions", call.caller.id, **given)
    return _restrictions(changed, instance.sign_up_mode_in(changed))


async def change_production_instance_domain(call: Call[NoQuery, ChangeDomain]) -> None:
    """Accept the domain the instance has; another one is a matter of its configuration."""
    home = urlsplit(call.body.home_url if "//" in call.body.home_url else f"//{call.body.home_url}")
    settings = call.identity.settings
    if (home.hostname or "").lower() != settings.host:
        raise Refused(
            FORM_PARAM_VALUE_INVALID.at(
                "home_url",
                long_message=f"This instance is {settings.origin}. To move it, change the origin in its configuration.",
            )
        )


def _restrictions(settings: InstanceSettings, mode: SignUpMode) -> wire.InstanceRestrictions:
    return wire.InstanceRestrictions(
        allowlist=settings.allowlist,
        blocklist=settings.blocklist,
        allowlist_blocklist_disabled_on_sign_in=settings.allowlist_blocklist_disabled_on_sign_in,
        block_email_subaddresses=settings.block_email_subaddresses,
        block_disposable_email_domains=settings.block_disposable_email_domains,
        ignore_dots_for_gmail_addresses=settings.ignore_dots_for_gmail_addresses,
        sign_up_mode=mode,
    )


OPERATIONS = (
    operation("GET", "/instance", get_instance, answer=wire.Instance),
    operation("PATCH", "/instance", update_instance, body=ChangeInstance, answer=None),
    operation("GET", "/instance/restrictions", get_instance_restrictions, answer=wire.InstanceRestrictions),
    operation(
        "PATCH",
        "/instance/restrictions",
        update_instance_restrictions,
        body=ChangeRestrictions,
        answer=wire.InstanceRestrictions,
    ),
    operation(
        "POST",
        "/instance/change_domain",
        change_production_instance_domain,
        body=ChangeDomain,
        answer=None,
        status=202,
    ),
)
