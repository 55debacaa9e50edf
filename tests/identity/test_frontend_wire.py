"""What holds for every Frontend API route: versions, origins, CORS, unknown routes, the environment."""

from __future__ import annotations

import pytest

from doorward.client.configuration import publishable_key_of
from doorward.verify.settings import parse_publishable_key
from tests.identity.conftest import ORIGIN, MakeWorld, World, error_codes

pytestmark = pytest.mark.anyio

SECTIONS = {
    "auth_config",
    "display_config",
    "user_settings",
    "organization_settings",
    "fraud_settings",
    "commerce_settings",
    "api_keys_settings",
    "protect_config",
    "client_debug_mode",
    "partitioned_cookies",
    "maintenance_mode",
}
#: Clerk's SDK reads each of these of every attribute.
ATTRIBUTE = {
    "enabled",
    "required",
    "used_for_first_factor",
    "first_factors",
    "used_for_second_factor",
    "second_factors",
    "verifications",
    "verify_at_sign_up",
    "immutable",
}


@pytest.mark.conformance("clerk-frontend", 10)
@pytest.mark.parametrize("path", ["/v1/client", "/v1/me", "/v1/no/such/route"])
async def test_an_allowed_origin_is_echoed_with_credentials_on_good_and_bad_answers(world: World, path: str):
    response = await world.browser().http.get(path)
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert response.headers["access-control-allow-credentials"] == "true"
    assert "Origin" in response.headers["vary"]
    assert "Retry-After" in response.headers["access-control-expose-headers"]


@pytest.mark.conformance("clerk-frontend", 11)
async def test_a_preflight_allows_authorization(world: World):
    response = await world.browser().http.request(
        "OPTIONS", "/v1/client", headers={"access-control-request-headers": "authorization"}
    )
    assert response.status_code == 204
    assert "authorization" in response.headers["access-control-allow-headers"]
    assert response.headers["access-control-max-age"] == "7200"


@pytest.mark.conformance("clerk-frontend", 18)
@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "https://accounts.example.com.evil.example",
        "https://xaccounts.example.com",
        "http://accounts.example.com",
        "https://box.env.example.com",
        "https://example.com",
        "null",
    ],
)
async def test_a_foreign_origin_is_refused_and_gets_no_cors(make_world: MakeWorld, origin: str):
    world = await make_world(
        origin="https://accounts.example.com", development=False, gate_zone="env.example.com"
    )
    response = await world.browser(origin=origin).http.get("/v1/client")
    assert (response.status_code, error_codes(response.json())) == (400, ["origin_invalid"])
    assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize("origin", ["http://box.env.localhost:8080", "http://env.localhost:8080"])
async def test_an_application_behind_the_gate_is_foreign_even_in_development(world: World, origin: str):
    response = await world.browser(origin=origin).http.get("/v1/client")
    assert error_codes(response.json()) == ["origin_invalid"]
    assert (await world.browser(origin="http://localhost:5173").http.get("/v1/client")).status_code == 200


async def test_a_cross_site_change_without_an_origin_is_refused(world: World):
    browser = world.browser(origin=None)
    for site, status in (("cross-site", 400), ("same-site", 400), ("same-origin", 200), ("none", 200)):
        response = await browser.http.post("/v1/client/sign_ups", headers={"sec-fetch-site": site})
        assert response.status_code == status


@pytest.mark.conformance("clerk-frontend", 2, 3)
@pytest.mark.parametrize(
    ("origin", "suffix"),
    [("https://clerk.example.com", "naoXFJnI"), ("https://clerk.app.localhost:8443", "G22kBMJk")],
)
async def test_cookies_have_the_suffix_of_the_unpadded_publishable_key(
    make_world: MakeWorld, origin: str, suffix: str
):
    world = await make_world(origin=origin, development=False)
    key = parse_publishable_key(publishable_key_of(origin, development=False))
    assert key.cookie_suffix == world.identity.visits.cookie_suffix == suffix


@pytest.mark.conformance("clerk-frontend", 14)
@pytest.mark.parametrize(("version", "status"), [("2026-08-20", 200), ("2021-02-05", 200), ("soon", 400)])
async def test_every_version_that_is_a_date_is_served(world: World, version: str, status: int):
    response = await world.browser().http.get(f"/v1/client?__clerk_api_version={version}")
    assert response.status_code == status


