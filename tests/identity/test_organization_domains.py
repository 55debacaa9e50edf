"""Domains of organizations: claimed, proved, and how people with an address there come in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.identity.conftest import Browser, World
from tests.identity.test_organizations import as_self, do, founded
from tests.identity_backend_api.conftest import Backend, backend_of

pytestmark = pytest.mark.anyio

MODES = ["manual_invitation", "automatic_invitation", "automatic_suggestion"]


@pytest.fixture
async def backend(world: World) -> AsyncIterator[Backend]:
    """A holder of a secret key, of an instance whose organizations have domains."""
    async with backend_of(world) as made:
        settings = {"enabled": True, "domains_enabled": True, "domains_enrollment_modes": MODES}
        await made.ask("PATCH", "/instance/organization_settings", json=settings)
        yield made


async def proved(backend: Backend, organization_id: str, mode: str, name: str = "acme.example") -> str:
    body = {"name": name, "enrollment_mode": mode, "verified": True}
    return str((await backend.ask("POST", f"/organizations/{organization_id}/domains", json=body))["id"])


async def test_a_domain_is_proved_by_a_code_mailed_to_it(world: World, backend: Backend) -> None:
    ada = await world.signed_up()
    path = f"/v1/organizations/{(await founded(ada))['id']}/domains"
    claimed = await do(ada, "POST", path, name="Acme.Example")
    assert (claimed["name"], claimed["enrollment_mode"], claimed["verification"]) == (
        "acme.example",
        "manual_invitation",
        None,
    )
    one = f"{path}/{claimed['id']}"
    prepare, attempt = f"{one}/prepare_affiliation_verification", f"{one}/attempt_affiliation_verification"
    foreign = await do(ada, "POST", prepare, 422, affiliation_email_address="ada@elsewhere.example")
    assert foreign == ["form_param_value_invalid"]
    waiting = await do(ada, "POST", prepare, affiliation_email_address="it@acme.example")
    assert (waiting["verification"]["status"], waiting["affiliation_email_address"]) == (
        "unverified",
        "it@acme.example",
    )
    code = await world.code_for("it@acme.example")
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    assert await do(ada, "POST", attempt, 422, code=wrong) == ["form_code_incorrect"]
    done = await do(ada, "POST", attempt, code=code)
    assert (done["verification"]["status"], done["verification"]["strategy"]) == (
        "verified",
        "affiliation_email_code",
    )
    assert await do(ada, "POST", attempt, 400, code=code) == ["verification_already_verified"]
    assert (await do(ada, "GET", one))["name"] == "acme.example"
    assert (await do(ada, "DELETE", one))["deleted"]
    assert (await do(ada, "GET", path))["total_count"] == 0


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("gmail.com", "organization_domain_common"),
        ("localhost", "form_param_format_invalid"),
        ("acme.example/x", "form_param_format_invalid"),
        ("-acme.example", "form_param_format_invalid"),
        ("192.168.0.1", "form_param_format_invalid"),
    ],
)
async def test_what_is_no_domain_of_ones_own_is_refused(
    world: World, backend: Backend, name: str, code: str
) -> None:
    ada = await world.signed_up()
    path = f"/v1/organizations/{(await founded(ada))['id']}/domains"
    assert await do(ada, "POST", path, 422, name=name) == [code]


async def test_members_without_the_permission_and_instances_without_domains_have_none(
    world: World, backend: Backend
) -> None:
    ada, bob = await world.signed_up(), await world.signed_up("bob@example.com")
    made = await founded(ada)
    body = {"user_id": await bob.user_id(), "role": "org:member"}
    await backend.ask("POST", f"/organizations/{made['id']}/memberships", json=body)
    path = f"/v1/organizations/{made['id']}/domains"
    assert await do(bob, "GET", path, 403) == ["missing_organization_permission"]
    assert await do(bob, "POST", path, 403, name="acme.example") == ["missing_organization_permission"]
    await backend.ask("PATCH", "/instance/organization_settings", json={"domains_enabled": False})
    assert await do(ada, "POST", path, 403, name="acme.example") == ["organization_domains_not_enabled"]


async def test_one_organization_alone_can_have_proved_a_domain(world: World, backend: Backend) -> None:
    first, second = [
        (await backend.ask("POST", "/organizations", json={"name": name}))["id"] for name in ("A", "B")
    ]
    claims = []
    for organization in (first, second):
        path = f"/organizations/{organization}/domains"
        body = {"name": "acme.example", "enrollment_mode": "manual_invitation"}
        claims.append(f"{path}/{(await backend.ask('POST', path, json=body))['id']}")
    answers = await asyncio.gather(
        *(backend.http.patch(f"/api/v1{claim}", json={"verified": True}) for claim in claims)
    )
    assert sorted(answer.status_code for answer in answers) == [200, 422]
    third = (await backend.ask("POST", "/organizations", json={"name": "C"}))["id"]
    await backend.refused(
        "POST",
        f"/organizations/{third}/domains",
        422,
        "organization_domain_already_exists",
        json={"name": "acme.example", "enrollment_mode": "manual_invitation"},
    )


async def test_back_ends_list_change_and_delete_domains(world: World, backend: Backend) -> None:
    made = await backend.ask("POST", "/organizations", json={"name": "Acme"})
    path = f"/organizations/{made['id']}/domains"
    domain_id = await proved(backend, made["id"], "automatic_suggestion")
    await backend.ask("POST", path, json={"name": "b.example", "enrollment_mode": "manual_invitation"})
    assert (await backend.ask("GET", f"{path}?verified=true"))["total_count"] == 1
    (other,) = (await backend.ask("GET", "/organization_domains?enrollment_mode=-automatic_suggestion"))[
        "data"
    ]
    assert (other["name"], other["verification"]) == ("b.example", None)
    by_name = await backend.ask("GET", "/organization_domains?order_by=name&query=example")
    assert [one["name"] for one in by_name["data"]] == ["acme.example", "b.example"]
    one = f"{path}/{domain_id}"
    unproved = await backend.ask("PATCH", one, json={"verified": False})
    assert unproved["verification"] is None
    vouched = await backend.ask("POST", f"{one}/verify_ownership")
    assert vouched["ownership_verification"]["status"] == "verified"
    assert vouched["public_organization_data"]["name"] == "Acme"
    sso = {"enrollment_mode": "enterprise_sso"}
    await backend.refused("PATCH", one, 422, "form_param_value_invalid", json=sso)
    assert (await backend.ask("DELETE", one))["deleted"]
    await backend.refused("DELETE", one, 404, "resource_not_found")


async def suggested(browser: Browser) -> list[dict[str, object]]:
    return list((await do(browser, "GET", "/v1/me/organization_suggestions"))["data"])


async def test_a_colleague_asks_to_join_and_is_let_in(world: World, backend: Backend) -> None:
    ada, bob = await world.signed_up(), await world.signed_up("bob@acme.example")
    made = await founded(ada)
    assert await suggested(bob) == []
    await proved(backend, made["id"], "automatic_suggestion")
    (suggestion,) = await suggested(bob)
    assert (suggestion["status"], suggestion["object"]) == ("pending", "organization_suggestion")
    assert await suggested(ada) == []
    requests = f"/v1/organizations/{made['id']}/membership_requests"
    assert (await do(ada, "GET", requests))["total_count"] == 0
    accept = f"/v1/me/organization_suggestions/{suggestion['id']}/accept"
    assert await do(ada, "POST", accept, 404) == ["resource_not_found"]
    assert (await do(bob, "POST", accept))["status"] == "accepted"
    (request,) = (await do(ada, "GET", requests))["data"]
    assert request["public_user_data"]["identifier"] == "bob@acme.example"
    assert await do(bob, "POST", f"{requests}/{request['id']}/accept", 404) == [
        "organization_not_found_or_unauthorized"
    ]
    answer = await as_self(ada, f"{requests}/{request['id']}/accept")
    answers = await asyncio.gather(*(ada.http.post(answer) for _ in range(3)))
    assert sorted(one.status_code for one in answers) == [200, 404, 404]
    memberships = await do(bob, "GET", "/v1/me/organization_memberships")
    assert [one["role"] for one in memberships] == ["org:member"]
    assert await suggested(bob) == []


async def test_who_was_turned_down_is_not_suggested_again(world: World, backend: Backend) -> None:
    ada, bob = await world.signed_up(), await world.signed_up("bob@acme.example")
    made = await founded(ada)
    await proved(backend, made["id"], "automatic_suggestion")
    (suggestion,) = await suggested(bob)
    await do(bob, "POST", f"/v1/me/organization_suggestions/{suggestion['id']}/accept")
    reject = f"/v1/organizations/{made['id']}/membership_requests/{suggestion['id']}/reject"
    assert (await do(ada, "POST", reject))["status"] == "rejected"
    assert await suggested(bob) == []
    assert await do(bob, "GET", "/v1/me/organization_memberships") == []


async def test_a_domain_invites_its_people_once(world: World, backend: Backend) -> None:
    ada, bob = await world.signed_up(), await world.signed_up("bob@acme.example")
    made = await founded(ada)
    await proved(backend, made["id"], "automatic_invitation")
    path = await as_self(bob, "/v1/me/organization_invitations?status=pending")
    seen = await asyncio.gather(*(bob.http.get(path) for _ in range(3)))
    assert [one.json()["response"]["total_count"] for one in seen] == [1, 1, 1]
    invitation = seen[0].json()["response"]["data"][0]
    assert (await do(ada, "GET", "/v1/me/organization_invitations"))["total_count"] == 0
    await do(bob, "POST", f"/v1/me/organization_invitations/{invitation['id']}/accept")
    await do(ada, "DELETE", f"/v1/organizations/{made['id']}/memberships/{await bob.user_id()}")
    # Removed on purpose: the domain does not bring them back.
    assert (await do(bob, "GET", "/v1/me/organization_invitations?status=pending"))["total_count"] == 0


async def test_an_address_nobody_proved_brings_nothing(world: World, backend: Backend) -> None:
    ada, eve = await world.signed_up(), await world.signed_up("eve@example.com")
    made = await founded(ada)
    await proved(backend, made["id"], "automatic_suggestion")
    await do(eve, "POST", "/v1/me/email_addresses", email_address="eve@acme.example")
    assert await suggested(eve) == []


async def test_domains_are_told_of(world: World, backend: Backend) -> None:
    endpoint = (await world.identity.webhooks.create("https://hooks.example/in", actor=None)).endpoint
    made = await backend.ask("POST", "/organizations", json={"name": "Acme"})
    domain_id = await proved(backend, made["id"], "manual_invitation")
    one = f"/organizations/{made['id']}/domains/{domain_id}"
    await backend.ask("PATCH", one, json={"enrollment_mode": "automatic_suggestion"})
    await backend.ask("DELETE", one)
    rows = await world.database.read(
        lambda tx: tx.fetch_all(
            "SELECT e.kind FROM identity_webhook_events e JOIN identity_webhook_deliveries d"
            " ON d.event_id = e.id WHERE d.endpoint_id = ? AND e.kind LIKE 'organizationDomain.%'",
            (endpoint.id,),
        )
    )
    assert sorted(row[0] for row in rows) == [
        "organizationDomain.created",
        "organizationDomain.deleted",
        "organizationDomain.updated",
    ]
