"""Organizations as their members use them from a browser, and what sessions and tokens say of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.identity.conftest import Browser, World, claims_of, error_codes
from tests.identity_backend_api.conftest import Backend, backend_of

pytestmark = pytest.mark.anyio

PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 16
BOB = "bob@example.com"


@pytest.fixture
async def backend(world: World) -> AsyncIterator[Backend]:
    """A holder of a secret key, of an instance with organizations."""
    async with backend_of(world) as made:
        await made.ask("PATCH", "/instance/organization_settings", json={"enabled": True})
        yield made


async def as_self(browser: Browser, path: str) -> str:
    """The path, asked in the browser's one session."""
    session = await browser.session()
    return f"{path}{'&' if '?' in path else '?'}_clerk_session_id={session['id']}"


async def do(browser: Browser, method: str, path: str, status: int = 200, **form: Any) -> Any:
    response = await browser.http.request(method, await as_self(browser, path), data=form)
    assert response.status_code == status, response.text[:400]
    return response.json()["response"] if status == 200 else error_codes(response.json())


async def founded(browser: Browser, name: str = "Acme", **fields: str) -> dict[str, Any]:
    made = await do(browser, "POST", "/v1/organizations", name=name, **fields)
    return dict(made)


async def activate(browser: Browser, organization: str, status: int = 200) -> Any:
    session = await browser.session()
    path = f"/v1/client/sessions/{session['id']}/touch"
    return await browser.post(path, status, active_organization_id=organization, intent="select_org")


async def token_of(browser: Browser, **form: str) -> dict[str, Any]:
    session = await browser.session()
    return claims_of((await browser.post(f"/v1/client/sessions/{session['id']}/tokens", **form))["jwt"])


async def joined(world: World, backend: Backend, organization_id: str, role: str = "org:member") -> Browser:
    bob = await world.signed_up(BOB)
    wish = {"user_id": await bob.user_id(), "role": role}
    await backend.ask("POST", f"/organizations/{organization_id}/memberships", json=wish)
    return bob


# -- the active organization


@pytest.mark.conformance("clerk-frontend", 16)
async def test_a_session_acts_in_the_organization_chosen_last(world: World, backend: Backend) -> None:
    ada = await world.signed_up()
    made = await founded(ada, slug="acme")
    assert "o" not in await token_of(ada)
    touched = await activate(ada, "acme")
    assert touched["response"]["last_active_organization_id"] == made["id"]
    assert claims_of(touched["response"]["last_active_token"]["jwt"])["o"]["id"] == made["id"]
    (membership,) = touched["response"]["user"]["organization_memberships"]
    assert membership["organization"]["id"] == made["id"]
    # Absent: as the session is. Empty: nowhere, for this token alone.
    assert (await token_of(ada))["o"] == {"id": made["id"], "slg": "acme", "rol": "admin"}
    assert "o" not in await token_of(ada, organization_id="")
    assert (await token_of(ada))["o"]["id"] == made["id"]
    session = await ada.session()
    seen = await backend.ask("GET", f"/sessions/{session['id']}")
    assert seen["last_active_organization_id"] == made["id"]
    minted = await backend.ask("POST", f"/sessions/{session['id']}/tokens", json={})
    assert claims_of(minted["jwt"])["o"]["id"] == made["id"]
    assert (await activate(ada, ""))["response"]["last_active_organization_id"] is None
    assert "o" not in await token_of(ada)


async def test_nobody_acts_in_an_organization_they_do_not_belong_to(world: World, backend: Backend) -> None:
    ada, bob = await world.signed_up(), await world.signed_up(BOB)
    made = await founded(ada)
    assert error_codes(await activate(bob, made["id"], 404)) == ["organization_not_found_or_unauthorized"]
    assert (await bob.session())["last_active_organization_id"] is None


