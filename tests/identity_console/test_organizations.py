"""What administrators do with organizations, their members, and roles."""

import re
from collections.abc import AsyncIterator

import pytest

from doorward.identity.organizations.settings import edit_of
from doorward.identity.paging import Slice
from tests.identity_console.visitors import new_user
from tests.identity_pages.visitors import Visitor, text_of
from tests.identity_pages.world import World, new_address

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
async def switched_on(accounts: World) -> AsyncIterator[None]:
    await accounts.identity.instance.change_by("test", "test", edit_of({"enabled": True}))
    yield


async def new_organization(administrator: Visitor, **fields: str) -> str:
    """The path of its page."""
    location = await administrator.done(
        "/admin/organizations/new", **{"name": "Analytical Engines", **fields}
    )
    return location.partition("?")[0]


def id_in(path: str) -> str:
    return path.rpartition("/")[2]


async def test_where_organizations_are_off_the_page_says_how_to_turn_them_on(
    accounts: World, administrator: Visitor
) -> None:
    await administrator.done(
        "/admin/settings/organizations", max_allowed_memberships="0", creator_role_id="org:admin"
    )
    page = await administrator.get("/admin/organizations")
    assert "Organizations are off" in text_of(page)
    assert 'href="/admin/settings/organizations"' in page.text
    assert (await administrator.get("/admin/organizations/org_any")).status_code == 403
    assert (await administrator.get(f"/admin/users/{await new_user(accounts)}")).status_code == 200


async def test_an_organization_is_made_found_changed_and_deleted(
    accounts: World, administrator: Visitor
) -> None:
    path = await new_organization(administrator, slug="engines-1")
    assert "Analytical Engines" in text_of(await administrator.get("/admin/organizations", query="engines-1"))
    await administrator.done(
        f"{path}/edit", name="Difference Engines", slug="engines-2", max_allowed_memberships="7"
    )
    record = (await accounts.identity.organizations.get(id_in(path))).record
    assert (record.name, record.slug, record.max_allowed_memberships) == (
        "Difference Engines",
        "engines-2",
        7,
    )
    assert not record.admin_delete_enabled
    for wrong in ({"name": "<b>"}, {"slug": "Not A Slug"}, {"max_allowed_memberships": "many"}):
        refused = await administrator.post(
            f"{path}/edit", **{"name": "E", "slug": "engines-2", "max_allowed_memberships": "7", **wrong}
        )
        assert refused.status_code == 422, wrong
        assert 'aria-invalid="true"' in refused.text
    await administrator.done(f"{path}/metadata/private", metadata='{"tier": "gold"}')
    assert (
        await accounts.identity.organizations.get(id_in(path))
    ).record.private_metadata == '{"tier":"gold"}'
    await administrator.done(f"{path}/delete")
    assert (await administrator.get(path)).status_code == 404


async def test_members_come_change_their_role_and_go(accounts: World, administrator: Visitor) -> None:
    creator, member = new_address(), new_address()
    creator_id, member_id = await new_user(accounts, creator), await new_user(accounts, member)
    path = await new_organization(administrator, created_by=creator)
    await administrator.done(f"{path}/members/new", email_address=member, role="org:member")
    again = await administrator.post(f"{path}/members/new", email_address=member, role="org:member")
    assert again.status_code in (400, 422)
    unknown = await administrator.post(
        f"{path}/members/new", email_address="nobody@example.com", role="org:member"
    )
    assert "No single user has this address." in text_of(unknown)
    last = await administrator.post(f"{path}/members/{creator_id}/role", role="org:member")
    assert last.status_code == 400
    await administrator.done(f"{path}/members/{member_id}/role", role="org:admin")
    await administrator.done(f"{path}/members/{creator_id}/remove")
    page = text_of(await administrator.get(path))
    assert member in page
    assert creator not in page
    assert "Analytical Engines" in text_of(await administrator.get(f"/admin/users/{member_id}"))
    assert (await administrator.post(f"{path}/members/{creator_id}/remove")).status_code == 404


async def test_an_invitation_into_one_is_mailed_and_revoked(accounts: World, administrator: Visitor) -> None:
    path, address = await new_organization(administrator), new_address()
    await administrator.done(f"{path}/invitations/new", email_address=address, role="org:member")
    await accounts.identity.mails.drain()
    assert address in [received.mail.to for received in accounts.inbox.messages]
    page = await administrator.get(path)
    revoke = re.search(rf'href="({path}/invitations/\w+/revoke)"', page.text)
    assert revoke
    other = await new_organization(administrator)
    elsewhere = revoke[1].replace(id_in(path), id_in(other))
    assert (await administrator.post(elsewhere)).status_code == 404
    await administrator.done(revoke[1])
    assert address not in text_of(await administrator.get(path))
    assert (await administrator.post(revoke[1])).status_code in (404, 400)


async def test_roles_and_permissions_are_made_changed_and_deleted(
    accounts: World, administrator: Visitor
) -> None:
    await administrator.done(
        "/admin/roles/permissions/new", name="Write invoices", key="org:invoices:create", description=""
    )
    page = await administrator.get("/admin/roles/new")
    box = re.search(
        r'name="(permission-perm_\w+)" value="true" aria-describedby="\S+">\s*<label[^>]*>Write invoices',
        page.text,
    )
    assert box
    await administrator.done("/admin/roles/new", name="Clerk", key="org:clerk", **{box[1]: "true"})
    (role,) = [role for role in await roles(accounts) if role.record.key == "org:clerk"]
    assert role.keys == ["org:invoices:create"]
    edit = await administrator.get(f"/admin/roles/{role.record.id}")
    assert re.search(rf'name="{box[1]}" value="true" checked', edit.text)
    await administrator.done(
        f"/admin/roles/{role.record.id}", name="Bookkeeper", key="org:clerk", description="Writes"
    )
    (role,) = [role for role in await roles(accounts) if role.record.key == "org:clerk"]
    assert (role.record.name, role.record.description, role.keys) == ("Bookkeeper", "Writes", [])
    for wrong in ({"key": "clerk"}, {"name": " "}, {"key": "org:admin"}):
        refused = await administrator.post("/admin/roles/new", **{"name": "N", "key": "org:new", **wrong})
        assert refused.status_code == 422, wrong
    await administrator.done(f"/admin/roles/{role.record.id}/delete")
    permission = box[1].removeprefix("permission-")
    await administrator.done(f"/admin/roles/permissions/{permission}", name="Bill", key="org:invoices:write")
    await administrator.done(f"/admin/roles/permissions/{permission}/delete")
    assert (await administrator.get(f"/admin/roles/permissions/{permission}")).status_code == 404


async def roles(world: World) -> list:  # type: ignore[type-arg]  # of a service's own type
    found, _ = await world.identity.organization_roles.page(
        None, Slice(100, order="name", is_descending=False)
    )
    return found


async def test_what_the_system_or_new_organizations_need_stays(
    accounts: World, administrator: Visitor
) -> None:
    (admin,) = [role for role in await roles(accounts) if role.record.key == "org:admin"]
    refused = await administrator.post(f"/admin/roles/{admin.record.id}/delete")
    assert refused.status_code == 422
    less = await administrator.post(f"/admin/roles/{admin.record.id}", name="Admin", key="org:admin")
    assert less.status_code in (400, 422)
    system = admin.permissions[0]
    assert (await administrator.post(f"/admin/roles/permissions/{system.id}/delete")).status_code == 403
    (kept,) = [role for role in await roles(accounts) if role.record.key == "org:admin"]
    assert kept.keys == admin.keys
