"""One user: what is known of them, and its edits."""

import msgspec
from msgspec.structs import replace
from starlette.responses import Response

from doorward.identity.accounts.new_accounts import Details, NewPassword
from doorward.identity.accounts.store import Account, UserRecord
from doorward.identity.console.call import Call
from doorward.identity.console.json_fields import indented, object_of
from doorward.identity.console.sections import PageRoute
from doorward.identity.console.text_fields import MOST, whole_number_in
from doorward.identity.errors import RESOURCE_NOT_FOUND, Refused
from doorward.identity.organizations.details import Membership
from doorward.identity.organizations.store import MembershipFilter
from doorward.identity.pages import wording
from doorward.identity.paging import Slice

ONE = "/admin/users/{user_id}"
_SHOWN = 20

KINDS = {
    "public": ("public_metadata", "Public metadata", "Applications and the user read it; only you write it."),
    "private": ("private_metadata", "Private metadata", "Only back ends with a secret key read it."),
    "unsafe": ("unsafe_metadata", "Unsafe metadata", "The user writes it: trust nothing in it."),
}


class ProfileForm(msgspec.Struct):
    """Boxes are "true" or absent."""

    first_name: str = ""
    last_name: str = ""
    username: str = ""
    external_id: str = ""
    locale: str = ""
    delete_self_enabled: str = ""
    create_organization_enabled: str = ""
    create_organizations_limit: str = ""


class MetadataForm(msgspec.Struct):
    metadata: str = "{}"


def name_of(record: UserRecord) -> str:
    return " ".join(part for part in (record.first_name, record.last_name) if part) or record.username or ""


async def account_of(call: Call) -> Account:
    """Whom the address is about. Raises Refused (404)."""
    return await call.identity.administration.get(call.path["user_id"])


def path_of(account: Account) -> str:
    return f"/admin/users/{account.user.id}"


async def show(call: Call) -> Response:
    account, identity = await account_of(call), call.identity
    user_id = account.user.id
    sessions, session_count = await identity.session_administration.page(
        client_id=None, user_id=user_id, status="active", limit=_SHOWN, offset=0
    )
    memberships: list[Membership] = []
    membership_count = 0
    if identity.instance.current.organizations.enabled:
        memberships, membership_count = await identity.memberships.page(
            MembershipFilter(user_ids=(user_id,)),
            Slice(_SHOWN),
        )
    keys, key_count = await identity.api_keys.page(
        user_id, "api_key", query=None, with_invalid=False, limit=_SHOWN, offset=0
    )
    return call.page(
        "user.html",
        account=account,
        name=name_of(account.user),
        image_url=identity.views.image_url(account.user),
        is_locked=account.user.is_locked(call.now),
        is_oneself=user_id == call.actor,
        sessions=sessions,
        session_count=session_count,
        memberships=memberships,
        membership_count=membership_count,
        machines=await identity.linked_machines(user_id),
        keys=keys,
        key_count=key_count,
        metadata=[
            (kind, title, hint, indented(getattr(account.user, member)))
            for kind, (member, title, hint) in KINDS.items()
        ],
        browser_words=wording.browser_words,
        address_words=wording.address_words,
    )


async def show_profile(call: Call) -> Response:
    account = await account_of(call)
    record = account.user
    limit = record.create_organizations_limit
    form = ProfileForm(
        first_name=record.first_name or "",
        last_name=record.last_name or "",
        username=record.username or "",
        external_id=record.external_id or "",
        locale=record.locale or "",
        delete_self_enabled="true" if record.delete_self_enabled else "",
        create_organization_enabled="true" if record.create_organization_enabled else "",
        create_organizations_limit="" if limit is None else str(limit),
    )
    return call.form("user_profile.html", form, account=account)


async def change_profile(call: Call) -> Response:
    form, account = await call.form_of(ProfileForm), await account_of(call)
    try:
        await call.identity.administration.update(
            account.user.id,
            Details(
                first_name=form.first_name or None,
                last_name=form.last_name or None,
                username=form.username or None,
                external_id=form.external_id or None,
                locale=form.locale or None,
                delete_self_enabled=form.delete_self_enabled == "true",
                create_organization_enabled=form.create_organization_enabled == "true",
                create_organizations_limit=_limit(form.create_organizations_limit),
            ),
            password=NewPassword(),
            actor=call.actor,
        )
    except Refused as refused:
        return call.form("user_profile.html", form, refused, account=account)
    return call.see(path_of(account), told="profile")


async def show_metadata(call: Call) -> Response:
    member, title, hint = _kind(call)
    account = await account_of(call)
    form = MetadataForm(indented(getattr(account.user, member)))
    return call.form("metadata.html", form, crumb=_crumb(account), title=title, hint=hint)


async def change_metadata(call: Call) -> Response:
    member, title, hint = _kind(call)
    form, account = await call.form_of(MetadataForm), await account_of(call)
    try:
        await call.identity.administration.update(
            account.user.id,
            replace(Details(), **{member: object_of("metadata", form.metadata)}),
            password=NewPassword(),
            actor=call.actor,
        )
    except Refused as refused:
        return call.form("metadata.html", form, refused, crumb=_crumb(account), title=title, hint=hint)
    return call.see(path_of(account), told="metadata")


def _kind(call: Call) -> tuple[str, str, str]:
    kind = KINDS.get(call.path["kind"])
    if kind is None:
        raise Refused(RESOURCE_NOT_FOUND)
    return kind


def _crumb(account: Account) -> tuple[str, str]:
    return path_of(account), account.primary_email.address


def _limit(text: str) -> int | None:
    """Nothing is no limit. Raises Refused (422)."""
    return whole_number_in("create_organizations_limit", text, least=0, most=MOST) if text.strip() else None


PAGES: tuple[PageRoute, ...] = (
    ("GET", ONE, show),
    ("GET", f"{ONE}/profile", show_profile),
    ("POST", f"{ONE}/profile", change_profile),
    ("GET", f"{ONE}/metadata/{{kind}}", show_metadata),
    ("POST", f"{ONE}/metadata/{{kind}}", change_metadata),
)
TOLD = {"profile": "The profile was changed.", "metadata": "The metadata were changed."}