async def test_templates_read_the_organization_a_session_acts_in(world: World, backend: Backend) -> None:
    ada = await world.signed_up()
    made = await founded(ada)
    await backend.ask("PATCH", f"/organizations/{made['id']}/metadata", json={"public_metadata": {"tier": 3}})
    claims = {
        "org": "{{org.id}}",
        "role": "{{org.role}}",
        "tier": "{{org.public_metadata.tier}}",
        "all": "{{user.organizations}}",
    }
    await backend.ask("POST", "/jwt_templates", json={"name": "rows", "claims": claims})
    path = f"/v1/client/sessions/{(await ada.session())['id']}/tokens/rows"
    before = claims_of((await ada.post(path))["jwt"])
    assert (before["org"], before["tier"], before["all"]) == (None, None, {made["id"]: "org:admin"})
    await activate(ada, made["id"])
    after = claims_of((await ada.post(path))["jwt"])
    assert (after["org"], after["role"], after["tier"]) == (made["id"], "org:admin", 3)


async def test_a_change_of_role_is_in_the_next_token_and_an_end_of_membership_too(
    world: World, backend: Backend
) -> None:
    ada = await world.signed_up()
    made = await founded(ada)
    bob = await joined(world, backend, made["id"])
    await activate(bob, made["id"])
    member = f"/v1/organizations/{made['id']}/memberships/{await bob.user_id()}"
    assert (await token_of(bob))["o"]["rol"] == "member"
    await do(ada, "PATCH", member, role="org:admin")
    assert (await token_of(bob))["o"]["rol"] == "admin"
    await do(ada, "DELETE", member)
    assert "o" not in await token_of(bob)
    assert (await bob.session())["last_active_organization_id"] is None
    # Coming back does not bring the choice back.
    await backend.ask(
        "POST",
        f"/organizations/{made['id']}/memberships",
        json={"user_id": await bob.user_id(), "role": "org:member"},
    )
    assert "o" not in await token_of(bob)


async def test_a_deleted_organization_is_nobodys_active_one(world: World, backend: Backend) -> None:
    ada = await world.signed_up()
    made = await founded(ada)
    await activate(ada, made["id"])
    await do(ada, "DELETE", f"/v1/organizations/{made['id']}")
    assert (await ada.session())["last_active_organization_id"] is None
    assert "o" not in await token_of(ada)


async def test_a_back_end_begins_a_session_in_an_organization(world: World, backend: Backend) -> None:
    ada = await world.signed_up()
    made = await founded(ada)
    body = {"user_id": await ada.user_id(), "active_organization_id": made["id"]}
    begun = await backend.ask("POST", "/sessions", json=body)
    assert begun["last_active_organization_id"] == made["id"]
    bob = {"user_id": await (await world.signed_up(BOB)).user_id(), "active_organization_id": made["id"]}
    await backend.refused("POST", "/sessions", 404, "organization_not_found_or_unauthorized", json=bob)


# -- organizations


async def test_what_a_person_founds_is_theirs_to_change_and_to_delete(world: World, backend: Backend) -> None:
    ada = await world.signed_up()
    made = await founded(ada)
    assert {"id", "slug", "image_url", "has_image", "members_count", "pending_invitations_count"} <= set(made)
    assert (made["object"], made["members_count"], made["has_image"]) == ("organization", 1, False)
    assert "private_metadata" not in made
    path = f"/v1/organizations/{made['id']}"
    assert (await do(ada, "PATCH", path, name="Acme Two"))["name"] == "Acme Two"
    assert (await do(ada, "GET", path))["name"] == "Acme Two"
    assert await do(ada, "POST", "/v1/organizations", 422) == ["form_param_missing"]
    gone = await do(ada, "DELETE", path)
    assert (gone["object"], gone["deleted"], gone["id"]) == ("organization", True, made["id"])
    assert await do(ada, "GET", path, 404) == ["organization_not_found_or_unauthorized"]


async def test_who_may_not_found_organizations_is_told(world: World, backend: Backend) -> None:
    ada = await world.signed_up()
    user = f"/users/{await ada.user_id()}"
    await backend.ask("PATCH", user, json={"create_organizations_limit": 1})
    await founded(ada)
    assert await do(ada, "POST", "/v1/organizations", 403, name="Two") == ["org_creation_limit_exceeded"]
    await backend.ask("PATCH", user, json={"create_organization_enabled": False})
    assert await do(ada, "POST", "/v1/organizations", 403, name="Two") == ["org_creation_not_allowed"]