@pytest.mark.conformance("clerk-frontend", 17)
async def test_a_trailing_slash_is_the_same_route(world: World):
    await world.browser().get("/v1/client/")


@pytest.mark.conformance("clerk-frontend", 170)
async def test_an_unknown_route_is_404_in_clerks_shape(world: World):
    body = await world.browser().get("/v1/organisms", 404)
    assert error_codes(body) == ["resource_not_found"]
    assert body["clerk_trace_id"]


@pytest.mark.conformance("clerk-frontend", 156)
async def test_native_clients_are_told_that_their_api_is_off(world: World):
    body = await world.browser(origin=None).get("/v1/client?_is_native=1", 400)
    assert error_codes(body) == ["native_api_disabled"]


async def test_a_body_that_is_too_large_or_no_form_is_refused(world: World):
    http = world.browser().http
    large = await http.post("/v1/client/sign_ups", data={"first_name": "x" * 70_000})
    assert (large.status_code, error_codes(large.json())) == (413, ["request_body_too_large"])
    other = await http.post("/v1/client/sign_ups", json={"first_name": "x"})
    assert other.status_code == 415
    broken = await http.post(
        "/v1/client/sign_ups",
        content=b"first_name=%ff",
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    assert error_codes(broken.json()) == ["request_body_invalid"]


@pytest.mark.conformance("clerk-frontend", 21, 22, 23, 24, 25, 26, 93)
async def test_the_environment_document_is_complete_and_the_same_for_both_ways_to_ask(make_world: MakeWorld):
    world = await make_world(sign_up="invite-only")
    browser = world.browser()
    document = await browser.get("/v1/environment")
    assert await browser.post("/v1/environment?_method=PATCH") == document
    assert set(document) == SECTIONS
    assert {"user", "organization"} <= set(document["commerce_settings"]["billing"])
    assert document["user_settings"]["sign_up"]["mode"] == "restricted"
    attributes = document["user_settings"]["attributes"]
    assert {"email_address", "password", "first_name", "last_name", "ticket"} <= set(attributes)
    assert all(set(attribute) == ATTRIBUTE for attribute in attributes.values())
    display = document["display_config"]
    assert isinstance(display["logo_image_url"], str)
    assert display["sign_in_url"] == f"{ORIGIN}/sign-in"
    assert display["home_url"].startswith("http")
    assert document["auth_config"]["single_session_mode"] is True


async def test_the_visitors_address_is_believed_from_trusted_proxies_only(make_world: MakeWorld):
    world = await make_world(trusted_proxies=("10.0.0.0/8",))
    forwarded = {"x-forwarded-for": "1.2.3.4, 198.51.100.7, 10.0.0.9"}
    for peer, seen in (("10.0.0.1", "198.51.100.7"), ("203.0.113.7", "203.0.113.7")):
        browser = world.browser(ip=peer)
        browser.http.headers.update(forwarded)
        await browser.sign_up(f"{peer}@example.com")
        query = f"?_clerk_session_id={(await browser.session())['id']}"
        listed = await browser.get(f"/v1/me/sessions/active{query}")
        assert listed[0]["latest_activity"]["ip_address"] == seen


@pytest.mark.parametrize(
    ("method", "path", "form"),
    [
        ("POST", "/v1/client/sign_ins", {"identifier": "a\x00@example.com", "password": "x"}),
        ("GET", "/v1/client/sign_ins/sia_%00", None),
        ("GET", "/v1/client?_clerk_session_id=%00", None),
        ("GET", "/oauth/authorize?client_id=%00", None),
        ("POST", "/oauth/token", {"client_id": "\x00", "grant_type": "refresh_token"}),
        ("POST", "/sign-in", {"email": "a\x00@example.com", "password": "x"}),
        ("GET", "/sign-in/code?attempt=%00", None),
    ],
)
async def test_a_nul_is_the_askers_mistake_on_either_database(
    world: World, method: str, path: str, form: dict[str, str] | None
):
    response = await world.browser().http.request(method, path, data=form)
    assert response.status_code == 400, response.text[:300]
