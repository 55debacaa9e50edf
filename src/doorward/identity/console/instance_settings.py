"""What an administrator changes of the instance while it runs."""

import msgspec
from starlette.responses import Response

from doorward.identity.accounts import rules as account_rules
from doorward.identity.console.call import Call
from doorward.identity.console.organization_people import role_options
from doorward.identity.console.sections import Section
from doorward.identity.console.text_fields import MOST, none_of_these, whole_number_in
from doorward.identity.errors import Refused
from doorward.identity.instance import SignUpMode
from doorward.identity.instance.service import require_origins
from doorward.identity.organizations.settings import edit_of

PATH = "/admin/settings"
MODES: dict[SignUpMode, str] = {
    "public": "Everybody",
    "restricted": "Invited people only",
    "waitlist": "Nobody without an invitation; everybody else joins the waitlist",
}


class SignUpForm(msgspec.Struct):
    """Boxes are "true" or absent. An empty mode follows the configuration."""

    sign_up_mode: str = ""
    allowlist: str = ""
    blocklist: str = ""
    allowlist_blocklist_disabled_on_sign_in: str = ""
    block_email_subaddresses: str = ""
    block_disposable_email_domains: str = ""
    ignore_dots_for_gmail_addresses: str = ""


_SWITCHES = SignUpForm.__struct_fields__[1:]


class OriginsForm(msgspec.Struct):
    allowed_origins: str = ""
    support_email: str = ""
    test_mode: str = ""


class OrganizationsForm(msgspec.Struct):
    enabled: str = ""
    max_allowed_memberships: str = "0"
    admin_delete_enabled: str = ""
    slug_disabled: str = ""
    creator_role_id: str = ""


async def show(call: Call) -> Response:
    instance = call.identity.instance
    return call.page(
        "settings.html",
        instance=instance,
        settings=instance.current,
        mode=MODES[instance.sign_up_mode],
        origin=call.identity.settings.origin,
        is_development=call.identity.settings.development,
    )


def _modes() -> list[tuple[str, str]]:
    return [("", "As the configuration file says"), *MODES.items()]


async def show_sign_up(call: Call) -> Response:
    settings = call.identity.instance.current
    switches = {name: "true" if getattr(settings, name) else "" for name in _SWITCHES}
    form = SignUpForm(sign_up_mode=settings.sign_up_mode or "", **switches)
    return call.form("settings_sign_up.html", form, modes=_modes())


async def change_sign_up(call: Call) -> Response:
    form = await call.form_of(SignUpForm)
    mode = next((each for each in MODES if each == form.sign_up_mode), None)
    if mode is None and form.sign_up_mode:
        refused = none_of_these("sign_up_mode")
        return call.form("settings_sign_up.html", form, refused, modes=_modes())
    switches = {name: getattr(form, name) == "true" for name in _SWITCHES}
    await call.identity.instance.change("restrictions", call.actor, sign_up_mode=mode, **switches)
    return call.see(PATH, told="changed")


async def show_origins(call: Call) -> Response:
    settings = call.identity.instance.current
    form = OriginsForm(
        allowed_origins="\n".join(settings.allowed_origins),
        support_email=settings.support_email or "",
        test_mode="true" if settings.test_mode else "",
    )
    return call.form("settings_origins.html", form)


async def change_origins(call: Call) -> Response:
    form = await call.form_of(OriginsForm)
    try:
        origins = require_origins(form.allowed_origins.split())
        support = form.support_email.strip() or None
        if support is not None and account_rules.normalise_email(support) is None:
            raise Refused(account_rules.email_problem("support_email"))
        await call.identity.instance.change(
            "instance",
            call.actor,
            allowed_origins=origins,
            support_email=support,
            test_mode=form.test_mode == "true",
        )
    except Refused as refused:
        return call.form("settings_origins.html", form, refused)
    return call.see(PATH, told="changed")


async def show_organizations(call: Call) -> Response:
    settings = call.identity.instance.current.organizations
    form = OrganizationsForm(
        enabled="true" if settings.enabled else "",
        max_allowed_memberships=str(settings.max_allowed_memberships),
        admin_delete_enabled="true" if settings.admin_delete_enabled else "",
        slug_disabled="true" if settings.slug_disabled else "",
        creator_role_id=settings.creator_role,
    )
    return call.form("settings_organizations.html", form, roles=await role_options(call))


async def change_organizations(call: Call) -> Response:
    form = await call.form_of(OrganizationsForm)
    try:
        edit = edit_of(
            {
                "enabled": form.enabled == "true",
                "max_allowed_memberships": whole_number_in(
                    "max_allowed_memberships", form.max_allowed_memberships, least=0, most=MOST
                ),
                "admin_delete_enabled": form.admin_delete_enabled == "true",
                "slug_disabled": form.slug_disabled == "true",
                "creator_role_id": form.creator_role_id,
            }
        )
        await call.identity.instance.change_by("organization_settings", call.actor, edit)
    except Refused as refused:
        return call.form("settings_organizations.html", form, refused, roles=await role_options(call))
    return call.see(PATH, told="changed")


SECTION = Section(
    "Settings",
    PATH,
    "Instance",
    pages=(
        ("GET", PATH, show),
        ("GET", f"{PATH}/sign-up", show_sign_up),
        ("POST", f"{PATH}/sign-up", change_sign_up),
        ("GET", f"{PATH}/origins", show_origins),
        ("POST", f"{PATH}/origins", change_origins),
        ("GET", f"{PATH}/organizations", show_organizations),
        ("POST", f"{PATH}/organizations", change_organizations),
    ),
    told={"changed": "The settings were changed. Every server of this installation follows within moments."},
)