@pytest.mark.parametrize(
    ("method", "path", "form"),
    [
        ("PATCH", "", {"name": "Mine"}),
        ("DELETE", "", {}),
        ("DELETE", "/logo", {}),
        ("PATCH", "/memberships/{ada}", {"role": "org:member"}),
        ("DELETE", "/memberships/{ada}", {}),
        ("GET", "/invitations", {}),
        ("POST", "/invitations", {"email_address": "eve@example.com", "role": "org:admin"}),
    ],
)
async def test_a_member_does_what_their_role_allows_and_a_stranger_nothing(
    world: World, backend: Backend, method: str, path: str, form: dict[str, str]
) -> None:
    ada, eve = await world.signed_up(), await world.signed_up("eve@example.com")
    made = await founded(ada)
    bob = await joined(world, backend, made["id"])
    full = f"/v1/organizations/{made['id']}{path}".replace("{ada}", await ada.user_id())
    assert await do(bob, method, full, 403, **form) == ["missing_organization_permission"]
    response = await eve.http.request(method, await as_self(eve, full), data=form)
    assert response.status_code == 404
    assert error_codes(response.json()) == ["organization_not_found_or_unauthorized"]
    nobody = await world.browser().http.request(method, full, data=form)
    assert nobody.status_code == 401


async def test_members_see_one_another_page_by_page(world: World, backend: Backend) -> None:
    ada = await world.signed_up()
    made = await founded(ada)
    bob = await joined(world, backend, made["id"])
    path = f"/v1/organizations/{made['id']}"
    seen = await do(bob, "GET", f"{path}/memberships?paginated=true&limit=1")
    assert (len(seen["data"]), seen["total_count"]) == (1, 2)
    members = await do(bob, "GET", f"{path}/memberships?role=org:member")
    assert [one["public_user_data"]["identifier"] for one in members["data"]] == [BOB]
    admins = await do(bob, "GET", f"{path}/memberships?role=org:admin&role=org:owner")
    assert [one["public_user_data"]["identifier"] for one in admins["data"]] == ["ada@example.com"]
    assert await do(bob, "GET", f"{path}/memberships?limit=0", 422) == ["form_param_value_invalid"]
    roles = await do(bob, "GET", f"{path}/roles")
    assert {role["key"] for role in roles["data"]} == {"org:admin", "org:member"}
    mine = await do(bob, "GET", "/v1/me/organization_memberships?paginated=true")
    assert (mine["total_count"], mine["data"][0]["role"]) == (1, "org:member")
    assert isinstance(await do(bob, "GET", "/v1/me/organization_memberships"), list)


async def test_everybody_leaves_when_they_like_but_the_last_administrator(
    world: World, backend: Backend
) -> None:
    ada = await world.signed_up()
    made = await founded(ada)
    bob = await joined(world, backend, made["id"])
    path = f"/v1/me/organization_memberships/{made['id']}"
    assert (await do(bob, "DELETE", path))["deleted"]
    assert await do(bob, "DELETE", path, 404) == ["resource_not_found"]
    assert await do(ada, "DELETE", path, 400) == ["organization_minimum_permissions_needed"]


async def test_the_last_administrator_cannot_leave_while_the_other_is_demoted(
    world: World, backend: Backend
) -> None:
    ada = await world.signed_up()
    made = await founded(ada)
    bob = await joined(world, backend, made["id"], "org:admin")
    demote = await as_self(ada, f"/v1/organizations/{made['id']}/memberships/{await bob.user_id()}")
    leave = await as_self(ada, f"/v1/me/organization_memberships/{made['id']}")
    answers = await asyncio.gather(
        ada.http.patch(demote, data={"role": "org:member"}), ada.http.delete(leave)
    )
    assert sorted(answer.status_code for answer in answers) in ([200, 400], [200, 404])
    found = await backend.ask(
        "GET", f"/organizations/{made['id']}?include_missing_member_with_elevated_permissions=true"
    )
    assert found["missing_member_with_elevated_permissions"] is False


# -- logos and pictures


