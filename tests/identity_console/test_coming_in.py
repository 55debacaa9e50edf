"""What administrators decide about who may come in: invitations, the waitlist, the two lists, the settings."""

import re
from collections.abc import AsyncIterator

import pytest

from tests.identity_console.visitors import new_user
from tests.identity_pages.visitors import Visitor, text_of
from tests.identity_pages.world import PASSWORD, World, new_address

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
async def open_again(accounts: World) -> AsyncIterator[None]:
    yield
    await accounts.identity.instance.change(
        "test", "test", sign_up_mode=None, allowlist=False, blocklist=False, block_email_subaddresses=False
    )


async def can_sign_up(world: World, address: str) -> bool:
    async with Visitor(world) as visitor:
        return (await visitor.post("/sign-up", email=address, password=PASSWORD)).status_code == 303


async def test_an_invitation_shows_its_link_once_and_is_revoked(
    accounts: World, administrator: Visitor
) -> None:
    address = new_address()
    made = await administrator.post(
        "/admin/invitations/new", email_address=address, expires_in_days="3", notify="true"
    )
    assert made.status_code == 200
    assert made.headers["cache-control"] == "no-store"
    link = re.search(r"ticket=([\w-]+)", made.text)
    assert link
    await accounts.identity.mails.drain()
    assert address in [received.mail.to for received in accounts.inbox.messages]
    listed = await administrator.get("/admin/invitations", query=address)
    assert link[1] not in listed.text
    revoke = re.search(r'href="(/admin/invitations/\w+/revoke)"', listed.text)
    assert revoke
    await administrator.done(revoke[1])
    assert (await administrator.post(revoke[1])).status_code == 400
    assert "Revoked" in text_of(await administrator.get("/admin/invitations", query=address))
    async with Visitor(accounts) as invited:
        assert "used or is too old" in text_of(await invited.get("/sign-up", __clerk_ticket=link[1]))


async def test_an_invitation_may_be_kept_from_the_mail_and_is_checked(
    accounts: World, administrator: Visitor
) -> None:
    address = new_address()
    await administrator.post("/admin/invitations/new", email_address=address, expires_in_days="3")
    await accounts.identity.mails.drain()
    assert address not in [received.mail.to for received in accounts.inbox.messages]
    for wrong in (
        {"email_address": "ada"},
        {"expires_in_days": "0"},
        {"expires_in_days": "366"},
        {"email_address": address},
    ):
        fields = {"email_address": new_address(), "expires_in_days": "3", **wrong}
        refused = await administrator.post("/admin/invitations/new", **fields)
        assert refused.status_code in (400, 422), wrong
        assert "ticket=" not in refused.text


async def test_the_waitlist_is_worked_through(accounts: World, administrator: Visitor) -> None:
    await administrator.done("/admin/settings/sign-up", sign_up_mode="waitlist")
    addresses = [new_address() for _ in range(3)]
    for address in addresses:
        await administrator.done("/admin/waitlist/new", email_address=address)
    ways = {}
    for address, step in zip(addresses, ("invite", "reject", "remove"), strict=True):
        page = await administrator.get("/admin/waitlist", query=address)
        way = re.search(rf'href="(/admin/waitlist/\w+/{step})"', page.text)
        assert way
        ways[step] = way[1]
        assert address in text_of(await administrator.get(way[1]))
        await administrator.done(way[1])
    await accounts.identity.mails.drain()
    assert addresses[0] in [received.mail.to for received in accounts.inbox.messages]
    assert addresses[0] in text_of(await administrator.get("/admin/waitlist", status="invited"))
    assert addresses[1] in text_of(await administrator.get("/admin/waitlist", status="rejected"))
    assert addresses[2] not in text_of(await administrator.get("/admin/waitlist"))
    assert (await administrator.post(ways["invite"])).status_code == 409
    assert (await administrator.post(ways["remove"])).status_code == 404


