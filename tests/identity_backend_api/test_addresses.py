"""E-mail addresses and phone numbers, as a back end adds, proves and removes them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.identity_backend_api.conftest import Backend

pytestmark = pytest.mark.anyio

ADA, SECOND = "ada@example.com", "second@example.com"


async def user(backend: Backend) -> dict[str, Any]:
    return dict(await backend.ask("POST", "/users", json={"email_address": [ADA]}))


async def test_an_address_is_added_made_primary_and_told_apart(backend: Backend) -> None:
    owner = await user(backend)
    body = {"user_id": owner["id"], "email_address": "Second@example.com"}
    email = await backend.ask("POST", "/email_addresses", json=body)
    assert (email["email_address"], email["verification"]) == (SECOND, None)
    path = f"/email_addresses/{email['id']}"
    await backend.refused("PATCH", path, 422, "form_verification_needed", json={"primary": True})
    changed = await backend.ask("PATCH", path, json={"verified": True, "primary": True})
    assert changed["verification"]["object"] == "verification_admin"
    assert await backend.ask("GET", path) == changed
    shown = await backend.ask("GET", f"/users/{owner['id']}")
    assert shown["primary_email_address_id"] == email["id"]
    for again in (SECOND, ADA):
        error = await backend.refused(
            "POST", "/email_addresses", 422, "form_identifier_exists", json={**body, "email_address": again}
        )
        assert error["meta"]["param_name"] == "email_address"
    body = {"user_id": "user_none", "email_address": "x@example.com"}
    await backend.refused("POST", "/email_addresses", 404, "resource_not_found", json=body)


@pytest.mark.conformance("clerk-backend", 190)
async def test_the_last_address_stays(backend: Backend) -> None:
    owner = await user(backend)
    first = owner["primary_email_address_id"]
    await backend.refused("DELETE", f"/email_addresses/{first}", 400, "identification_deletion_failed")
    body = {"user_id": owner["id"], "email_address": SECOND, "verified": True}
    second = await backend.ask("POST", "/email_addresses", json=body)
    gone = await backend.ask("DELETE", f"/email_addresses/{first}")
    assert gone == {"object": "email_address", "id": first, "deleted": True}
    assert (await backend.ask("GET", f"/users/{owner['id']}"))["primary_email_address_id"] == second["id"]
    await backend.refused("GET", f"/email_addresses/{first}", 404, "resource_not_found")


@pytest.mark.conformance("clerk-backend", 191)
async def test_a_code_proves_an_address_and_a_wrong_one_counts(backend: Backend) -> None:
    body = {"user_id": (await user(backend))["id"], "email_address": SECOND}
    path = f"/email_addresses/{(await backend.ask('POST', '/email_addresses', json=body))['id']}"
    prepared = await backend.ask("POST", f"{path}/prepare_verification")
    assert (prepared["status"], prepared["strategy"], prepared["attempts"]) == ("unverified", "email_code", 0)
    code = await backend.world.code_for(SECOND)
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    guess = {"verification_id": prepared["id"], "code": wrong}
    tried = await backend.ask("POST", f"{path}/attempt_verification", json=guess)
    assert (tried["status"], tried["attempts"]) == ("unverified", 1)
    foreign = {"verification_id": "ver_other", "code": code}
    await backend.refused("POST", f"{path}/attempt_verification", 404, "resource_not_found", json=foreign)
    done = await backend.ask("POST", f"{path}/attempt_verification", json={**guess, "code": code})
    assert done["status"] == "verified"
    for step in ("prepare", "attempt"):
        await backend.refused(
            "POST", f"{path}/{step}_verification", 400, "verification_already_verified", json=guess
        )


@pytest.mark.parametrize("way", ["add", "change", "replace", "update"])
@pytest.mark.parametrize("is_told", [True, False])
async def test_the_former_main_address_hears_of_the_new_one_where_that_is_asked_for(
    backend: Backend, way: str, is_told: bool
) -> None:
    owner = await user(backend)
    former = owner["email_addresses"][0]["email_address"]
    told = {"notify_primary_email_address_changed": is_told}
    second = {"user_id": owner["id"], "email_address": SECOND, "verified": True}
    if way == "add":
        await backend.ask("POST", "/email_addresses", json={**second, "primary": True, **told})
    elif way == "replace":
        body = {"email_address": SECOND, **told}
        await backend.ask("PUT", f"/users/{owner['id']}/email_address", json=body)
    else:
        added = (await backend.ask("POST", "/email_addresses", json={**second, **told}))["id"]
        assert await backend.world.kinds_mailed_to(former) == []
        if way == "change":
            await backend.ask("PATCH", f"/email_addresses/{added}", json={"primary": True, **told})
        else:
            body = {"primary_email_address_id": added, **told}
            await backend.ask("PATCH", f"/users/{owner['id']}", json=body)
    assert await backend.world.kinds_mailed_to(former) == ["email_changed"] * is_told
    assert await backend.world.kinds_mailed_to(SECOND) == []


async def test_of_two_changes_at_once_the_second_tells_whom_the_first_made_the_main_address(
    backend: Backend,
) -> None:
    owner = await user(backend)
    former = owner["email_addresses"][0]["email_address"]
    texts = ["one@example.com", "two@example.com"]
    bodies = [{"user_id": owner["id"], "email_address": text, "verified": True} for text in texts]
    added = [(await backend.ask("POST", "/email_addresses", json=body))["id"] for body in bodies]
    told = {"primary": True, "notify_primary_email_address_changed": True}
    await asyncio.gather(
        *(backend.ask("PATCH", f"/email_addresses/{email_id}", json=told) for email_id in added)
    )
    mailed = [await backend.world.kinds_mailed_to(address) for address in (former, *texts)]
    assert mailed[0] == ["email_changed"]
    assert sorted(mailed[1:]) == [[], ["email_changed"]]


async def test_a_phone_number_is_the_back_ends_word(backend: Backend) -> None:
    owner = await user(backend)
    body = {"user_id": owner["id"], "phone_number": "+1 (555) 010-0001", "verified": True, "primary": True}
    phone = await backend.ask("POST", "/phone_numbers", json=body)
    assert (phone["phone_number"], phone["verification"]["strategy"]) == ("+15550100001", "admin")
    path = f"/phone_numbers/{phone['id']}"
    assert await backend.ask("GET", path) == phone
    taken = await backend.refused("POST", "/phone_numbers", 422, "form_identifier_exists", json=body)
    assert taken["message"] == "That phone number is taken. Please try another."
    assert [each["id"] for each in await backend.ask("GET", "/users", params={"query": "5550100"})] == [
        owner["id"]
    ]
    changed = await backend.ask("PATCH", path, json={"reserved_for_second_factor": True})
    assert changed["reserved_for_second_factor"]
    await backend.refused("POST", f"{path}/prepare_verification", 403, "feature_not_implemented")
    assert (await backend.ask("DELETE", path))["deleted"]
    assert (await backend.ask("GET", f"/users/{owner['id']}"))["primary_phone_number_id"] is None
    assert await backend.ask("GET", "/users", params={"query": "5550100"}) == []


async def test_one_address_takes_the_place_of_all(backend: Backend) -> None:
    owner, path = await user(backend), "/users/{}/email_address"
    await backend.ask("POST", "/email_addresses", json={"user_id": owner["id"], "email_address": SECOND})
    mine = path.format(owner["id"])
    for body, status in (({"email_address": "Third@example.com"}, "verified"), ({"email_address": ADA, "identification_status": "reserved"}, None)):  # fmt: skip
        email = await backend.ask("PUT", mine, json=body)
        assert email["email_address"] == body["email_address"].lower()
        assert (email["verification"] or {}).get("status") == status
        shown = await backend.ask("GET", f"/users/{owner['id']}")
        assert [each["id"] for each in shown["email_addresses"]] == [email["id"]]
        assert shown["primary_email_address_id"] == email["id"]
    other = await backend.ask("POST", "/users", json={"email_address": ["bob@example.com"]})
    for status in ("verified", "reserved"):
        body = {"email_address": ADA, "identification_status": status}
        await backend.refused("PUT", path.format(other["id"]), 422, "form_identifier_exists", json=body)
    unproved = {"email_address": SECOND, "identification_status": "unverified"}
    await backend.refused("PUT", mine, 422, "form_verification_needed", json=unproved)
    await backend.refused("PUT", mine, 422, "form_param_format_invalid", json={"email_address": "ada"})
    await backend.refused("PUT", path.format("user_none"), 404, "resource_not_found", json={"email_address": ADA})  # fmt: skip
    assert await backend.ask("GET", f"/users/{owner['id']}") == shown


async def test_one_number_takes_the_place_of_all(backend: Backend) -> None:
    owner, numbers = await user(backend), ("+15550100001", "+15550100002")
    path = f"/users/{owner['id']}/phone_number"
    for number in (*numbers, numbers[1]):
        phone = await backend.ask("PUT", path, json={"phone_number": number})
        shown = await backend.ask("GET", f"/users/{owner['id']}")
        assert [each["phone_number"] for each in shown["phone_numbers"]] == [number]
        assert shown["primary_phone_number_id"] == phone["id"]
    body = {"phone_number": numbers[0], "identification_status": "unverified"}
    assert (await backend.ask("PUT", path, json=body))["verification"] is None
    assert (await backend.ask("GET", f"/users/{owner['id']}"))["primary_phone_number_id"] is None
    other = {"email_address": ["bob@example.com"], "phone_number": [numbers[1]]}
    await backend.ask("POST", "/users", json=other)
    await backend.refused("PUT", path, 422, "form_identifier_exists", json={"phone_number": numbers[1]})
