"""Users, as a back end makes, finds, changes and ends them."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests.identity.conftest import PASSWORD
from tests.identity_backend_api.conftest import Backend

pytestmark = pytest.mark.anyio

ADA = "ada@example.com"
PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 40
#: Clerk's Python SDK refuses a user without any of these.
REQUIRED = {
    "id",
    "object",
    "external_id",
    "primary_email_address_id",
    "primary_phone_number_id",
    "primary_web3_wallet_id",
    "username",
    "first_name",
    "last_name",
    "has_image",
    "public_metadata",
    "email_addresses",
    "phone_numbers",
    "web3_wallets",
    "passkeys",
    "password_enabled",
    "two_factor_enabled",
    "totp_enabled",
    "backup_code_enabled",
    "mfa_enabled_at",
    "mfa_disabled_at",
    "external_accounts",
    "saml_accounts",
    "enterprise_accounts",
    "last_sign_in_at",
    "banned",
    "locked",
    "lockout_expires_in_seconds",
    "verification_attempts_remaining",
    "updated_at",
    "created_at",
    "delete_self_enabled",
    "create_organization_enabled",
    "last_active_at",
    "legal_accepted_at",
}


async def create(backend: Backend, email: str = ADA, **members: Any) -> dict[str, Any]:
    made = await backend.ask("POST", "/users", json={"email_address": [email], **members})
    return dict(made)


async def listed(backend: Backend, **query: Any) -> list[str]:
    """The addresses of a list, in its order."""
    found = await backend.ask("GET", "/users", params=query)
    return [user["email_addresses"][0]["email_address"] for user in found]


@pytest.mark.conformance("clerk-backend", 32)
async def test_an_empty_instance_has_no_users(backend: Backend) -> None:
    assert await backend.ask("GET", "/users") == []
    assert await backend.ask("GET", "/users/count") == {"object": "total_count", "total_count": 0}


@pytest.mark.conformance("clerk-backend-traps", 7)
@pytest.mark.conformance("clerk-backend", 33, 34)
async def test_a_user_made_here_has_a_verified_address_and_can_sign_in(backend: Backend) -> None:
    from clerk_backend_api.models import User

    user = await create(
        backend,
        password=PASSWORD,
        first_name="Ada",
        username="Countess",
        external_id="x-1",
        phone_number=["+44 20 7946 0000"],
        legal_accepted_at="2026-01-02T03:04:05Z",
        created_at="2025-01-01T00:00:00+00:00",
        private_metadata={"plan": "gold"},
    )
    assert set(user) >= REQUIRED
    assert User.model_validate(user).id == user["id"]
    (email,) = user["email_addresses"]
    assert email["verification"] == {
        "object": "verification_admin",
        "status": "verified",
        "strategy": "admin",
        "attempts": None,
        "expire_at": None,
    }
    assert user["primary_email_address_id"] == email["id"]
    assert (user["username"], user["external_id"], user["private_metadata"]) == (
        "countess",
        "x-1",
        {"plan": "gold"},
    )
    assert user["phone_numbers"][0]["phone_number"] == "+442079460000"
    assert user["primary_phone_number_id"] == user["phone_numbers"][0]["id"]
    assert (user["created_at"], user["legal_accepted_at"]) == (1735689600000, 1767323045000)
    assert await backend.ask("GET", f"/users/{user['id']}") == user

    browser = backend.world.browser()
    await browser.sign_in(ADA)
    seen = (await browser.session())["user"]
    assert seen["id"] == user["id"]
    assert "private_metadata" not in seen


@pytest.mark.conformance("clerk-backend-traps", 8)
async def test_every_proof_of_an_address_is_one_that_the_python_sdk_reads(backend: Backend) -> None:
    """It chooses a type by `verification.object` and knows the statuses of each."""
    from clerk_backend_api.models import EmailAddress, User

    await backend.world.signed_up("code@example.com")
    await create(backend, "admin@example.com", phone_number=["+442079460000"])
    await create(backend, "reserved@example.com", email_address_identification_status=["reserved"])
    for guesses, status in ((0, "unverified"), (5, "failed")):
        owner = await create(backend, f"{status}@example.com")
        body = {"user_id": owner["id"], "email_address": f"second.{status}@example.com"}
        path = f"/email_addresses/{(await backend.ask('POST', '/email_addresses', json=body))['id']}"
        sent = await backend.ask("POST", f"{path}/prepare_verification")
        for _ in range(guesses):
            guess = {"verification_id": sent["id"], "code": "wrong"}
            await backend.ask("POST", f"{path}/attempt_verification", json=guess)
        shown = await backend.ask("GET", path)
        EmailAddress.model_validate(shown)
        assert (shown["verification"]["object"], shown["verification"]["status"]) == (
            "verification_otp",
            status,
        )
    invited = await backend.ask("POST", "/invitations", json={"email_address": "ticket@example.com"})
    ticket = httpx.URL((await backend.http.get(invited["url"])).headers["location"]).params["__clerk_ticket"]
    await backend.world.browser().post(
        "/v1/client/sign_ups", strategy="ticket", ticket=ticket, password=PASSWORD
    )

    seen = {}
    for user in await backend.ask("GET", "/users?limit=100"):
        User.model_validate(user)
        primary = user["primary_email_address_id"]
        (first,) = [address for address in user["email_addresses"] if address["id"] == primary]
        proof = first["verification"]
        seen[first["email_address"]] = proof and (proof["object"], proof["status"], proof["strategy"])
    assert seen == {
        "code@example.com": ("verification_otp", "verified", "email_code"),
        "admin@example.com": ("verification_admin", "verified", "admin"),
        "reserved@example.com": None,
        "ticket@example.com": ("verification_ticket", "verified", "ticket"),
        "unverified@example.com": ("verification_admin", "verified", "admin"),
        "failed@example.com": ("verification_admin", "verified", "admin"),
    }


@pytest.mark.conformance("clerk-backend", 35)
@pytest.mark.parametrize(
    ("param", "members"),
    [
        ("email_address", {"email_address": ["Ada@Example.com"]}),
        ("phone_number", {"phone_number": ["+442079460000"]}),
        ("username", {"username": "COUNTESS"}),
        ("external_id", {"external_id": "x-1"}),
    ],
)
async def test_an_identifier_belongs_to_one_user(
    backend: Backend, param: str, members: dict[str, Any]
) -> None:
    await create(backend, phone_number=["+442079460000"], username="countess", external_id="x-1")
    body = {"email_address": ["other@example.com"], **members}
    error = await backend.refused("POST", "/users", 422, "form_identifier_exists", json=body)
    assert error["meta"]["param_name"] == param
    assert (await backend.ask("GET", "/users/count"))["total_count"] == 1


async def test_of_two_users_made_at_once_with_one_address_one_is(backend: Backend) -> None:
    bodies = [backend.http.post("/api/v1/users", json={"email_address": [ADA]}) for _ in range(4)]
    statuses = sorted(response.status_code for response in await asyncio.gather(*bodies))
    assert statuses == [200, 422, 422, 422]


@pytest.mark.conformance("clerk-backend", 36, 37, 40)
@pytest.mark.parametrize(
    ("members", "code", "param"),
    [
        ({"password": "short"}, "form_password_length_too_short", "password"),
        ({"password": "kW7#pL2"}, "form_password_length_too_short", "password"),
        ({"password": "password1"}, "form_password_not_strong_enough", "password"),
        (
            {"email_address_identification_status": []},
            "form_param_array_length_mismatch",
            "email_address_identification_status",
        ),
        ({"email_address": []}, "form_data_missing", None),
        ({"email_address": ["nobody"]}, "form_param_format_invalid", "email_address"),
        ({"phone_number": ["12"]}, "form_param_format_invalid", "phone_number"),
        ({"username": "a"}, "form_username_invalid_length", "username"),
        ({"username": "a b c"}, "form_username_invalid_character", "username"),
        ({"username": "12345"}, "form_username_needs_non_number_char", "username"),
        ({"created_at": "yesterday"}, "form_param_invalid_time", "created_at"),
        ({"locale": "not a locale"}, "form_param_format_invalid", "locale"),
        ({"public_metadata": {"x": "y" * 9000}}, "form_param_exceeds_allowed_size", "public_metadata"),
        ({"password_digest": "x"}, "form_conditional_param_missing", "password_hasher"),
        ({"colour": "red"}, "form_param_unknown", "colour"),
    ],
)
async def test_a_user_that_cannot_be_is_not_made(
    backend: Backend, members: dict[str, Any], code: str, param: str | None
) -> None:
    error = await backend.refused("POST", "/users", 422, code, json={"email_address": [ADA], **members})
    assert error["meta"].get("param_name") == param
    assert (await backend.ask("GET", "/users/count"))["total_count"] == 0
    if code.startswith("form_password"):
        await create(backend, **members, skip_password_checks=True)
        await create(backend, "grace@example.com", password="kW7#pL2v")  # eight characters


@pytest.mark.conformance("clerk-backend", 41)
async def test_a_reserved_address_is_kept_for_its_user(backend: Backend) -> None:
    user = await create(backend, email_address_identification_status=["reserved"])
    assert user["email_addresses"][0]["reserved"]
    assert user["email_addresses"][0]["verification"] is None
    await backend.refused("POST", "/users", 422, "form_identifier_exists", json={"email_address": [ADA]})


@pytest.mark.conformance("clerk-backend", 42)
async def test_a_user_can_come_banned_or_locked(backend: Backend) -> None:
    user = await create(backend, banned=True, locked=True, password=PASSWORD)
    assert (user["banned"], user["locked"]) == (True, True)
    refused = await backend.world.browser().post(
        "/v1/client/sign_ins", 403, identifier=ADA, password=PASSWORD
    )
    assert refused["errors"][0]["code"] == "user_banned"


async def test_a_second_factor_nobody_would_ask_for_is_not_taken(backend: Backend) -> None:
    body = {"email_address": [ADA], "totp_secret": "JBSWY3DPEHPK3PXP"}
    await backend.refused("POST", "/users", 403, "feature_not_implemented", json=body)


@pytest.mark.conformance("clerk-backend", 45, 46)
async def test_metadata_in_an_update_depend_on_the_version(backend: Backend) -> None:
    user = await create(backend, public_metadata={"a": 1})
    path, body = f"/users/{user['id']}", {"public_metadata": {"b": 2}}
    error = await backend.refused("PATCH", path, 422, "form_param_unknown", json=body)
    assert error["meta"]["param_name"] == "public_metadata"
    changed = await backend.ask("PATCH", path, json=body, headers={"clerk-api-version": "2025-11-10"})
    assert changed["public_metadata"] == {"b": 2}


@pytest.mark.conformance("clerk-backend-traps", 12)
@pytest.mark.conformance("clerk-backend", 47, 48, 49)
async def test_metadata_are_merged_or_replaced_and_their_keys_kept(backend: Backend) -> None:
    user = await create(
        backend,
        public_metadata={
            "a": {"b": 1, "c": 2},
            "list": [1, 2],
            "camelCase": {"snake_case": None, "innerKey": 1},
        },
        private_metadata={"p": 1},
    )
    path = f"/users/{user['id']}/metadata"
    merged = await backend.ask(
        "PATCH",
        path,
        json={"public_metadata": {"a": {"b": None}, "list": [3], "camelCase": {"newKey": {"x": 1}}}},
    )
    assert merged["public_metadata"] == {
        "a": {"c": 2},
        "list": [3],
        "camelCase": {"snake_case": None, "innerKey": 1, "newKey": {"x": 1}},
    }
    assert merged["private_metadata"] == {"p": 1}
    replaced = await backend.ask("PUT", path, json={"public_metadata": {}})
    assert (replaced["public_metadata"], replaced["private_metadata"]) == ({}, {"p": 1})
    await backend.refused("PATCH", "/users/user_none/metadata", 404, "resource_not_found", json={})


@pytest.mark.conformance("clerk-backend", 50)
async def test_names_and_metadata_are_changed_by_the_two_requests_that_javascript_makes(
    backend: Backend,
) -> None:
    """That it makes them is seen in `tests/sdk_clients/javascript_people.py`."""
    path = f"/users/{(await create(backend, unsafe_metadata={'old': 1}))['id']}"
    named = await backend.ask("PATCH", path, json={"last_name": "King"})
    assert (named["last_name"], named["unsafe_metadata"]) == ("King", {"old": 1})
    both = await backend.ask("PUT", f"{path}/metadata", json={"unsafe_metadata": {"x": None}})
    assert (both["last_name"], both["unsafe_metadata"]) == ("King", {"x": None})


async def test_metadata_merged_at_once_all_arrive(backend: Backend) -> None:
    path = f"/users/{(await create(backend))['id']}/metadata"
    await asyncio.gather(
        *(backend.ask("PATCH", path, json={"private_metadata": {f"k{n}": n}}) for n in range(6))
    )
    user = await backend.ask("GET", path.removesuffix("/metadata"))
    assert user["private_metadata"] == {f"k{n}": n for n in range(6)}


@pytest.mark.conformance("clerk-backend", 51, 52, 53)
async def test_an_update_changes_what_is_given_alone(backend: Backend) -> None:
    user = await create(backend, username="countess", first_name="Ada", last_name="Lovelace")
    path = f"/users/{user['id']}"
    changed = await backend.ask("PATCH", path, json={"username": "", "first_name": "Augusta"})
    assert (changed["username"], changed["first_name"], changed["last_name"]) == (None, "Augusta", "Lovelace")
    other = await create(backend, "grace@example.com", email_address_identification_status=["reserved"])
    foreign = {"primary_email_address_id": other["primary_email_address_id"]}
    await backend.refused("PATCH", path, 422, "form_param_value_invalid", json=foreign)
    await backend.refused("PATCH", f"/users/{other['id']}", 422, "form_verification_needed", json=foreign)
    for name in ("sign_out_of_other_sessions", "skip_password_checks"):
        alone = {name: True, "first_name": "Nobody"}
        error = await backend.refused("PATCH", path, 422, "form_conditional_param_disallowed", json=alone)
        assert error["meta"]["param_name"] == name
        await backend.ask("PATCH", path, json={name: False})
    assert (await backend.ask("GET", path))["first_name"] == "Augusta"
    await backend.refused("PATCH", "/users/user_none", 404, "resource_not_found", json={})


async def test_a_locale_is_a_language_tag_or_none(backend: Backend) -> None:
    path = f"/users/{(await create(backend, locale='zh-Hant-TW'))['id']}"
    assert (await backend.ask("GET", path))["locale"] == "zh-Hant-TW"
    for locale, stored in (("en", "en"), ("de-AT", "de-AT"), ("", None), ("en", "en"), (None, None)):
        assert (await backend.ask("PATCH", path, json={"locale": locale}))["locale"] == stored
    for wrong in ("e", "en_US", "en-", "-en", "en--US", "42"):
        error = await backend.refused("PATCH", path, 422, "form_param_format_invalid", json={"locale": wrong})
        assert error["meta"]["param_name"] == "locale"


@pytest.mark.conformance("clerk-backend", 54)
async def test_a_ban_ends_sessions_and_an_unban_brings_none_back(backend: Backend) -> None:
    browser = await backend.world.signed_up(ADA)
    user_id = await browser.user_id()
    banned = await backend.ask("POST", f"/users/{user_id}/ban")
    assert banned["banned"] is True
    (session,) = await backend.ask("GET", "/sessions", params={"user_id": user_id})
    assert session["status"] == "revoked"
    assert (await browser.get("/v1/client"))["response"]["sessions"] == []
    refused = await browser.post("/v1/client/sign_ins", 403, identifier=ADA, password=PASSWORD)
    assert refused["errors"][0]["code"] == "user_banned"
    assert not (await backend.ask("POST", f"/users/{user_id}/unban"))["banned"]
    await browser.sign_in(ADA)


@pytest.mark.conformance("clerk-backend", 55)
async def test_several_users_are_banned_together_or_not_at_all(backend: Backend) -> None:
    ids = [(await create(backend, f"u{n}@example.com"))["id"] for n in range(2)]
    banned = await backend.ask("POST", "/users/ban", json={"user_ids": ids})
    assert [user["banned"] for user in banned] == [True, True]
    freed = await backend.ask("POST", "/users/unban", json={"user_ids": ids})
    assert [user["banned"] for user in freed] == [False, False]
    body = {"user_ids": [*ids, "user_none"]}
    await backend.refused("POST", "/users/ban", 404, "resource_not_found", json=body)
    assert not (await backend.ask("GET", f"/users/{ids[0]}"))["banned"]
    await backend.refused("POST", "/users/ban", 404, "resource_not_found", json={"user_ids": ["user_x"] * 50})
    for wrong in ([], ["user_x"] * 51):
        await backend.refused("POST", "/users/ban", 422, "form_param_value_invalid", json={"user_ids": wrong})


@pytest.mark.conformance("clerk-backend", 56)
async def test_a_lock_holds_for_a_while_and_an_unlock_ends_it(backend: Backend) -> None:
    user = await create(backend, password=PASSWORD)
    locked = await backend.ask("POST", f"/users/{user['id']}/lock")
    assert (locked["locked"], locked["lockout_expires_in_seconds"]) == (True, 3600)
    await backend.world.browser().post("/v1/client/sign_ins", 403, identifier=ADA, password=PASSWORD)
    unlocked = await backend.ask("POST", f"/users/{user['id']}/unlock")
    assert (unlocked["locked"], unlocked["lockout_expires_in_seconds"]) == (False, None)
    await backend.world.browser().sign_in(ADA)


@pytest.mark.conformance("clerk-backend", 16, 17, 20, 57, 58)
async def test_users_are_found(backend: Backend) -> None:
    for number, (email, members) in enumerate(
        {
            ADA: {"first_name": "Ada", "last_name": "Lovelace", "external_id": "x", "username": "countess"},
            "grace@navy.example": {
                "first_name": "Grace",
                "phone_number": ["+15550100001"],
                "external_id": "y",
            },
            "100%_sure@example.com": {"first_name": "Percy", "banned": True},
        }.items()
    ):
        backend.world.clock.advance(1000)
        await create(backend, email, **members)
        assert (await backend.ask("GET", "/users/count"))["total_count"] == number + 1
    odd, grace = "100%_sure@example.com", "grace@navy.example"
    everyone = await backend.ask("GET", "/users")
    ids = {user["email_addresses"][0]["email_address"]: user["id"] for user in everyone}
    for query, expected in (
        ({}, [odd, grace, ADA]),
        ({"query": "LOVEL"}, [ADA]),
        ({"query": "example"}, [odd, grace, ADA]),
        ({"query": "0100001"}, [grace]),
        ({"query": ids[ADA][5:20]}, [ADA]),
        ({"query": "0%_s"}, [odd]),
        ({"query": "0__s"}, []),
        ({"query": "%%%"}, []),
        ({"query": "_sure"}, [odd]),
        ({"query": "ay' OR 1=1"}, []),
        ({"email_address_query": "NAVY"}, [grace]),
        ({"email_address_query": "countess"}, []),
        ({"username_query": "count"}, [ADA]),
        ({"name_query": "ada love"}, [ADA]),
        ({"name_query": "perc"}, [odd]),
        ({"phone_number_query": "5550"}, [grace]),
        ({"email_address": ["ADA@example.com", "nobody@example.com"]}, [ADA]),
        ({"user_id": [ids[ADA], ids[grace]]}, [grace, ADA]),
        ({"user_id": [f"-{ids[ADA]}"]}, [odd, grace]),
        ({"user_id": [f"+{ids[ADA]}"]}, [ADA]),
        ({"external_id": ["-x"]}, [odd, grace]),
        ({"username": ["Countess"]}, [ADA]),
        ({"banned": "true"}, [odd]),
        ({"banned": "false"}, [grace, ADA]),
        ({"created_at_after": everyone[1]["created_at"]}, [odd]),
        ({"created_at_before": everyone[1]["created_at"]}, [ADA]),
        ({"web3_wallet": ["0x1"]}, []),
        ({"order_by": "created_at"}, [ADA, grace, odd]),
        ({"order_by": " created_at"}, [ADA, grace, odd]),
        ({"order_by": "+created_at"}, [ADA, grace, odd]),
        ({"order_by": "email_address"}, [odd, ADA, grace]),
        ({"order_by": "-first_name"}, [odd, grace, ADA]),
        ({"order_by": "last_name"}, [grace, odd, ADA]),
        ({"order_by": "-phone_number"}, [grace, odd, ADA]),
        ({"order_by": "email_address", "query": "example"}, [odd, ADA, grace]),
        ({"order_by": "-updated_at", "limit": 1, "offset": 1}, [grace]),
    ):
        assert await listed(backend, **query) == expected, query
        counted = {key: value for key, value in query.items() if key not in ("order_by", "limit", "offset")}
        if "limit" not in query:
            count = (await backend.ask("GET", "/users/count", params=counted))["total_count"]
            assert count == len(expected), query


@pytest.mark.conformance("clerk-backend", 14, 59)
@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"limit": 501}, "limit"),
        ({"order_by": "password"}, "order_by"),
        ({"starting_after": "user_x", "order_by": "last_name"}, "starting_after"),
        ({"starting_after": "user_x", "offset": 1}, "starting_after"),
        ({"starting_after": "user_x"}, "starting_after"),
    ],
)
async def test_a_list_that_makes_no_sense_is_refused(
    backend: Backend, query: dict[str, Any], param: str
) -> None:
    error = await backend.refused("GET", "/users", 422, "form_param_value_invalid", params=query)
    assert error["meta"]["param_name"] == param
    assert await backend.ask("GET", "/users", params={"limit": 500}) == []


@pytest.mark.parametrize(
    ("given", "absent"), [("provider", "provider_user_id"), ("provider_user_id", "provider")]
)
async def test_a_provider_and_its_users_ids_go_together(backend: Backend, given: str, absent: str) -> None:
    await create(backend)
    for path in ("/users", "/users/count"):
        query = {given: "oauth_google"}
        error = await backend.refused("GET", path, 422, "form_conditional_param_missing", params=query)
        assert error["meta"]["param_name"] == absent
    assert await backend.ask("GET", "/users", params={given: "oauth_google", absent: "x"}) == []


@pytest.mark.conformance("clerk-backend", 60)
@pytest.mark.parametrize("order", ["-created_at", "created_at"])
async def test_walking_by_the_last_user_skips_and_repeats_nobody(backend: Backend, order: str) -> None:
    """All in one millisecond, and one more arrives on the way."""
    for number in range(7):
        await create(backend, f"u{number}@example.com")
    everyone = await listed(backend, order_by=order)
    walked: list[str] = []
    query: dict[str, Any] = {"order_by": order, "limit": 3}
    while page := await backend.ask("GET", "/users", params=query):
        walked += [user["email_addresses"][0]["email_address"] for user in page]
        query["starting_after"] = page[-1]["id"]
        if len(walked) == 3:
            await create(backend, "late@example.com", created_at="2001-01-01T00:00:00Z")
    assert [address for address in walked if address != "late@example.com"] == everyone


@pytest.mark.conformance("clerk-backend", 21, 61)
async def test_a_deleted_user_is_gone_with_everything(backend: Backend) -> None:
    browser = await backend.world.signed_up(ADA)
    user_id = await browser.user_id()
    await backend.ask("PATCH", f"/users/{user_id}", json={"external_id": "x"})
    gone = await backend.ask("DELETE", f"/users/{user_id}")
    assert gone == {"id": user_id, "object": "user", "deleted": True, "external_id": "x"}
    await backend.refused("GET", f"/users/{user_id}", 404, "resource_not_found")
    await backend.refused("DELETE", f"/users/{user_id}", 404, "resource_not_found")
    assert (await browser.get("/v1/client"))["response"]["sessions"] == []
    assert await listed(backend, query="ada@") == []
    await create(backend)


@pytest.mark.conformance("clerk-backend", 62)
async def test_second_factors_are_told_honestly(backend: Backend) -> None:
    user = await create(backend)
    for what in ("mfa", "totp", "backup_code"):
        assert await backend.ask("DELETE", f"/users/{user['id']}/{what}") == {"user_id": user["id"]}
        await backend.refused("DELETE", f"/users/user_none/{what}", 404, "resource_not_found")
    path = f"/users/{user['id']}/verify_totp"
    await backend.refused("POST", path, 400, "totp_disabled", json={"code": "123456"})


@pytest.mark.conformance("clerk-backend", 63, 64)
async def test_a_profile_image_is_kept_and_served(backend: Backend) -> None:
    user = await create(backend)
    path = f"/users/{user['id']}/profile_image"
    shown = await backend.ask("POST", path, files={"file": ("me.png", PNG, "text/html")})
    assert shown["has_image"]
    served = await backend.world.browser(origin=None).http.get(shown["image_url"])
    assert (served.content, served.headers["content-type"]) == (PNG, "image/png")
    assert served.headers["x-content-type-options"] == "nosniff"

    await backend.refused(
        "POST", path, 413, "image_too_large", files={"file": ("big.png", PNG.ljust((10 << 20) + 1, b"\x00"))}
    )
    svg = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    await backend.refused(
        "POST", path, 400, "request_body_invalid", files={"file": ("me.png", svg, "image/png")}
    )
    await backend.refused("POST", path, 400, "form_param_missing", files={"picture": ("me.png", PNG)})
    await backend.refused("POST", path, 415, "unsupported_content_type", json={})
    assert (await backend.ask("GET", f"/users/{user['id']}"))["image_url"] == shown["image_url"]

    taken = await backend.ask("DELETE", path)
    assert not taken["has_image"]
    gone = await backend.world.browser(origin=None).http.get(shown["image_url"])
    assert gone.status_code == 404


@pytest.mark.conformance("clerk-backend", 65, 66)
async def test_nobody_has_a_social_providers_token(backend: Backend) -> None:
    path = f"/users/{(await create(backend))['id']}/oauth_access_tokens/oauth_google"
    assert await backend.ask("GET", path) == []
    assert await backend.ask("GET", path, params={"paginated": "true"}) == {"data": [], "total_count": 0}


async def test_every_change_is_in_the_audit_trail(backend: Backend) -> None:
    user = await create(backend)
    await backend.ask("POST", f"/users/{user['id']}/ban")
    rows = await backend.world.database.read(
        lambda tx: tx.fetch_all(
            "SELECT actor, action FROM identity_audit WHERE object = ? ORDER BY at, action DESC",
            (user["id"],),
        )
    )
    (key,) = await backend.world.identity.secret_keys.list()
    assert rows == [(key.id, "user.created"), (key.id, "user.banned")]
