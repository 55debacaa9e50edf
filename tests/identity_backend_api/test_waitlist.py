"""The waitlist and invitations: how people get in where the door is closed."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs, urlsplit

import pytest

from doorward.identity.errors import Refused
from doorward.identity.waitlist.service import JoinWish
from tests.identity.conftest import ORIGIN, PASSWORD, World, error_codes
from tests.identity_backend_api.conftest import Backend

pytestmark = pytest.mark.anyio

SIGN_UPS = "/v1/client/sign_ups"
DAY = 86_400_000


async def entry_of(backend: Backend, address: str = "ada@example.com", **fields: object) -> dict[str, object]:
    made = await backend.ask("POST", "/waitlist_entries", json={"email_address": address, **fields})
    assert made["object"] == "waitlist_entry"
    return dict(made)


async def follow(world: World, url: str) -> tuple[str, dict[str, str]]:
    """Where the link leads, and with what."""
    response = await world.browser(origin=None).http.get(url.removeprefix(ORIGIN))
    assert response.status_code == 303, response.text
    target = urlsplit(response.headers["location"])
    query = {name: values[0] for name, values in parse_qs(target.query).items()}
    return f"{target.scheme}://{target.netloc}{target.path}", query


@pytest.mark.conformance("clerk-backend", 100)
async def test_the_same_address_joins_once_in_whatever_case(backend: Backend) -> None:
    first = await entry_of(backend)
    again = await entry_of(backend, "ADA@example.com")
    assert (first["id"], first["status"]) == (again["id"], "pending")
    assert await backend.world.kinds_mailed_to("ada@example.com") == ["waitlist_confirmation"]
    await entry_of(backend, "quiet@example.com", notify=False)
    assert await backend.world.kinds_mailed_to("quiet@example.com") == []


@pytest.mark.conformance("clerk-backend", 101, 102)
@pytest.mark.conformance("clerk-frontend", 105, 114)
async def test_an_invited_entry_lets_its_address_in_where_strangers_wait(backend: Backend) -> None:
    world = backend.world
    await backend.ask("PATCH", "/instance/restrictions", json={"sign_up_mode": "waitlist"})
    stranger = world.browser()
    body = await stranger.post(SIGN_UPS, 403, email_address="ada@example.com", password=PASSWORD)
    assert error_codes(body) == ["sign_up_restricted_waitlist"]
    await stranger.post(SIGN_UPS)
    assert (await stranger.get("/v1/environment"))["user_settings"]["sign_up"]["mode"] == "waitlist"

    entry = await entry_of(backend)
    path = f"/waitlist_entries/{entry['id']}"
    invited = await backend.ask("POST", f"{path}/invite")
    assert invited["status"] == "invited"
    assert invited["invitation"]["status"] == "pending"
    await backend.refused("POST", f"{path}/invite", 409, "waitlist_entry_already_invited")
    known = {name: value for name, value in invited["invitation"].items() if name != "url"}
    (listed,) = (await backend.ask("GET", "/waitlist_entries?status=invited"))["data"]
    assert (listed["id"], listed["invitation"]) == (entry["id"], known)
    assert (await entry_of(backend))["invitation"] == known
    # Both are sent in the background, neither waits for the other.
    kinds = await world.kinds_mailed_to("ada@example.com")
    assert sorted(kinds) == ["waitlist_confirmation", "waitlist_invitation"]

    page, query = await follow(world, invited["invitation"]["url"])
    assert page == f"{ORIGIN}/sign-up"
    assert query["__clerk_status"] == "sign_up"
    done = await world.browser().post(
        SIGN_UPS, strategy="ticket", ticket=query["__clerk_ticket"], password=PASSWORD
    )
    assert done["response"]["status"] == "complete"
    (listed,) = (await backend.ask("GET", "/waitlist_entries?status=completed"))["data"]
    assert (listed["id"], listed["invitation"]["status"]) == (entry["id"], "accepted")
    await backend.refused("POST", f"{path}/reject", 409, "waitlist_entry_already_completed")


@pytest.mark.conformance("clerk-backend", 103)
async def test_a_rejected_entry_stays_rejected_and_its_invitation_is_void(backend: Backend) -> None:
    entry = await entry_of(backend)
    path = f"/waitlist_entries/{entry['id']}"
    url = (await backend.ask("POST", f"{path}/invite"))["invitation"]["url"]
    rejected = await backend.ask("POST", f"{path}/reject")
    assert (rejected["status"], rejected["invitation"]["status"]) == ("rejected", "revoked")
    await backend.refused("POST", f"{path}/invite", 409, "waitlist_entry_already_rejected")
    await backend.refused("POST", f"{path}/reject", 409, "waitlist_entry_already_rejected")
    await backend.refused("DELETE", path, 409, "waitlist_entry_already_rejected")
    assert (await backend.world.browser(origin=None).http.get(url)).status_code == 400


@pytest.mark.conformance("clerk-backend", 104)
async def test_fifty_entries_at_once_and_no_more(backend: Backend) -> None:
    bodies = [{"email_address": f"n{number}@example.com", "notify": False} for number in range(51)]
    errors = (await backend.ask("POST", "/waitlist_entries/bulk", 422, json=bodies))["errors"]
    assert errors[0]["code"] == "form_param_value_invalid"
    assert (await backend.ask("GET", "/waitlist_entries"))["total_count"] == 0
    assert len(await backend.ask("POST", "/waitlist_entries/bulk", json=bodies[:50])) == 50
    bad = [{"email_address": "fine@example.com"}, {"email_address": "nonsense"}]
    await backend.refused("POST", "/waitlist_entries/bulk", 422, "form_param_format_invalid", json=bad)
    assert (await backend.ask("GET", "/waitlist_entries?query=fine"))["total_count"] == 0


async def test_the_waitlist_is_searched_ordered_and_cleared(backend: Backend) -> None:
    for name in ("b_", "a%", "c"):
        await entry_of(backend, f"{name}@example.com")
        backend.world.clock.advance(1)
    listed = await backend.ask("GET", "/waitlist_entries?order_by=email_address")
    assert [one["email_address"][0] for one in listed["data"]] == ["a", "b", "c"]
    newest = await backend.ask("GET", "/waitlist_entries?limit=1")
    assert (newest["data"][0]["email_address"], newest["total_count"]) == ("c@example.com", 3)
    assert (await backend.ask("GET", "/waitlist_entries", params={"query": "%"}))["total_count"] == 1
    await backend.refused("GET", "/waitlist_entries?order_by=status", 422, "form_param_value_invalid")
    entry_id = newest["data"][0]["id"]
    assert (await backend.ask("DELETE", f"/waitlist_entries/{entry_id}"))["deleted"] is True
    await backend.refused("DELETE", f"/waitlist_entries/{entry_id}", 404, "resource_not_found")


@pytest.mark.conformance("clerk-frontend", 110, 111, 113)
async def test_a_visitor_joins_and_learns_nothing_of_others(backend: Backend) -> None:
    browser = backend.world.browser()
    joined = await browser.post("/v1/waitlist", email_address="ada@example.com")
    assert set(joined) == {"object", "id", "created_at", "updated_at"}
    assert await browser.post("/v1/waitlist", email_address="ada@example.com") == joined
    body = await browser.post("/v1/waitlist", 422, email_address="nonsense")
    assert error_codes(body) == ["form_param_format_invalid"]
    assert body["errors"][0]["meta"]["param_name"] == "email_address"
    assert error_codes(await browser.post("/v1/waitlist", 422)) == ["form_param_missing"]
    await backend.ask("PATCH", "/instance/restrictions", json={"blocklist": True})
    await backend.ask("POST", "/blocklist_identifiers", json={"identifier": "*@bad.dev"})
    body = await browser.post("/v1/waitlist", 403, email_address="eve@bad.dev")
    assert error_codes(body) == ["not_allowed_access"]


async def test_two_who_invite_one_entry_at_once_make_one_invitation(backend: Backend) -> None:
    entry = await entry_of(backend)
    waitlist = backend.world.identity.waitlist
    outcomes = await asyncio.gather(
        *(waitlist.invite(str(entry["id"]), ignore_existing=True, actor="sk_x") for _ in range(4)),
        return_exceptions=True,
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert [error.errors[0].code for error in refused if isinstance(error, Refused)] == [
        "waitlist_entry_already_invited"
    ] * 3
    assert (await backend.ask("GET", "/invitations?paginated=true"))["total_count"] == 1


async def test_one_address_joining_many_times_at_once_has_one_entry(backend: Backend) -> None:
    waitlist = backend.world.identity.waitlist
    wish = [JoinWish("ada@example.com")]
    joined = await asyncio.gather(*(waitlist.join(wish, actor=None) for _ in range(5)))
    assert len({entries[0].id for entries in joined}) == 1


@pytest.mark.conformance("clerk-backend", 105)
async def test_an_invitation_waits_thirty_days_and_its_link_is_shown_once(backend: Backend) -> None:
    wish = {"email_address": "bob@example.com", "public_metadata": {"team": "blue"}}
    made = await backend.ask("POST", "/invitations", json=wish)
    assert (made["object"], made["status"], made["revoked"]) == ("invitation", "pending", False)
    assert made["expires_at"] == backend.world.clock.now + 30 * DAY
    assert made["public_metadata"] == {"team": "blue"}
    (listed,) = await backend.ask("GET", "/invitations")
    assert "url" not in listed
    _, query = await follow(backend.world, made["url"])
    browser = backend.world.browser()
    await browser.post(SIGN_UPS, strategy="ticket", ticket=query["__clerk_ticket"], password=PASSWORD)
    assert (await browser.session())["user"]["public_metadata"] == {"team": "blue"}
    assert (await backend.ask("GET", "/invitations?status=accepted"))[0]["status"] == "accepted"
    await backend.refused("POST", f"/invitations/{made['id']}/revoke", 400, "invitation_already_accepted")
    rows = await backend.world.database.read(lambda tx: tx.fetch_all("SELECT * FROM identity_invitations"))
    assert query["__clerk_ticket"] not in repr(rows)


@pytest.mark.conformance("clerk-backend", 106)
async def test_an_address_has_one_open_invitation_unless_existing_ones_are_ignored(backend: Backend) -> None:
    wish = {"email_address": "bob@example.com"}
    await backend.ask("POST", "/invitations", json=wish)
    error = await backend.refused("POST", "/invitations", 400, "duplicate_record", json=wish)
    assert error["meta"]["email_addresses"] == ["bob@example.com"]
    await backend.ask("POST", "/invitations", json={**wish, "ignore_existing": True})
    await backend.world.signed_up("ada@example.com")
    known = {"email_address": "ada@example.com"}
    await backend.refused("POST", "/invitations", 422, "form_identifier_exists", json=known)
    await backend.ask("POST", "/invitations", json={**known, "ignore_existing": True})


@pytest.mark.conformance("clerk-backend", 107, 108)
async def test_a_revoked_invitation_opens_nothing_and_is_listed_only_when_asked_for(backend: Backend) -> None:
    made = await backend.ask("POST", "/invitations", json={"email_address": "bob@example.com"})
    _, query = await follow(backend.world, made["url"])
    revoked = await backend.ask("POST", f"/invitations/{made['id']}/revoke")
    assert (revoked["revoked"], revoked["status"]) == (True, "revoked")
    await backend.refused("POST", f"/invitations/{made['id']}/revoke", 400, "invitation_already_revoked")
    await backend.refused("POST", "/invitations/inv_x/revoke", 404, "resource_not_found")
    assert await backend.ask("GET", "/invitations") == []
    assert len(await backend.ask("GET", "/invitations?status=revoked")) == 1
    body = await backend.world.browser().post(
        SIGN_UPS, 400, strategy="ticket", ticket=query["__clerk_ticket"], password=PASSWORD
    )
    assert error_codes(body) == ["revoked_invitation"]


async def test_up_to_ten_invitations_are_made_together_or_not_at_all(backend: Backend) -> None:
    bodies = [{"email_address": f"n{number}@example.com"} for number in range(11)]
    await backend.ask("POST", "/invitations/bulk", 422, json=bodies)
    await backend.ask("POST", "/invitations/bulk", 400, json=[*bodies[:2], bodies[0]])
    assert await backend.ask("GET", "/invitations") == []
    assert len(await backend.ask("POST", "/invitations/bulk", json=bodies[:10])) == 10


async def test_a_link_leads_where_its_maker_said_and_an_old_one_says_so(backend: Backend) -> None:
    wish = {
        "email_address": "bob@example.com",
        "redirect_url": "https://app.example.org/welcome?from=mail#top",
        "expires_in_days": 1,
    }
    made = await backend.ask("POST", "/invitations", json=wish)
    page, query = await follow(backend.world, made["url"])
    assert page == "https://app.example.org/welcome"
    assert (query["from"], query["__clerk_status"]) == ("mail", "sign_up")
    backend.world.clock.advance(DAY)
    old = await backend.world.browser(origin=None).http.get(made["url"])
    assert old.status_code == 400
    assert "text/html" in old.headers["content-type"]
    await backend.refused(
        "POST",
        "/invitations",
        422,
        "form_param_format_invalid",
        json={**wish, "redirect_url": "javascript://x/%0aalert(1)"},
    )


async def test_a_link_for_somebody_with_an_account_leads_to_signing_in(backend: Backend) -> None:
    browser = await backend.world.signed_up("ada@example.com")
    made = await backend.ask(
        "POST", "/invitations", json={"email_address": "ada@example.com", "ignore_existing": True}
    )
    page, query = await follow(backend.world, made["url"])
    assert (page, query["__clerk_status"]) == (f"{ORIGIN}/sign-in", "sign_in")
    assert query["redirect_url"].startswith("/v1/tickets/accept?ticket=")
    response = await browser.http.get(made["url"])
    assert "__clerk_status=complete" in response.headers["location"]


async def test_two_sign_ups_with_one_ticket_at_once_make_one_account(backend: Backend) -> None:
    made = await backend.ask("POST", "/invitations", json={"email_address": "bob@example.com"})
    ticket = made["url"].rpartition("=")[2]
    answers = await asyncio.gather(
        *(
            backend.world.browser().http.post(
                SIGN_UPS, data={"strategy": "ticket", "ticket": ticket, "password": PASSWORD}
            )
            for _ in range(4)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400]
