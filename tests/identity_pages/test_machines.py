"""The list of machines in every state it can be in. The relay's answers are given to the browser as the wire has them;
the empty list of a new person comes from a real relay (see test_journeys)."""

import asyncio
import json
import re
from datetime import UTC, datetime

import pytest
from playwright.async_api import Locator, Page, Route, expect

from tests.identity_pages.world import World
from tests.web.browser import accessibility_faults, focused_without_ring, horizontal_overflow
from tests.web.pictures import picture

pytestmark = [pytest.mark.browser, pytest.mark.anyio]

LINKED = "2026-01-20T17:30:11.139Z"


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


def newly(entry: dict[str, object], *, source: str = "203.0.113.7") -> dict[str, object]:
    """The same machine, linked a moment ago."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return {**entry, "madeAt": now, "madeFrom": source}


WORKBENCH = environment("workbench", connected=True, services=["notebook", "files"])
ATTIC = environment("attic", connected=False, services=["camera"])
CELLAR = environment("cellar", connected=None, services=[])


class RelayAnswers:
    """What the relay says to this page from now on; None lets nothing through."""

    def __init__(self, page: Page, world: World) -> None:
        self.status: int | None = 200
        self.environments: list[dict[str, object]] = []
        self.authorizations: list[str] = []
        self.unlinked: list[str] = []
        self.is_holding, self.let_go = asyncio.Event(), asyncio.Event()
        self.let_go.set()
        self._page = page
        self.list_url = f"{world.relay_origin}/v1/environments"
        self._links = f"{world.relay_origin}/v1/client/environment-links/"

    async def __aenter__(self) -> "RelayAnswers":
        await self._page.route(self.list_url, self._answer)
        await self._page.route(f"{self._links}*", self._unlink)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._page.unroute(self.list_url)
        await self._page.unroute(f"{self._links}*")

    async def _unlink(self, route: Route) -> None:
        headers = {
            "access-control-allow-origin": "*",
            "access-control-allow-headers": "authorization",
            "access-control-allow-methods": "GET,POST,DELETE,OPTIONS",
        }
        if route.request.method == "OPTIONS":
            return await route.fulfill(status=204, headers=headers)
        environment_id = route.request.url.removeprefix(self._links)
        assert route.request.method == "DELETE"
        assert route.request.headers["authorization"].startswith("Bearer ey")
        if self.status != 200:
            return await route.fulfill(status=self.status or 500, headers=headers, json={})
        self.unlinked.append(environment_id)
        self.environments = [one for one in self.environments if one["environmentId"] != environment_id]
        return await route.fulfill(headers=headers, json={"ok": True})

    async def _answer(self, route: Route) -> None:
        headers = {"access-control-allow-origin": "*", "access-control-allow-headers": "authorization"}
        if route.request.method == "OPTIONS":
            return await route.fulfill(status=204, headers=headers)
        self.authorizations.append(route.request.headers.get("authorization", ""))
        if self.status is None:
            return await route.abort("connectionrefused")
        body = json.dumps({"environments": self.environments})
        if not self.let_go.is_set():
            self.is_holding.set()
        await self.let_go.wait()
        return await route.fulfill(
            status=self.status, headers=headers, content_type="application/json", body=body
        )


async def test_machines_are_listed_with_what_they_let_open(accounts: World, page: Page, person: str) -> None:
    async with RelayAnswers(page, accounts) as relay:
        relay.environments = [WORKBENCH, ATTIC, CELLAR]
        await page.reload()
        cards = page.locator("[data-list] > li")
        await expect(cards).to_have_count(3)
        await expect(cards.locator("h2")).to_have_text(["attic", "cellar", "workbench"])
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
    # In another tab, one that stays: the page itself leaves, maybe before a script of its own has the answer.
    elsewhere = await page.context.new_page()
    await elsewhere.goto("/v1/client")
    status = await elsewhere.evaluate(
        "async (id) => (await fetch(`/v1/client/sessions/${id}/end`, { method: 'POST' })).status", session_id
    )
    assert status == 200
    await page.wait_for_url("**/sign-in?redirect_url=/machines")


async def test_long_names_fit_a_small_window(accounts: World, page: Page, person: str) -> None:
    async with RelayAnswers(page, accounts) as relay:
        relay.environments = [environment("a" * 100, connected=True, services=["b" * 63])]
        await page.set_viewport_size({"width": 320, "height": 640})
        await page.reload()
        await expect(page.locator("[data-list]").get_by_role("heading", level=2)).to_be_visible()
        assert await horizontal_overflow(page) == []


def card(page: Page, entry: dict[str, object]) -> Locator:
    return page.locator(f'[id="card-{entry["environmentId"]}"]')


async def test_a_new_link_is_asked_about_until_its_owner_says_it_is_theirs(
    accounts: World, page: Page, person: str
) -> None:
    async with RelayAnswers(page, accounts) as relay:
        relay.environments = [newly(ATTIC), WORKBENCH]
        await page.reload()
        question = card(page, ATTIC).get_by_text("Newly linked. Was it you?")
        await expect(question).to_be_visible()
        await expect(card(page, ATTIC)).to_contain_text("just now from 203.0.113.7")
        await expect(card(page, WORKBENCH).get_by_text("Newly linked")).to_have_count(0)
        assert await accessibility_faults(page) == []
        assert await focused_without_ring(page) == []
        await page.get_by_role("button", name="It was me attic").click()
        await expect(question).to_be_hidden()
        await expect(card(page, ATTIC)).to_be_focused()
        await page.reload()
        await expect(card(page, ATTIC)).to_be_visible()
        await expect(question).to_be_hidden()
        # The same machine under another name is news again.
        relay.environments = [newly({**ATTIC, "label": "workbench "}), WORKBENCH]
        relay.environments[0]["madeAt"] = "2999-01-01T00:00:00.000Z"
        await expect(card(page, ATTIC).get_by_text("Newly linked. Was it you?")).to_be_visible()


async def test_a_link_that_was_not_ones_own_is_undone_on_the_page(
    accounts: World, page: Page, person: str
) -> None:
    async with RelayAnswers(page, accounts) as relay:
        relay.environments = [newly(ATTIC), WORKBENCH]
        await page.reload()
        await page.get_by_role("button", name="Unlink attic").click()
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text("change your password")
        await page.keyboard.press("Enter")  # Cancel has the focus
        await expect(dialog).to_be_hidden()
        assert relay.unlinked == []
        await page.get_by_role("button", name="Unlink attic").click()
        await dialog.get_by_role("button", name="Unlink").click()
        await expect(card(page, ATTIC)).to_have_count(0)
        await expect(card(page, WORKBENCH)).to_be_focused()
        assert relay.unlinked == ["id-of-attic"]


async def test_a_list_asked_for_before_an_unlink_does_not_bring_the_machine_back(
    accounts: World, page: Page, person: str
) -> None:
    async with RelayAnswers(page, accounts) as relay:
        relay.environments = [ATTIC, WORKBENCH]
        await page.reload()
        await card(page, ATTIC).get_by_text("Devices, address and link").click()
        relay.let_go.clear()
        await page.evaluate(
            "dispatchEvent(new Event('online'))"
        )  # The page asks now, and not within five seconds.
        await relay.is_holding.wait()
        await page.get_by_role("button", name="Unlink attic").click()
        await page.get_by_role("dialog").get_by_role("button", name="Unlink").click()
        await expect(card(page, WORKBENCH)).to_be_focused()
        await expect(page.get_by_role("status").get_by_text("attic was unlinked.")).to_be_attached()
        await page.evaluate(
            """() => {
              window.cameBack = false;
              const look = () => { if (document.getElementById("card-id-of-attic")) window.cameBack = true; };
              new MutationObserver(look).observe(document.body, { childList: true, subtree: true });
              look();
            }"""
        )
        async with page.expect_request(
            relay.list_url
        ):  # The next one: the page has read the one that was held.
            relay.let_go.set()
        assert not await page.evaluate("window.cameBack")
        await expect(card(page, WORKBENCH)).to_be_focused()


async def test_an_unlink_that_the_relay_refuses_is_said_and_the_machine_stays(
    accounts: World, page: Page, person: str
) -> None:
    async with RelayAnswers(page, accounts) as relay:
        relay.environments = [WORKBENCH]
        await page.reload()
        await card(page, WORKBENCH).get_by_text("Devices, address and link").click()
        relay.status = 503
        await page.get_by_role("button", name="Unlink workbench").click()
        await page.get_by_role("dialog").get_by_role("button", name="Unlink").click()
        await expect(
            page.get_by_text(re.compile("The machine is still linked|may be out of date")).first
        ).to_be_visible()
        await expect(page.get_by_role("heading", name="workbench")).to_be_visible()
        assert relay.unlinked == []


@pytest.mark.parametrize(
    ("label", "warning"),
    [
        ("workbench", "Another machine has the very same name."),
        ("wоrkbench", "Its name looks like that of “workbench”"),  # the o is Cyrillic
        ("w0rkbench", "Its name looks like that of “workbench”"),
        ("Work-Bench", "Its name looks like that of “workbench”"),
        (
            "аttic",
            "Letters of its name are of another alphabet than they may seem: “а” (U+0430).",
        ),  # Cyrillic
    ],
)
async def test_a_name_that_may_be_taken_for_another_is_pointed_out(
    accounts: World, page: Page, person: str, label: str, warning: str
) -> None:
    double = {**environment(label, connected=True, services=[]), "environmentId": "the-double"}
    async with RelayAnswers(page, accounts) as relay:
        relay.environments = [WORKBENCH, double, environment("Büro", connected=True, services=[])]
        await page.reload()
        await expect(card(page, double)).to_contain_text(warning)
        await expect(page.get_by_text("Look closely")).to_have_count(1 if "alphabet" in warning else 2)


async def test_letters_that_run_together_are_told_apart(accounts: World, page: Page, person: str) -> None:
    pair = [environment(label, connected=True, services=[]) for label in ("farm", "fam", "farrn")]
    async with RelayAnswers(page, accounts) as relay:
        relay.environments = list(pair)
        await page.reload()
        await expect(card(page, pair[2])).to_contain_text("looks like that of “farm”")
        await expect(card(page, pair[1]).get_by_text("Look closely")).to_have_count(0)


async def test_what_a_machine_says_of_itself_is_text_and_leads_nowhere_else(
    accounts: World, page: Page, person: str
) -> None:
    hostile = environment("<img src=x>\u202ehcneb", connected=True, services=[])
    hostile["endpoint"] = {"httpBaseUrl": "javascript:alert(1)", "wsBaseUrl": "x", "providerKind": "manual"}
    async with RelayAnswers(page, accounts) as relay:
        relay.environments = [hostile, WORKBENCH]
        await page.reload()
        await expect(page.get_by_role("heading", name="<img src=x> hcneb")).to_be_visible()
        await expect(page.locator("[data-list] img")).to_have_count(0)
        await expect(page.get_by_role("heading", name="workbench")).to_be_visible()
        await card(page, hostile).get_by_text("Devices, address and link").click()
        await expect(card(page, hostile)).to_contain_text("Not one a browser can open")
        await expect(page.locator("[data-list] a[href^='javascript']")).to_have_count(0)


async def test_pictures_of_the_list(accounts: World, page: Page, person: str) -> None:
    """Left for people to look at."""
    double = {
        **environment("wоrkbench", connected=False, services=["notebook"]),
        "environmentId": "the-double",
    }
    async with RelayAnswers(page, accounts) as relay:
        relay.environments = [WORKBENCH, newly(double), ATTIC]
        await page.reload()
        await card(page, ATTIC).get_by_text("Devices, address and link").click()
        await expect(page.get_by_text("Look closely")).to_have_count(2)
        await picture(page, "machines-linked")
        await page.get_by_role("button", name="Unlink wоrkbench").click()
        await picture(page, "machines-unlink")
        await page.set_viewport_size({"width": 320, "height": 640})
        assert await horizontal_overflow(page) == []