async def put_image(browser: Browser, path: str, content: bytes, status: int = 200) -> Any:
    response = await browser.http.put(await as_self(browser, path), files={"file": ("a.png", content)})
    assert response.status_code == status, response.text[:300]
    return response.json()


async def test_a_logo_is_served_from_an_address_of_its_own_bytes(world: World, backend: Backend) -> None:
    ada = await world.signed_up()
    made = await founded(ada)
    path = f"/v1/organizations/{made['id']}/logo"
    shown = (await put_image(ada, path, PNG))["response"]
    assert shown["has_image"]
    served = await world.browser().http.get(shown["image_url"])
    assert (served.content, served.headers["content-type"]) == (PNG, "image/png")
    assert served.headers["x-content-type-options"] == "nosniff"
    again = (await put_image(ada, path, PNG))["response"]
    assert again["image_url"] == shown["image_url"]
    other = (await put_image(ada, path, b"GIF89a" + b"\x00" * 8))["response"]
    assert other["image_url"] != shown["image_url"]
    assert (await world.browser().http.get(shown["image_url"])).status_code == 404
    svg = await put_image(ada, path, b"<svg xmlns='http://www.w3.org/2000/svg'/>", 400)
    assert error_codes(svg) == ["request_body_invalid"]
    assert (await do(ada, "DELETE", path))["has_image"] is False
    assert (await world.browser().http.get(other["image_url"])).status_code == 404


async def test_a_back_end_gives_and_takes_a_logo(world: World, backend: Backend) -> None:
    made = await backend.ask("POST", "/organizations", json={"name": "Acme"})
    path = f"/organizations/{made['id']}/logo"
    shown = await backend.ask("PUT", path, files={"file": ("logo", PNG)})
    assert shown["has_image"]
    assert (await world.browser().http.get(shown["image_url"])).content == PNG
    assert (await backend.ask("DELETE", path))["has_image"] is False
    await backend.refused("PUT", path, 400, "request_body_invalid", files={"file": ("logo", b"<svg/>")})


@pytest.mark.conformance("clerk-frontend", 103)
async def test_an_uploaded_picture_becomes_the_persons(world: World, backend: Backend) -> None:
    ada = await world.signed_up()
    path = await as_self(ada, "/v1/me/profile_image")
    answer = await ada.http.post(path, files={"file": ("me.png", PNG)})
    image = answer.json()["response"]
    assert (answer.status_code, image["object"]) == (200, "image")
    user = (await ada.session())["user"]
    assert (user["has_image"], user["image_url"]) == (True, image["public_url"])
    encoded = await ada.http.post(
        path, content=b"R0lGODlhAAAAAA==", headers={"content-type": "application/octet-stream"}
    )
    assert encoded.status_code == 200, encoded.text
    assert (await do(ada, "DELETE", "/v1/me/profile_image"))["deleted"]
    assert (await ada.session())["user"]["has_image"] is False


# -- invitations


async def invited(ada: Browser, organization_id: str, address: str = BOB, role: str = "org:member") -> Any:
    path = f"/v1/organizations/{organization_id}/invitations"
    return await do(ada, "POST", path, email_address=address, role=role)


async def mailed_ticket(world: World, address: str = BOB) -> str:
    await world.identity.mails.drain()
    texts = [one.mail.text for one in world.inbox.messages if one.mail.to == address]
    (text,) = (text for text in texts if "ticket=" in text)
    return text.split("ticket=")[1].split()[0]


async def test_an_invitation_is_seen_and_accepted_in_ones_own_account(world: World, backend: Backend) -> None:
    ada, bob = await world.signed_up(), await world.signed_up(BOB)
    made = await founded(ada)
    invitation = await invited(ada, made["id"])
    assert (invitation["status"], invitation["role"]) == ("pending", "org:member")
    assert "url" not in invitation
    seen = await do(bob, "GET", "/v1/me/organization_invitations?status=pending")
    (own,) = seen["data"]
    assert (own["id"], own["public_organization_data"]["name"]) == (invitation["id"], "Acme")
    accept = f"/v1/me/organization_invitations/{invitation['id']}/accept"
    assert await do(ada, "POST", accept, 404) == ["resource_not_found"]
    assert (await do(bob, "POST", accept))["status"] == "accepted"
    assert await do(bob, "POST", accept, 400) == ["invitation_already_accepted"]
    assert (await do(bob, "GET", "/v1/me/organization_invitations?status=pending"))["total_count"] == 0
    listed = await do(ada, "GET", f"/v1/organizations/{made['id']}/invitations?status=accepted")
    assert [one["email_address"] for one in listed["data"]] == [BOB]