async def test_a_list_keeps_people_out_once_it_is_on(accounts: World, administrator: Visitor) -> None:
    await administrator.done("/admin/lists/block/new", identifier="*@spam.example")
    assert "This list is off" in text_of(await administrator.get("/admin/lists/block"))
    assert await can_sign_up(accounts, "first@spam.example")
    await administrator.done("/admin/settings/sign-up", blocklist="true")
    assert not await can_sign_up(accounts, "second@spam.example")
    page = await administrator.get("/admin/lists/block")
    assert "This list is off" not in text_of(page)
    again = await administrator.post("/admin/lists/block/new", identifier="*@SPAM.example")
    assert again.status_code == 400
    assert "on the list already" in text_of(again)
    remove = re.search(r'href="(/admin/lists/block/\w+/remove)"', page.text)
    assert remove
    assert "*@spam.example" in text_of(await administrator.get(remove[1]))
    assert (await administrator.post(remove[1].replace("/block/", "/allow/"))).status_code == 404
    await administrator.done(remove[1])
    assert await can_sign_up(accounts, "third@spam.example")


async def test_a_list_nobody_knows_is_not_found(administrator: Visitor) -> None:
    assert (await administrator.get("/admin/lists/grey")).status_code == 404
    assert (await administrator.post("/admin/lists/grey/new", identifier="a@example.com")).status_code == 404
    assert (await administrator.get("/admin/lists")).headers["location"] == "/admin/lists/allow"


async def test_who_may_sign_up_is_changed_while_the_server_runs(
    accounts: World, administrator: Visitor
) -> None:
    assert await can_sign_up(accounts, new_address())
    await administrator.done(
        "/admin/settings/sign-up", sign_up_mode="restricted", block_email_subaddresses="true"
    )
    assert not await can_sign_up(accounts, new_address())
    page = await administrator.get("/admin/settings/sign-up")
    assert re.search(r'value="restricted" selected', page.text)
    assert re.search(r'name="block_email_subaddresses" value="true" checked', page.text)
    assert (await administrator.post("/admin/settings/sign-up", sign_up_mode="anarchy")).status_code == 422
    await administrator.done("/admin/settings/sign-up", sign_up_mode="")
    assert accounts.identity.instance.current.sign_up_mode is None
    assert await can_sign_up(accounts, new_address())


async def test_allowed_origins_are_one_a_line(accounts: World, administrator: Visitor) -> None:
    await administrator.done(
        "/admin/settings/origins",
        allowed_origins="https://app.example.com\r\nhttps://app.example.com\r\n\r\nhttp://localhost:3000\r\n",
        support_email="help@example.com",
        test_mode="true",
    )
    settings = accounts.identity.instance.current
    assert settings.allowed_origins == ("https://app.example.com", "http://localhost:3000")
    assert (settings.support_email, settings.test_mode) == ("help@example.com", True)
    for wrong in ({"allowed_origins": "https://app.example.com/path"}, {"support_email": "help"}):
        refused = await administrator.post("/admin/settings/origins", **wrong)
        assert refused.status_code == 422, wrong
        assert 'aria-invalid="true"' in refused.text
    assert accounts.identity.instance.current == settings


async def test_a_role_that_could_manage_nothing_is_no_makers_role(
    accounts: World, administrator: Visitor
) -> None:
    for role in ("org:member", "org:nothing", ""):
        refused = await administrator.post(
            "/admin/settings/organizations", enabled="true", max_allowed_memberships="0", creator_role_id=role
        )
        assert refused.status_code in (400, 422), role
    assert accounts.identity.instance.current.organizations.creator_role == "org:admin"


async def test_the_overview_counts_and_hints(accounts: World, administrator: Visitor) -> None:
    before = await administrator.get("/admin")
    count = re.search(r"<strong>(\d+)</strong>Users", before.text)
    assert count
    await new_user(accounts)
    after = await administrator.get("/admin")
    assert f"<strong>{int(count[1]) + 1}</strong>Users" in after.text
    assert "You are the only administrator." in text_of(after)
    assert "User created" in text_of(after)
