"""All organizations: finding them, and making one."""

import msgspec
from starlette.responses import Response

from doorward.identity.console import organization, organization_people
from doorward.identity.console.call import Call
from doorward.identity.console.paging import PAGE_SIZE, offset_of, pager
from doorward.identity.console.sections import Section
from doorward.identity.console.users_by_address import user_of_address
from doorward.identity.errors import Refused
from doorward.identity.organizations.service import NewOrganization
from doorward.identity.organizations.store import OrganizationFilter
from doorward.identity.paging import Slice

PATH = "/admin/organizations"

ORDERS = {
    "newest": ("Newest first", "created_at", True),
    "name": ("By name", "name", False),
    "members": ("Most members", "members_count", True),
}


class NewOrganizationForm(msgspec.Struct):
    name: str = ""
    slug: str = ""
    created_by: str = ""


async def show(call: Call) -> Response:
    if not call.identity.instance.current.organizations.enabled:
        return call.page("organizations_off.html")
    wanted = call.query.get("query", "").strip()
    order = call.query.get("order", "") if call.query.get("order", "") in ORDERS else "newest"
    _, column, is_descending = ORDERS[order]
    found, total = await call.identity.organizations.page(
        OrganizationFilter(query=wanted or None),
        Slice(PAGE_SIZE, offset_of(call), column, is_descending),
    )
    return call.page(
        "organizations.html",
        page=pager(call, found, total),
        wanted=wanted,
        order=order,
        orders=[(key, words) for key, (words, _, _) in ORDERS.items()],
        is_filtered=bool(wanted),
    )


async def show_new(call: Call) -> Response:
    return call.form("organization_new.html", NewOrganizationForm(), slugs=_has_slugs(call))


async def create(call: Call) -> Response:
    form = await call.form_of(NewOrganizationForm)
    try:
        creator = None
        if form.created_by.strip():
            creator = (await user_of_address(call, "created_by", form.created_by)).user.id
        made = await call.identity.organizations.create(
            NewOrganization(name=form.name, slug=form.slug.strip() or None, created_by=creator),
            actor=call.actor,
        )
    except Refused as refused:
        return call.form("organization_new.html", form, refused, slugs=_has_slugs(call))
    return call.see(f"{PATH}/{made.record.id}", told="created")


def _has_slugs(call: Call) -> bool:
    return not call.identity.instance.current.organizations.slug_disabled


SECTION = Section(
    "Organizations",
    PATH,
    "People",
    pages=(
        ("GET", PATH, show),
        ("GET", f"{PATH}/new", show_new),
        ("POST", f"{PATH}/new", create),
        *organization.PAGES,
        *organization_people.PAGES,
    ),
    told={**organization.TOLD, **organization_people.TOLD, "created": "The organization was made."},
)