async def test_an_invitation_accepted_many_times_at_once_brings_one_membership(
    world: World, backend: Backend
) -> None:
    ada, bob = await world.signed_up(), await world.signed_up(BOB)
    made = await founded(ada)
    invitation = await invited(ada, made["id"])
    accept = await as_self(bob, f"/v1/me/organization_invitations/{invitation['id']}/accept")
    answers = await asyncio.gather(*(bob.http.post(accept) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400]
    assert (await do(ada, "GET", f"/v1/organizations/{made['id']}"))["members_count"] == 2


async def test_ten_are_invited_at_once_or_none_and_a_pending_invitation_can_be_revoked(
    world: World, backend: Backend
) -> None:
    ada = await world.signed_up()
    made = await founded(ada)
    path = f"/v1/organizations/{made['id']}/invitations"
    addresses = [f"p{number}@example.com" for number in range(11)]
    assert await do(ada, "POST", f"{path}/bulk", 422, email_address=addresses, role="org:member") == [
        "form_param_array_size_exceeded"
    ]
    many = await do(ada, "POST", f"{path}/bulk", email_address=addresses[:3], role="org:member")
    assert [one["email_address"] for one in many] == addresses[:3]
    assert await do(ada, "POST", path, 400, email_address=addresses[0], role="org:member") == [
        "duplicate_record"
    ]
    revoke = f"{path}/{many[0]['id']}/revoke"
    assert (await do(ada, "POST", revoke))["status"] == "revoked"
    assert await do(ada, "POST", revoke, 404) == ["organization_invitation_not_pending"]


async def test_a_mailed_ticket_signs_its_reader_in_and_joins_once(world: World, backend: Backend) -> None:
    ada = await world.signed_up()
    await world.signed_up(BOB)
    made = await founded(ada)
    await invited(ada, made["id"])
    ticket = await mailed_ticket(world)
    elsewhere = world.browser()
    done = await elsewhere.post("/v1/client/sign_ins", strategy="ticket", ticket=ticket)
    assert done["response"]["status"] == "complete"
    user = (await elsewhere.session())["user"]
    assert [one["organization"]["id"] for one in user["organization_memberships"]] == [made["id"]]
    again = await world.browser().post("/v1/client/sign_ins", 400, strategy="ticket", ticket=ticket)
    assert error_codes(again) == ["invitation_already_accepted"]


async def test_a_mailed_ticket_makes_an_account_that_belongs(world: World, backend: Backend) -> None:
    ada = await world.signed_up()
    made = await founded(ada)
    await invited(ada, made["id"], "new@example.com")
    ticket = await mailed_ticket(world, "new@example.com")
    browser = world.browser()
    done = await browser.post(
        "/v1/client/sign_ups", strategy="ticket", ticket=ticket, password="a quiet harbour at dusk"
    )
    assert done["response"]["status"] == "complete"
    await activate(browser, made["id"])
    assert (await token_of(browser))["o"]["rol"] == "member"


async def test_the_environment_says_what_organizations_there_are(world: World, backend: Backend) -> None:
    change = {"max_allowed_memberships": 9, "admin_delete_enabled": False}
    await backend.ask("PATCH", "/instance/organization_settings", json=change)
    environment = await world.browser().get("/v1/environment")
    settings = environment["organization_settings"]
    assert (settings["enabled"], settings["max_allowed_memberships"]) == (True, 9)
    assert settings["actions"]["admin_delete"] is False
    ada = await world.signed_up()
    made = await founded(ada)
    code = "organization_admin_delete_not_enabled"
    assert await do(ada, "DELETE", f"/v1/organizations/{made['id']}", 403) == [code]
