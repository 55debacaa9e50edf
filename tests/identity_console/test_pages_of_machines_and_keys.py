"""The pages about machines, keys, applications, templates and webhooks, held to what every page owes its readers."""

import pytest
from playwright.async_api import Page

from doorward.identity.api_keys import KeyWish
from doorward.identity.oauth.applications import ApplicationWish
from tests.identity_console.test_every_page import look
from tests.identity_pages.world import World
from tests.web.browser import follow

pytestmark = [pytest.mark.browser, pytest.mark.anyio]

LONG_URL = "https://hooks.example.com/" + "a-long-way-down/" * 6


async def test_pages_about_machines(accounts: World, page: Page) -> None:
    machines = accounts.identity.machines
    await page.goto("/admin/machines")
    await look(page, "machines-none")
    others = []
    for name in ("Billing", "A machine with a rather long name that somebody chose on a Friday"):
        made = await machines.create(name, scoped_machines=(), default_token_ttl=3600, actor="test")
        others.append(made.detail.machine.id)
    await page.goto("/admin/machines/new")
    await look(page, "machine-new")
    await page.get_by_label("Name").fill("Shop")
    await page.get_by_label("Ids of the machines").fill("\n".join(others))
    await page.get_by_role("button", name="Make the machine").click()
    await page.get_by_text("It is shown here once").wait_for()
    await look(page, "machine-made")
    await page.get_by_role("link", name="To the machine").click()
    await page.get_by_role("heading", name="Shop").wait_for()
    await look(page, "machine")
    here = page.url
    for path, name in (
        ("edit", "machine-edit"),
        ("scopes/new", "machine-scope"),
        (f"scopes/{others[0]}/remove", "machine-scope-remove"),
        ("secret", "machine-rotation"),
        ("delete", "machine-delete"),
    ):
        await page.goto(f"{here}/{path}")
        await look(page, name)
    await page.goto("/admin/machines")
    await look(page, "machines")


async def test_pages_about_keys(accounts: World, page: Page, somebody: str) -> None:
    await page.goto("/admin/secret-keys/new")
    await look(page, "secret-key-new")
    await page.get_by_label("What it is for").fill("Shop, in Frankfurt")
    await page.get_by_role("button", name="Make the key").click()
    await page.get_by_text("It is shown here once").wait_for()
    await look(page, "secret-key-made")
    await page.goto("/admin/secret-keys")
    await look(page, "secret-keys")
    await follow(page, page.get_by_role("link", name="End Shop").first)
    await look(page, "secret-key-end")
    await page.goto("/admin/api-keys")
    await look(page, "api-keys-none")
    made = await accounts.identity.api_keys.create(
        KeyWish(type="api_key", name="Nightly", subject=somebody, scopes=("read", "write:everything")),
        actor="test",
    )
    await page.goto(f"/admin/api-keys?subject={somebody}")
    await look(page, "api-keys")
    for path, name in (
        ("new", "api-key-new"),
        (made.key.id, "api-key"),
        (f"{made.key.id}/revoke", "api-key-revoke"),
        (f"{made.key.id}/delete", "api-key-delete"),
    ):
        await page.goto(f"/admin/api-keys/{path}")
        await look(page, name)


async def test_pages_about_applications(accounts: World, page: Page) -> None:
    await page.goto("/admin/oauth-applications")
    await look(page, "applications-none")
    made = await accounts.identity.oauth_applications.create(
        ApplicationWish(name="Wiki", redirect_uris=("https://wiki.example.com/callback", LONG_URL)),
        actor="test",
    )
    here = f"/admin/oauth-applications/{made.application.id}"
    for path, name in (
        ("/admin/oauth-applications", "applications"),
        ("/admin/oauth-applications/new", "application-new"),
        (here, "application"),
        (f"{here}/edit", "application-edit"),
        (f"{here}/secret", "application-secret"),
        (f"{here}/delete", "application-delete"),
    ):
        await page.goto(path)
        await look(page, name)


async def test_pages_about_templates(page: Page, somebody: str) -> None:
    await page.goto("/admin/jwt-templates")
    await look(page, "templates")
    await page.goto("/admin/jwt-templates/new?recipe=hasura")
    await look(page, "template-new")
    await page.get_by_label("Claims").fill(
        '{"aud": "x", "team": "{{user.public_metadata.team}}", "a": {"b": ["{{user.id}}"]}}'
    )
    await page.get_by_label("Id of a user").fill(somebody)
    await page.get_by_role("button", name="Look").click()
    await page.get_by_text("nothing was saved").wait_for()
    await page.get_by_text(somebody).first.wait_for()
    await look(page, "template-preview")
    await page.get_by_label("Claims").fill("{")
    await page.get_by_role("button", name="Make the template").click()
    await page.locator("[aria-invalid]").first.wait_for()
    await look(page, "template-wrong")
    await page.get_by_label("Claims").fill('{"aud": "x"}')
    await page.get_by_role("button", name="Make the template").click()
    await page.get_by_text("The template was made.").wait_for()
    await look(page, "template")
    await follow(page, page.get_by_role("link", name="Delete"))
    await look(page, "template-delete")


async def test_pages_about_webhooks(accounts: World, page: Page) -> None:
    webhooks = accounts.identity.webhooks
    await page.goto("/admin/webhooks")
    await look(page, "webhooks-none")
    await page.goto("/admin/webhooks/new")
    await look(page, "webhook-new")
    await page.get_by_label("URL").fill(LONG_URL)
    await page.get_by_label("user.created").check()
    await page.get_by_role("button", name="Make the endpoint").click()
    await page.get_by_text("It is shown here once").wait_for()
    await look(page, "webhook-made")
    await page.get_by_role("link", name="To the endpoint").click()
    await page.get_by_role("heading", name="Deliveries").wait_for()
    here = page.url
    await follow(page, page.get_by_role("link", name="Send a test event"))
    await look(page, "webhook-test")
    await page.get_by_role("button", name="Send it").click()
    await page.get_by_text("The test event is on its way").wait_for()
    await look(page, "webhook")
    await page.get_by_role("link", name="webhook.test").click()
    await page.get_by_role("heading", name="What was sent").wait_for()
    await look(page, "webhook-delivery")
    for path, name in (
        ("edit", "webhook-edit"),
        ("secret", "webhook-secret"),
        ("replay", "webhook-replay"),
        ("disable", "webhook-disable"),
        ("delete", "webhook-delete"),
    ):
        await page.goto(f"{here}/{path}")
        await look(page, name)
    await webhooks.update(here.rpartition("/")[2], is_enabled=False, actor="test")
    await page.goto("/admin/webhooks")
    await look(page, "webhooks")
