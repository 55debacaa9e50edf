"""The list of machines in every state it can be in. The relay's answers are given to the browser as the wire has them;
the empty list of a new person comes from a real relay (see test_journeys)."""

import json

import pytest
from playwright.async_api import Page, Route, expect

from tests.identity_pages.world import World
from tests.web.browser import horizontal_overflow

pytestmark = [pytest.mark.browser, pytest.mark.anyio]

LINKED = "2026-11-20T17:30:11.139Z"


def environment(label: str, *, connected: bool | None, services: list[str]) -> dict[str, object]:
    host = "http://workbench-0abc.env.localhost:8080"
    entry: dict[str, object] = {
        "environmentId": f"id-of-{label}",
        "label": label,
        "endpoint": {
            "httpBaseUrl": f"{host}/",
            "wsBaseUrl": "ws://x/ws",
            "providerKind": "cloudflare_tunnel",
        },
        "linkedAt": LINKED,
        "services": [{"name": name, "url": f"http://{name}.env.localhost:8080/"} for name in services],
    }
    return entry if connected is None else {**entry, "connected": connected}


WORKBENCH = environment("workbench", connected=True, services=["notebook", "files"])
ATTIC = environment("attic", connected=False, services=["camera"])
CELLAR = environment("cellar", connected=None, services=[])


class RelayAnswers:
    """What the relay says to this page from now on; None lets nothing through."""

    def __init__(self, page: Page, world: World) -> None:
        self.status: int | None = 200
        self.environments: list[dict[str, object]] = []
        self.authorizations: list[str] = []
        self._page, self._url = page, f"{world.relay_origin}/v1/environments"

    async def __aenter__(self) -> "RelayAnswers":
        await self._page.route(self._url, self._answer)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._page.unroute(self._url)

    async def _answer(self, route: Route) -> None:
        headers = {"access-control-allow-origin": "*", "access-control-allow-headers": "authorization"}
        if route.request.method == "OPTIONS":
            return await route.fulfill(status=204, headers=headers)
        self.authorizations.append(route.request.headers.get("authorization", ""))
        if self.status is None:
            return await route.abort("connectionrefused")
        body = json.dumps({"environments": self.environments})
        return await route.fulfill(
            status=self.status, headers=headers, content_type="application/json", body=body
        )


async def test_machines_are_listed_with_what_they_let_open(accounts: World, page: Page, person: str) -> None:
    async with RelayAnswers(page, accounts) as relay:
        relay.environments = [WORKBENCH, ATTIC, CELLAR]
        await page.reload()
        cards = page.locator("[data-list] > li")
        await expect(cards).to_have_count(3)
        assert await cards.locator("h2").all_inner_texts() == ["attic", "cellar", "workbench"]
        await expect(cards.nth(0).get_by_text("Offline")).to_be_visible()
        await expect(cards.nth(1).get_by_text("Not known")).to_be_visible()
        await expect(cards.nth(2).get_by_text("Online")).to_be_visible()
        await expect(cards.nth(1).get_by_text("doorward expose 8888")).to_be_visible()
        link = page.get_by_role("link", name="Open notebook")
        await expect(link).to_have_attribute("href", "http://notebook.env.localhost:8080/")
        assert relay.authorizations[0].startswith("Bearer ey")


async def test_the_list_follows_without_a_reload(accounts: World, page: Page, person: str) -> None:
    async with RelayAnswers(page, accounts) as relay:
        relay.environments = [{**WORKBENCH, "connected": False}]
        await page.reload()
        await expect(page.get_by_text("Offline")).to_be_visible()
        await page.get_by_role("link", name="Open files").focus()
        relay.environments = [WORKBENCH]
        await expect(page.get_by_text("Online")).to_be_visible()
        await expect(page.get_by_role("link", name="Open files")).to_be_focused()
        await expect(
            page.get_by_role("status").get_by_text("The list of machines has changed.")
        ).to_be_attached()


async def test_a_relay_that_does_not_answer_is_said_and_tried_again(
    accounts: World, page: Page, person: str
) -> None:
    async with RelayAnswers(page, accounts) as relay:
        relay.status = None
        await page.reload()
        await expect(page.get_by_text("The relay does not answer")).to_be_visible()
        relay.status, relay.environments = 200, [WORKBENCH]
        await page.get_by_role("button", name="Try again").click()
        await expect(page.get_by_role("heading", name="workbench")).to_be_visible()
        await expect(page.get_by_text("The relay does not answer")).to_be_hidden()


async def test_a_list_that_went_stale_stays_and_says_so(accounts: World, page: Page, person: str) -> None:
    async with RelayAnswers(page, accounts) as relay:
        relay.environments = [WORKBENCH]
        await page.reload()
        await expect(page.get_by_role("heading", name="workbench")).to_be_visible()
        relay.status = 503
        await expect(page.get_by_text("It answered with status 503.")).to_be_visible()
        await expect(page.get_by_text("may be out of date")).to_be_visible()
        await expect(page.get_by_role("heading", name="workbench")).to_be_visible()


async def test_being_offline_is_not_blamed_on_the_relay(accounts: World, page: Page, person: str) -> None:
    await expect(page.get_by_role("heading", name="No machine is linked yet")).to_be_visible()
    await page.context.set_offline(True)
    await expect(page.get_by_text("You are offline")).to_be_visible()
    await page.context.set_offline(False)
    await expect(page.get_by_text("You are offline")).to_be_hidden()


async def test_a_session_that_ended_elsewhere_leads_to_signing_in(
    accounts: World, page: Page, person: str
) -> None:
    session_id = await page.get_attribute("#machines", "data-session")
    status = await page.evaluate(
        "async (id) => (await fetch(`/v1/client/sessions/${id}/end`, { method: 'POST' })).status", session_id
    )
    assert status == 200
    await page.wait_for_url("**/sign-in?redirect_url=/machines")


async def test_long_names_fit_a_small_window(accounts: World, page: Page, person: str) -> None:
    async with RelayAnswers(page, accounts) as relay:
        relay.environments = [environment("a" * 100, connected=True, services=["b" * 63])]
        await page.set_viewport_size({"width": 320, "height": 640})
        await page.reload()
        await expect(page.get_by_role("heading", level=2)).to_be_visible()
        assert await horizontal_overflow(page) == []
