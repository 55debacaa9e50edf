"""Organizations: members, roles, invitations, and what tokens say of them."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from doorward.identity.errors import Refused
from tests.identity.conftest import ORIGIN, PASSWORD, Browser, claims_of, error_codes
from tests.identity_backend_api.conftest import Backend

pytestmark = pytest.mark.anyio


async def enabled(backend: Backend, **changes: object) -> None:
    await backend.ask("PATCH", "/instance/organization_settings", json={"enabled": True, **changes})


async def organization_of(backend: Backend, creator: Browser | None = None, **fields: Any) -> dict[str, Any]:
    await enabled(backend)
    if creator is not None:
        fields["created_by"] = await creator.user_id()
    made = await backend.ask("POST", "/organizations", json={"name": "Acme", **fields})
    return dict(made)


@pytest.mark.conformance("clerk-backend", 95)
async def test_the_settings_of_organizations_have_every_required_member(backend: Backend) -> None:
    await backend.refused("GET", "/organizations", 403, "organization_not_enabled_in_instance")
    await enabled(backend, max_allowed_memberships=7)
    settings = await backend.ask("GET", "/instance/organization_settings")
    limits = {name: settings.pop(name) for name in list(settings) if name.startswith("max_allowed_")}
    assert limits.pop("max_allowed_memberships") == 7
    assert set(limits) == {"max_allowed_roles", "max_allowed_domains", "max_allowed_permissions"}
    assert all(isinstance(limit, int) for limit in limits.values())
    assert settings == {
        "object": "organization_settings",
        "enabled": True,
        "creator_role": "org:admin",
        "admin_delete_enabled": True,
        "domains_enabled": False,
        "slug_disabled": False,
        "domains_enrollment_modes": [],
        "domains_default_role": "org:member",
    }
    member = await backend.ask("GET", "/organization_roles/org:member")
    await backend.refused(
        "PATCH",
        "/instance/organization_settings",
        422,
        "organization_missing_creator_role_permissions",
        json={"creator_role_id": member["id"]},
    )


@pytest.mark.conformance("clerk-backend", 177, 178, 179)
async def test_a_creator_becomes_administrator_and_the_slug_finds_the_organization(backend: Backend) -> None:
    ada = await backend.world.signed_up()
    made = await organization_of(backend, ada, slug="acme")
    assert "members_count" not in made
    found = await backend.ask("GET", "/organizations/acme?include_members_count=true")
    assert (found["id"], found["members_count"]) == (made["id"], 1)
    listed = await backend.ask("GET", "/organizations?include_members_count=true&order_by=members_count")
    assert [one["members_count"] for one in listed["data"]] == [1]
    memberships = await backend.ask("GET", f"/users/{await ada.user_id()}/organization_memberships")
    (membership,) = memberships["data"]
    assert (membership["role"], membership["organization"]["id"]) == ("org:admin", made["id"])
    assert "org:sys_memberships:manage" in membership["permissions"]
    nobody = {"name": "B", "created_by": "user_x"}
    await backend.refused("POST", "/organizations", 400, "organization_creator_not_found", json=nobody)
    assert (await backend.ask("GET", "/organizations"))["total_count"] == 1


@pytest.mark.conformance("clerk-backend", 177)
async def test_a_creator_gets_the_role_that_the_settings_name(backend: Backend) -> None:
    ada = await backend.world.signed_up()
    await enabled(backend)
    admin = await backend.ask("GET", "/organization_roles/org:admin")
    permissions = [permission["id"] for permission in admin["permissions"]]
    body = {"name": "Founder", "key": "org:founder", "permissions": permissions}
    founder = await backend.ask("POST", "/organization_roles", json=body)
    made = await organization_of(backend, ada)
    await enabled(backend, creator_role_id=founder["id"])
    later = await organization_of(backend, ada)
    roles = {}
    for organization in (made, later):
        page = await backend.ask("GET", f"/organizations/{organization['id']}/memberships")
        roles[organization["id"]] = [one["role"] for one in page["data"]]
    assert roles == {made["id"]: ["org:admin"], later["id"]: ["org:founder"]}


async def test_users_are_found_by_their_organizations(backend: Backend) -> None:
    people = [await backend.world.signed_up(f"{name}@example.com") for name in ("ada", "bob", "cleo", "dan")]
    cleo = await people[2].user_id()
    acme, beta = await organization_of(backend, people[0]), await organization_of(backend, people[1])
    body = {"user_id": cleo, "role": "org:member"}
    for organization in (acme, beta):
        await backend.ask("POST", f"/organizations/{organization['id']}/memberships", json=body)

    async def found(*organization_ids: str, **query: str) -> set[str]:
        asked = [*(("organization_id", each) for each in organization_ids), *query.items()]
        users = await backend.ask("GET", "/users", params=asked)
        count = await backend.ask("GET", "/users/count", params=asked)
        assert count["total_count"] == len(users)
        return {user["email_addresses"][0]["email_address"].partition("@")[0] for user in users}

    first, second = acme["id"], beta["id"]
    assert await found(first) == await found(f"+{first}") == {"ada", "cleo"}
    assert await found(first, second) == {"ada", "bob", "cleo"}
    assert await found(first, f"-{second}") == {"ada"}
    assert await found(f"-{first}") == {"bob", "dan"}
    assert await found(f"-{first}", f"-{second}") == {"dan"}
    assert await found(first, query="cleo@") == {"cleo"}
    assert await found("org_none") == set()
    assert await found(first, "org_none") == {"ada", "cleo"}
    await backend.ask("DELETE", f"/organizations/{first}/memberships/{cleo}")
    assert await found(first) == {"ada"}
    many = [("organization_id", f"org_{number}") for number in range(101)]
    await backend.refused("GET", "/users", 422, "form_param_array_size_exceeded", params=many)


async def test_an_organization_that_comes_from_elsewhere_keeps_the_day_it_was_made(backend: Backend) -> None:
    made = await organization_of(backend, created_at="2020-02-03T04:05:06Z")
    assert made["created_at"] == 1580702706000
    assert made["updated_at"] == backend.world.clock.now
    path = f"/organizations/{made['id']}"
    changed = await backend.ask("PATCH", path, json={"created_at": "2019-02-03T04:05:06+00:00"})
    assert changed["created_at"] == 1549166706000
    assert (await backend.ask("PATCH", path, json={"name": "Acme & Co"}))["created_at"] == 1549166706000
    for method, where in (("POST", "/organizations"), ("PATCH", path)):
        body = {"name": "x", "created_at": "yesterday"}
        error = await backend.refused(method, where, 422, "form_param_invalid_time", json=body)
        assert error["meta"]["param_name"] == "created_at"
        body = {"name": "x", "role_set_key": "role_set:default"}
        await backend.refused(method, where, 403, "feature_not_implemented", json=body)
        await backend.ask(method, where, json={"name": "x", "role_set_key": None})


async def test_a_user_says_nothing_of_memberships_that_nobody_asked_for(backend: Backend) -> None:
    ada = await backend.world.signed_up()
    await organization_of(backend, ada)
    user = await backend.ask("GET", f"/users/{await ada.user_id()}")
    assert "organization_memberships" not in user  # an empty list would say that there are none
    (listed,) = await backend.ask("GET", "/users")
    assert listed == user


@pytest.mark.parametrize("name", ["", " ", "<b>x</b>", "see https://evil.example", "x" * 257])
async def test_a_name_that_would_mislead_in_a_mail_is_refused(backend: Backend, name: str) -> None:
    await enabled(backend)
    error = await backend.refused(
        "POST", "/organizations", 422, "form_param_value_invalid", json={"name": name}
    )
    assert "256 characters" in error["long_message"]


@pytest.mark.conformance("clerk-backend", 180)
async def test_a_role_without_its_prefix_is_refused(backend: Backend) -> None:
    made, ada = await organization_of(backend), await backend.world.signed_up()
    path = f"/organizations/{made['id']}/memberships"
    wish = {"user_id": await ada.user_id(), "role": "admin"}
    await backend.refused("POST", path, 422, "form_resource_not_found", json=wish)
    await backend.ask("POST", path, json={**wish, "role": "org:admin"})
    again = {**wish, "role": "org:member"}
    await backend.refused("POST", path, 400, "already_a_member_in_organization", json=again)


@pytest.mark.conformance("clerk-backend", 181)
async def test_the_last_administrator_neither_leaves_nor_steps_down(backend: Backend) -> None:
    ada = await backend.world.signed_up()
    made = await organization_of(backend, ada)
    path = f"/organizations/{made['id']}/memberships/{await ada.user_id()}"
    code = "organization_minimum_permissions_needed"
    await backend.refused("DELETE", path, 400, code)
    await backend.refused("PATCH", path, 400, code, json={"role": "org:member"})
    (membership,) = (await backend.ask("GET", f"/organizations/{made['id']}/memberships"))["data"]
    assert membership["role"] == "org:admin"


async def test_two_administrators_leaving_at_once_leave_one(backend: Backend) -> None:
    ada, bob = await backend.world.signed_up(), await backend.world.signed_up("bob@example.com")
    made = await organization_of(backend, ada)
    users = [await ada.user_id(), await bob.user_id()]
    path = f"/organizations/{made['id']}/memberships"
    await backend.ask("POST", path, json={"user_id": users[1], "role": "org:admin"})
    service = backend.world.identity.memberships
    outcomes = await asyncio.gather(
        *(service.remove(made["id"], user, actor="sk_x") for user in users), return_exceptions=True
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, Refused)]
    assert [error.errors[0].code for error in refused] == ["organization_minimum_permissions_needed"]
    assert (await backend.ask("GET", path))["total_count"] == 1


async def test_a_slug_claimed_many_times_at_once_is_given_once(backend: Backend) -> None:
    await enabled(backend)
    answers = await asyncio.gather(
        *(backend.http.post("/api/v1/organizations", json={"name": "Acme", "slug": "acme"}) for _ in range(4))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 422, 422, 422]


@pytest.mark.conformance("clerk-backend", 182)
async def test_metadata_merge_at_every_depth(backend: Backend) -> None:
    made = await organization_of(backend, public_metadata={"a": {"x": 1, "y": 2}, "b": 1})
    path = f"/organizations/{made['id']}/metadata"
    merged = await backend.ask("PATCH", path, json={"public_metadata": {"a": {"x": None, "z": 3}}})
    assert merged["public_metadata"] == {"a": {"y": 2, "z": 3}, "b": 1}
    replaced = await backend.ask("PUT", path, json={"private_metadata": {"k": 1}})
    assert (replaced["public_metadata"], replaced["private_metadata"]) == (
        merged["public_metadata"],
        {"k": 1},
    )
    change = {"public_metadata": {"c": 1}}
    one = f"/organizations/{made['id']}"
    await backend.refused("PATCH", one, 422, "form_param_unknown", json=change)
    older = {"clerk-api-version": "2025-11-10"}
    assert (await backend.ask("PATCH", one, json=change, headers=older))["public_metadata"] == {"c": 1}


@pytest.mark.conformance("clerk-backend", 183)
async def test_ten_invitations_at_once_and_no_more(backend: Backend) -> None:
    made = await organization_of(backend)
    path = f"/organizations/{made['id']}/invitations"
    bodies = [{"email_address": f"n{number}@example.com", "role": "org:member"} for number in range(11)]
    await backend.refused("POST", f"{path}/bulk", 422, "form_param_value_invalid", json=bodies)
    assert (await backend.ask("GET", path))["total_count"] == 0
    assert (await backend.ask("POST", f"{path}/bulk", json=bodies[:10]))["total_count"] == 10
    assert (await backend.ask("GET", f"{path}?status=pending&limit=1"))["total_count"] == 10


async def test_an_invitation_brings_its_own_address_in_and_nobody_else(backend: Backend) -> None:
    world, made = backend.world, await organization_of(backend)
    path = f"/organizations/{made['id']}/invitations"
    wish = {"email_address": "bob@example.com", "role": "org:member", "public_metadata": {"desk": 4}}
    first = await backend.ask("POST", path, json=wish)
    await backend.refused("POST", path, 400, "duplicate_record", json=wish)
    eve, bob = await world.signed_up("eve@example.com"), await world.signed_up("bob@example.com")
    link = first["url"].removeprefix(ORIGIN)
    assert (await eve.http.get(link)).status_code == 400
    answers = await asyncio.gather(*(bob.http.get(link) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [303, 400, 400]
    (membership,) = (await backend.ask("GET", f"/organizations/{made['id']}/memberships"))["data"]
    assert membership["public_user_data"]["user_id"] == await bob.user_id()
    assert membership["public_metadata"] == {"desk": 4}
    revoke = f"{path}/{first['id']}/revoke"
    await backend.refused("POST", revoke, 404, "organization_invitation_not_pending")
    other = await backend.ask("POST", "/organizations", json={"name": "Other"})
    await backend.refused(
        "GET", f"/organizations/{other['id']}/invitations/{first['id']}", 404, "resource_not_found"
    )


async def test_an_invitation_tells_who_invites_into_what(backend: Backend) -> None:
    ada = await backend.world.signed_up("ada@example.com", first_name="Ada")
    ada_id = await ada.user_id()
    acme = await organization_of(backend, ada)
    path = f"/organizations/{acme['id']}/invitations"
    await backend.world.identity.webhooks.create("https://hooks.example.com/in", actor=None)
    bodies = [
        {"email_address": "bob@example.com", "role": "org:member", "inviter_user_id": ada_id},
        {"email_address": "cy@example.com", "role": "org:member"},
    ]
    made = [await backend.ask("POST", path, json=body) for body in bodies]
    by = {
        "user_id": ada_id,
        "first_name": "Ada",
        "last_name": None,
        "image_url": (await backend.ask("GET", f"/users/{ada_id}"))["image_url"],
        "has_image": False,
        "identifier": "ada@example.com",
    }
    assert [(one["inviter_id"], one["public_inviter_data"]) for one in made] == [(ada_id, by), (None, None)]
    told = await backend.world.database.read(
        lambda tx: tx.fetch_all("SELECT data FROM identity_webhook_events WHERE kind LIKE '%Invitation.%'")
    )
    heard = {one["id"]: one["public_inviter_data"] for one in (msgspec.json.decode(row[0]) for row in told)}
    assert heard == {made[0]["id"]: by, made[1]["id"]: None}
    known = made[0] | {"url": None}
    assert await backend.ask("GET", f"{path}/{known['id']}") == known
    listed = await backend.ask("GET", path, params={"email_address": "Bob@Example.com"})
    assert listed == {"data": [known], "total_count": 1}
    into = {name: acme[name] for name in ("id", "name", "slug", "image_url", "has_image")}
    everywhere = await backend.ask("GET", "/organization_invitations", params={"query": "bob@"})
    assert everywhere == {"data": [known | {"public_organization_data": into}], "total_count": 1}
    revoked = await backend.ask("POST", f"{path}/{known['id']}/revoke")
    assert (revoked["status"], revoked["public_inviter_data"]) == ("revoked", by)


async def test_a_newcomer_signs_up_into_the_organization(backend: Backend) -> None:
    made = await organization_of(backend)
    wish = {"email_address": "new@example.com", "role": "org:admin"}
    invited = await backend.ask("POST", f"/organizations/{made['id']}/invitations", json=wish)
    await backend.world.browser().post(
        "/v1/client/sign_ups", strategy="ticket", ticket=invited["url"].rpartition("=")[2], password=PASSWORD
    )
    (membership,) = (await backend.ask("GET", "/organization_memberships"))["data"]
    assert membership["role"] == "org:admin"


async def test_a_full_organization_takes_one_of_two_who_come_at_once(backend: Backend) -> None:
    world, made = backend.world, await organization_of(backend, max_allowed_memberships=1)
    browsers = [await world.signed_up("a@example.com"), await world.signed_up("b@example.com")]
    users = [await browser.user_id() for browser in browsers]
    answers = await asyncio.gather(
        *(
            backend.http.post(
                f"/api/v1/organizations/{made['id']}/memberships",
                json={"user_id": user, "role": "org:member"},
            )
            for user in users
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200, 403]


@pytest.mark.conformance("clerk-backend", 168)
async def test_a_token_tells_the_active_organization_until_its_member_is_removed(backend: Backend) -> None:
    ada = await backend.world.signed_up()
    made = await organization_of(backend, ada, slug="acme")
    for key in ("org:invoices:create", "org:invoices:read", "org:reports:read"):
        permission = await backend.ask("POST", "/organization_permissions", json={"name": key, "key": key})
        await backend.ask("POST", f"/organization_roles/org:admin/permissions/{permission['id']}")
    session = await ada.session()
    tokens = f"/v1/client/sessions/{session['id']}/tokens"
    claims = claims_of((await ada.post(tokens, organization_id=made["id"]))["jwt"])
    assert claims["o"] == {
        "id": made["id"],
        "slg": "acme",
        "rol": "admin",
        "per": "create,read",
        "fpm": "3,2",
    }
    assert claims["fea"] == "o:invoices,o:reports"
    assert "o" not in claims_of((await ada.post(tokens))["jwt"])
    bob = await backend.world.signed_up("bob@example.com")
    path = f"/organizations/{made['id']}/memberships"
    await backend.ask("POST", path, json={"user_id": await bob.user_id(), "role": "org:admin"})
    await backend.ask("DELETE", f"{path}/{session['user']['id']}")
    body = await ada.post(tokens, 404, organization_id=made["id"])
    assert error_codes(body) == ["organization_not_found_or_unauthorized"]


async def test_system_permissions_and_roles_in_use_stay(backend: Backend) -> None:
    ada = await backend.world.signed_up()
    made = await organization_of(backend, ada)
    listed = await backend.ask("GET", "/organization_permissions?query=sys_profile&order_by=key")
    system = f"/organization_permissions/{listed['data'][0]['id']}"
    code = "organization_system_permission_not_modifiable"
    await backend.refused("DELETE", system, 403, code)
    await backend.refused("PATCH", system, 403, code, json={"name": "x"})
    admin = await backend.ask("GET", "/organization_roles/org:admin")
    await backend.refused(
        "DELETE", f"/organization_roles/{admin['id']}", 422, "organization_role_default_creator_role"
    )
    await backend.refused(
        "PATCH",
        f"/organization_roles/{admin['id']}",
        422,
        "organization_missing_creator_role_permissions",
        json={"permissions": []},
    )
    member = await backend.ask("GET", "/organization_roles/org:member")
    code = "organization_role_domain_default_role"
    await backend.refused("DELETE", f"/organization_roles/{member['id']}", 422, code)
    editor = await backend.ask("POST", "/organization_roles", json={"name": "Editor", "key": "org:editor"})
    one = f"/organization_roles/{editor['id']}"
    invitations = f"/organizations/{made['id']}/invitations"
    wish = {"email_address": "bob@example.com", "role": "org:editor"}
    invited = await backend.ask("POST", invitations, json=wish)
    code = "organization_role_exists_in_invitations"
    await backend.refused("DELETE", one, 422, code)
    await backend.refused("PATCH", one, 422, code, json={"key": "org:writer"})
    assert (await backend.ask("PATCH", one, json={"name": "Writer"}))["key"] == "org:editor"
    await backend.ask("POST", f"{invitations}/{invited['id']}/revoke")
    assert (await backend.ask("DELETE", f"/organization_roles/{editor['id']}"))["deleted"] is True


async def test_a_deleted_organization_takes_its_members_and_tickets_along(backend: Backend) -> None:
    ada = await backend.world.signed_up()
    made = await organization_of(backend, ada)
    wish = {"email_address": "new@example.com", "role": "org:admin"}
    invited = await backend.ask("POST", f"/organizations/{made['id']}/invitations", json=wish)
    gone = await backend.ask("DELETE", f"/organizations/{made['id']}")
    assert gone == {"object": "organization", "id": made["id"], "slug": made["slug"], "deleted": True}
    assert (await backend.ask("GET", "/organization_memberships"))["total_count"] == 0
    assert (await backend.world.browser(origin=None).http.get(invited["url"])).status_code == 400
    await backend.refused("GET", f"/organizations/{made['id']}", 404, "resource_not_found")


async def test_every_change_is_told_to_webhooks(backend: Backend) -> None:
    world = backend.world
    await world.identity.webhooks.create("https://hooks.example.org/in", actor=None)
    ada, bob = await world.signed_up(), await world.signed_up("bob@example.com")
    made = await organization_of(backend, ada)
    one = f"/organizations/{made['id']}"
    wish = {"email_address": "bob@example.com", "role": "org:member"}
    invited = await backend.ask("POST", f"{one}/invitations", json=wish)
    await bob.http.get(invited["url"])
    await backend.ask("PATCH", f"{one}/memberships/{await bob.user_id()}", json={"role": "org:admin"})
    await backend.ask("DELETE", f"{one}/memberships/{await bob.user_id()}")
    again = await backend.ask("POST", f"{one}/invitations", json=wish)
    await backend.ask("POST", f"{one}/invitations/{again['id']}/revoke")
    await backend.ask("PATCH", one, json={"name": "Acme & Sons"})
    await backend.ask("DELETE", one)
    rows = await world.database.read(
        lambda tx: tx.fetch_all("SELECT kind, data FROM identity_webhook_events WHERE kind LIKE 'org%'")
    )
    assert sorted(kind for kind, _ in rows) == sorted(
        [f"organization.{what}" for what in ("created", "updated", "deleted")]
        + [f"organizationMembership.{what}" for what in ("created", "created", "updated", "deleted")]
        + [f"organizationInvitation.{what}" for what in ("created", "created", "accepted", "revoked")]
    )
    assert invited["url"].rpartition("=")[2] not in repr(rows)


async def test_members_are_found_and_ordered_by_who_they_are(backend: Backend) -> None:
    await enabled(backend)
    people = [
        {
            "email_address": ["cy@b.example"],
            "first_name": "Cy",
            "last_name": "Byron",
            "username": "first_one",
            "phone_number": ["+15550200001"],
        },
        {"email_address": ["ada@c.example"], "first_name": "Ada", "phone_number": ["+15550100009"]},
        {
            "email_address": ["bea@a.example"],
            "first_name": "Bea",
            "last_name": "Adams",
            "username": "second",
            "phone_number": ["+15550200002"],
        },
    ]
    ids = [(await backend.ask("POST", "/users", json=person))["id"] for person in people]
    names = dict(zip(ids, ("cy", "ada", "bea"), strict=True))
    acme = await backend.ask("POST", "/organizations", json={"name": "Acme", "created_by": ids[0]})
    path = f"/organizations/{acme['id']}/memberships"
    for user_id in ids[1:]:
        backend.world.clock.advance(1)
        await backend.ask("POST", path, json={"user_id": user_id, "role": "org:member"})
    stranger = await backend.ask("POST", "/users", json={"email_address": ["ada@d.example"]})
    await backend.ask("POST", "/organizations", json={"name": "Other", "created_by": stranger["id"]})

    async def found(**query: Any) -> str:
        page = await backend.ask("GET", path, params=query)
        assert page["total_count"] == len(page["data"])
        return " ".join(names[one["public_user_data"]["user_id"]] for one in page["data"])

    for order, expected in {
        "created_at": "cy ada bea",
        "-created_at": "bea ada cy",
        "first_name": "ada bea cy",
        "+last_name": "ada bea cy",
        "username": "ada cy bea",
        "email_address": "ada bea cy",
        "-phone_number": "bea cy ada",
    }.items():
        assert await found(order_by=order) == expected, order
    for query, expected in (
        ({"query": "BYRON"}, "cy"),
        ({"query": "example"}, "bea ada cy"),
        ({"email_address": "Ada@C.example"}, "ada"),
        ({"phone_number": "+15550100009"}, "ada"),
        ({"username": ["second", "First_One"]}, "bea cy"),
        ({"email_address_query": "@A.ex"}, "bea"),
        ({"phone_number_query": "0100"}, "ada"),
        ({"username_query": "t_o"}, "cy"),
        ({"name_query": "bea ad"}, "bea"),
        ({"web3_wallet": "0x1"}, ""),
        ({"created_at_before": 1}, ""),
        ({"created_at_after": 1}, "bea ada cy"),
        ({"last_active_at_after": 1}, ""),
        ({"query": "%"}, ""),
    ):
        assert await found(**query) == expected, query
    await backend.refused("GET", path, 422, "form_param_value_invalid", params={"order_by": "password_hash"})


async def test_a_users_invitations_are_those_to_addresses_they_have_proved(backend: Backend) -> None:
    await enabled(backend)
    body = {"email_address": ["ada@example.com"]}
    ada = await backend.ask("POST", "/users", json=body)
    unproved = {"user_id": ada["id"], "email_address": "later@example.com"}
    await backend.ask("POST", "/email_addresses", json=unproved)
    acme = await backend.ask("POST", "/organizations", json={"name": "Acme"})
    made = {}
    for address in ("ada@example.com", "later@example.com", "bob@example.com"):
        wish = {"email_address": address, "role": "org:member"}
        made[address] = await backend.ask("POST", f"/organizations/{acme['id']}/invitations", json=wish)
    path = f"/users/{ada['id']}/organization_invitations"
    page = await backend.ask("GET", path)
    (own,) = page["data"]
    assert (page["total_count"], own["id"]) == (1, made["ada@example.com"]["id"])
    assert (own["url"], own["public_organization_data"]["name"]) == (None, "Acme")
    assert (await backend.ask("GET", path, params={"status": "accepted"}))["data"] == []
    await backend.refused("GET", path, 422, "form_param_value_invalid", params={"status": "odd"})
    await backend.refused("GET", "/users/user_none/organization_invitations", 404, "resource_not_found")
