"""The instance, its restrictions and lists, as a back end changes them and browsers feel them."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.identity import create_identity
from doorward.identity.instance.rules import InstanceSettings, is_origin
from doorward.identity.restrictions import list_rules
from tests.identity.conftest import ORIGIN, PASSWORD, error_codes, quick_hasher
from tests.identity_backend_api.conftest import Backend

pytestmark = pytest.mark.anyio

SIGN_UPS = "/v1/client/sign_ups"


@pytest.mark.conformance("clerk-backend", 92)
async def test_allowed_origins_are_set_read_back_and_let_in_at_once(backend: Backend) -> None:
    origins = ["https://app.example.org", "chrome-extension://abcdefgh", "https://app.example.org"]
    stranger = backend.world.browser(origin="https://app.example.org")
    assert (await stranger.http.get("/v1/client")).status_code == 400
    await backend.ask("PATCH", "/instance", 204, json={"allowed_origins": origins})
    shown = await backend.ask("GET", "/instance")
    assert shown["object"] == "instance"
    assert shown["environment_type"] == "development"
    assert shown["allowed_origins"] == origins[:2]
    answer = await stranger.http.get("/v1/client")
    assert answer.headers["access-control-allow-origin"] == "https://app.example.org"
    await backend.ask("PATCH", "/instance", 204, json={"allowed_origins": []})
    assert (await stranger.http.get("/v1/client")).status_code == 400


@pytest.mark.conformance("clerk-backend", 93)
@pytest.mark.parametrize(
    "origin", ["", "example.org", "https://", "https://a.example/path", "https://*.a.example", "*", "null"]
)
async def test_what_is_no_origin_is_refused_and_nothing_changes(backend: Backend, origin: str) -> None:
    await backend.ask("PATCH", "/instance", 204, json={"allowed_origins": ["https://a.example"]})
    error = await backend.refused(
        "PATCH",
        "/instance",
        422,
        "form_invalid_origin",
        json={"allowed_origins": ["https://b.example", origin]},
    )
    assert error["meta"]["param_name"] == "allowed_origins"
    assert (await backend.ask("GET", "/instance"))["allowed_origins"] == ["https://a.example"]


async def test_an_application_behind_the_gate_is_never_an_allowed_origin(backend: Backend) -> None:
    gate = "http://mybox-1a2b.env.localhost:8080"
    await backend.ask("PATCH", "/instance", 204, json={"allowed_origins": [gate]})
    assert (await backend.world.browser(origin=gate).http.get("/v1/client")).status_code == 400


async def test_flags_of_other_versions_are_tolerated(backend: Backend) -> None:
    flags = {"hibp": True, "clerk_js_version": "6", "enhanced_email_deliverability": False, "x": {"y": 1}}
    await backend.ask("PATCH", "/instance", 204, json=flags)
    for path in ("/instance/restrictions", "/instance/organization_settings"):
        before = await backend.ask("GET", path)
        assert await backend.ask("PATCH", path, json={"a_flag_of_next_year": True}) == before


@pytest.mark.conformance("clerk-backend", 94)
async def test_restrictions_are_set_and_all_of_them_answered(backend: Backend) -> None:
    changed = await backend.ask("PATCH", "/instance/restrictions", json={"blocklist": True})
    assert changed == {
        "object": "instance_restrictions",
        "allowlist": False,
        "blocklist": True,
        "allowlist_blocklist_disabled_on_sign_in": False,
        "block_email_subaddresses": False,
        "block_disposable_email_domains": False,
        "ignore_dots_for_gmail_addresses": False,
        "sign_up_mode": "public",
    }
    assert await backend.ask("GET", "/instance/restrictions") == changed
    document = await backend.world.browser().get("/v1/environment")
    assert document["user_settings"]["restrictions"]["blocklist"] == {"enabled": True}


async def test_another_node_follows_a_change_without_being_asked(backend: Backend) -> None:
    world = backend.world
    other = await create_identity(
        world.identity.settings,
        world.database,
        sealer=world.sealer,
        mailer=world.inbox,
        clock=world.clock,
        hasher=quick_hasher(),
    )
    async with other.running(), asyncio.timeout(60):
        assert other.instance.id == world.identity.instance.id
        await backend.ask("PATCH", "/instance/restrictions", json={"sign_up_mode": "waitlist"})
        while other.instance.sign_up_mode != "waitlist":  # noqa: ASYNC110  # the node tells nobody that it followed
            await asyncio.sleep(0.01)


async def test_settings_that_a_later_version_wrote_are_refused_and_not_read_as_none(backend: Backend) -> None:
    later = '{"allowlist": true, "quarantine": true}'
    await backend.world.database.write(
        lambda tx: tx.execute("UPDATE identity_instance SET settings = ?", (later,))
    )
    body = await backend.world.browser().post(
        SIGN_UPS, 500, email_address="eve@example.com", password=PASSWORD
    )
    assert error_codes(body) == ["internal_clerk_error"]


@pytest.mark.conformance("clerk-backend", 96)
async def test_an_address_is_on_a_list_once(backend: Backend) -> None:
    for path in ("/allowlist_identifiers", "/blocklist_identifiers"):
        made = await backend.ask("POST", path, json={"identifier": "Ada@Example.com"})
        assert (made["identifier"], made["identifier_type"]) == ("ada@example.com", "email_address")
        assert made["instance_id"] == backend.world.identity.instance.id
        await backend.refused("POST", path, 400, "duplicate_record", json={"identifier": "ada@example.com"})
        gone = await backend.ask("DELETE", f"{path}/{made['id']}")
        assert gone == {"object": made["object"], "id": made["id"], "deleted": True}
        await backend.refused("DELETE", f"{path}/{made['id']}", 404, "resource_not_found")


@pytest.mark.conformance("clerk-backend-traps", 11)
@pytest.mark.conformance("clerk-backend", 97, 98)
async def test_lists_come_in_the_shapes_both_sdks_expect(backend: Backend) -> None:
    for path in ("/allowlist_identifiers", "/blocklist_identifiers"):
        for name in ("a", "b", "c"):
            await backend.ask("POST", path, json={"identifier": f"{name}@example.com"})
    assert len(await backend.ask("GET", "/allowlist_identifiers?limit=2")) == 2
    page = await backend.ask("GET", "/allowlist_identifiers?paginated=true&limit=2")
    assert (len(page["data"]), page["total_count"]) == (2, 3)
    blocked = await backend.ask("GET", "/blocklist_identifiers?offset=2")
    assert (len(blocked["data"]), blocked["total_count"]) == (1, 3)


async def test_one_list_cannot_delete_from_the_other(backend: Backend) -> None:
    made = await backend.ask("POST", "/blocklist_identifiers", json={"identifier": "a@example.com"})
    await backend.refused("DELETE", f"/allowlist_identifiers/{made['id']}", 404, "resource_not_found")


@pytest.mark.parametrize("identifier", ["", "nobody", "*@", "*", "a@b@c", "+49", "*@*.*.dev", "0x12"])
async def test_what_is_no_identifier_is_refused(backend: Backend, identifier: str) -> None:
    await backend.refused(
        "POST", "/blocklist_identifiers", 422, "form_param_format_invalid", json={"identifier": identifier}
    )


async def test_an_address_allowed_with_notice_is_invited(backend: Backend) -> None:
    made = await backend.ask(
        "POST", "/allowlist_identifiers", json={"identifier": "bob@example.com", "notify": True}
    )
    assert made["invitation_id"].startswith("inv_")
    assert await backend.world.kinds_mailed_to("bob@example.com") == ["invitation"]


@pytest.mark.conformance("clerk-backend", 99)
@pytest.mark.conformance("clerk-frontend", 117, 118)
@pytest.mark.parametrize(
    ("entry", "address"),
    [
        ("john@x.dev", "john@x.dev"),
        ("john@x.dev", "John+1@X.dev"),
        ("*@x.dev", "john@x.dev"),
        ("*@*.bad.dev", "x@a.b.bad.dev"),
    ],
)
async def test_a_blocked_address_cannot_sign_up(backend: Backend, entry: str, address: str) -> None:
    await backend.ask("POST", "/blocklist_identifiers", json={"identifier": entry})
    browser = backend.world.browser()
    await browser.post(SIGN_UPS, email_address=address, password=PASSWORD)
    await backend.ask("PATCH", "/instance/restrictions", json={"blocklist": True})
    body = await browser.post(SIGN_UPS, 403, email_address=address, password=PASSWORD)
    assert error_codes(body) == ["not_allowed_access"]
    assert body["errors"][0]["meta"]["identifiers"] == [address.lower()]
    await browser.post(SIGN_UPS, email_address="someone@else.dev", password=PASSWORD)


async def test_an_address_blocked_after_its_sign_up_began_gets_no_account(backend: Backend) -> None:
    browser = backend.world.browser()
    started = await browser.post(SIGN_UPS, email_address="john@x.dev", password=PASSWORD)
    path = f"{SIGN_UPS}/{started['response']['id']}"
    await browser.post(f"{path}/prepare_verification", strategy="email_code")
    await backend.ask("PATCH", "/instance/restrictions", json={"blocklist": True})
    await backend.ask("POST", "/blocklist_identifiers", json={"identifier": "*@x.dev"})
    code = await backend.world.code_for("john@x.dev")
    body = await browser.post(f"{path}/attempt_verification", 403, strategy="email_code", code=code)
    assert error_codes(body) == ["not_allowed_access"]


async def test_a_blocked_address_signs_in_only_where_the_lists_are_off_for_that(backend: Backend) -> None:
    await backend.world.signed_up("john@x.dev")
    await backend.ask("POST", "/blocklist_identifiers", json={"identifier": "john@x.dev"})
    await backend.ask("PATCH", "/instance/restrictions", json={"blocklist": True})
    form = {"identifier": "john@x.dev", "password": PASSWORD}
    body = await backend.world.browser().post("/v1/client/sign_ins", 403, **form)
    assert error_codes(body) == ["not_allowed_access"]
    await backend.ask(
        "PATCH", "/instance/restrictions", json={"allowlist_blocklist_disabled_on_sign_in": True}
    )
    await backend.world.browser().sign_in("john@x.dev")


@pytest.mark.conformance("clerk-frontend", 115)
async def test_an_empty_allowlist_lets_nobody_sign_up(backend: Backend) -> None:
    await backend.ask("PATCH", "/instance/restrictions", json={"allowlist": True})
    body = await backend.world.browser().post(
        SIGN_UPS, 403, email_address="ada@example.com", password=PASSWORD
    )
    assert error_codes(body) == ["not_allowed_access"]
    assert body["errors"][0]["meta"]["identifiers"] == ["ada@example.com"]
    await backend.ask("POST", "/allowlist_identifiers", json={"identifier": "*@example.com"})
    await backend.world.signed_up("ada@example.com")


@pytest.mark.conformance("clerk-frontend", 116)
async def test_the_allowlist_wins_over_the_blocklist(backend: Backend) -> None:
    await backend.ask("PATCH", "/instance/restrictions", json={"allowlist": True, "blocklist": True})
    await backend.ask("POST", "/allowlist_identifiers", json={"identifier": "ada@example.com"})
    await backend.ask("POST", "/blocklist_identifiers", json={"identifier": "*@example.com"})
    await backend.world.signed_up("ada@example.com")


async def test_subaddresses_and_disposable_domains_are_refused_where_they_are_blocked(
    backend: Backend,
) -> None:
    await backend.ask(
        "PATCH",
        "/instance/restrictions",
        json={"block_email_subaddresses": True, "block_disposable_email_domains": True},
    )
    for address in ("ada+news@example.com", "ada@mailinator.com", "ada@eu.yopmail.com", "ada-x@yahoo.com"):
        body = await backend.world.browser().post(SIGN_UPS, 403, email_address=address, password=PASSWORD)
        assert error_codes(body) == ["not_allowed_access"]
    browser = await backend.world.signed_up("ada@example.com")
    session = (await browser.session())["id"]
    body = await browser.post(
        f"/v1/me/email_addresses?_clerk_session_id={session}", 403, email_address="ada@mailinator.com"
    )
    assert error_codes(body) == ["not_allowed_access"]


async def test_changes_name_the_key_that_made_them(backend: Backend) -> None:
    await backend.ask("PATCH", "/instance/restrictions", json={"allowlist": True})
    (key,) = await backend.world.identity.secret_keys.list()
    rows = await backend.world.database.read(
        lambda tx: tx.fetch_all("SELECT actor FROM identity_audit WHERE action = 'restrictions.changed'")
    )
    assert rows == [(key.id,)]


async def test_the_domain_is_the_configurations(backend: Backend) -> None:
    await backend.ask("POST", "/instance/change_domain", 202, json={"home_url": ORIGIN})
    await backend.refused(
        "POST",
        "/instance/change_domain",
        422,
        "form_param_value_invalid",
        json={"home_url": "https://elsewhere.example"},
    )


@pytest.mark.conformance("clerk-backend", 189)
async def test_the_primary_domain_cannot_be_deleted(backend: Backend) -> None:
    page = await backend.ask("GET", "/domains")
    (domain,) = page["data"]
    assert (domain["name"], domain["is_satellite"], page["total_count"]) == ("accounts.localhost", False, 1)
    path, code = f"/domains/{domain['id']}", "operation_not_allowed_on_primary_domain"
    await backend.refused("DELETE", path, 403, code)
    await backend.refused("DELETE", "/domains/dmn_x", 404, "resource_not_found")
    assert await backend.ask("PATCH", path, json={"name": domain["name"]}) == domain
    await backend.refused("PATCH", path, 403, code, json={"name": "other.example"})
    satellite = {"name": "other.example", "is_satellite": True}
    await backend.refused("POST", "/domains", 403, "feature_not_implemented", json=satellite)
    second = {"name": "other.example", "is_satellite": False}
    await backend.refused("POST", "/domains", 422, "primary_domain_already_exists", json=second)


@pytest.mark.conformance("clerk-backend", 188)
async def test_a_redirect_url_is_registered_once(backend: Backend) -> None:
    made = await backend.ask("POST", "/redirect_urls", json={"url": "myapp://callback"})
    assert await backend.ask("GET", f"/redirect_urls/{made['id']}") == made
    await backend.refused("POST", "/redirect_urls", 400, "duplicate_record", json={"url": "myapp://callback"})
    assert await backend.ask("GET", "/redirect_urls") == [made]
    assert await backend.ask("GET", "/redirect_urls?paginated=true") == {"data": [made], "total_count": 1}
    await backend.ask("DELETE", f"/redirect_urls/{made['id']}")
    await backend.refused("GET", f"/redirect_urls/{made['id']}", 404, "resource_not_found")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nothing",
        "javascript://x/%0aalert(1)",
        "data://x",
        "http://evil.example/",
        "https://",
        "https://u:p@a.example/",
    ],
)
async def test_what_must_not_be_redirected_to_is_refused(backend: Backend, url: str) -> None:
    await backend.refused("POST", "/redirect_urls", 422, "form_param_format_invalid", json={"url": url})


@given(st.text(max_size=60))
def test_whatever_is_called_an_origin_has_no_path(text: str) -> None:
    if is_origin(text):
        assert text.count("/") == 2


@given(st.emails())
def test_every_address_is_matched_by_itself_and_its_domain(text: str) -> None:
    known = list_rules.normalise_identifier(text)
    if known is not None:
        address = known[0]
        entries = list_rules.entries_that_match(address)
        assert {address, f"*@{address.rpartition('@')[2]}"} <= set(entries)
        blocked = list_rules.sign_up_problem(
            InstanceSettings(blocklist=True), address, is_allowed=False, is_blocked=True, is_invited=True
        )
        assert blocked is not None
