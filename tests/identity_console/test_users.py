"""What administrators do with users, as forms do it; each change is in the audit trail under the administrator's id."""

import re

import msgspec
import pytest

from doorward.identity.accounts.store import Account
from doorward.identity.audit.store import AuditFilter
from tests.identity_console.visitors import new_user
from tests.identity_pages.visitors import Visitor, text_of
from tests.identity_pages.world import PASSWORD, World, new_address

pytestmark = pytest.mark.anyio


async def account_of(world: World, user_id: str) -> Account:
    return await world.identity.administration.get(user_id)


async def actions_of(world: World, object_id: str) -> list[tuple[str | None, str]]:
    """By whom and what, the newest first."""
    events = await world.identity.audit.page(AuditFilter(object=object_id), limit=50)
    return [(event.actor, event.action) for event in events]


async def id_of(visitor: Visitor) -> str:
    signed_in = re.search(
        r'href="/admin/users/(user_\w+)"', (await visitor.get("/admin/administrators")).text
    )
    assert signed_in
    return signed_in[1]


async def test_users_are_found_by_name_address_and_standing(accounts: World, administrator: Visitor) -> None:
    address = new_address()
    user_id = await new_user(accounts, address, first_name="Zenobia", last_name="Palmyra")
    for query in ("zenobia", "Palmyra", address, address.partition("@")[0][2:]):
        found = await administrator.get("/admin/users", query=query)
        assert f"/admin/users/{user_id}" in found.text, query
    assert user_id not in (await administrator.get("/admin/users", query="zenobia", standing="banned")).text
    await accounts.identity.administration.ban([user_id], actor="test")
    assert user_id in (await administrator.get("/admin/users", query="zenobia", standing="banned")).text
    none = await administrator.get("/admin/users", query="nobody is called like this")
    assert "Nobody is like that" in text_of(none)


async def test_a_search_for_signs_of_sql_and_of_patterns_finds_nobody(administrator: Visitor) -> None:
    for query in ("' OR 1=1 --", "%", "__", "\\", '"', "*", "a" * 200):
        answer = await administrator.get("/admin/users", query=query)
        assert answer.status_code == 200, query
        assert "Nobody is like that" in text_of(answer), query


async def test_a_nul_in_an_address_is_refused(administrator: Visitor) -> None:
    """PostgreSQL takes none in a text."""
    for path in ("/admin/users?query=a%00b", "/admin/users/user_%00", "/admin/audit?actor=%00"):
        assert (await administrator.get(path)).status_code == 400, path


async def test_parameters_nobody_offered_are_as_if_absent(administrator: Visitor) -> None:
    for query in (
        {"order": "password_hash", "standing": "x"},
        {"page": "-1"},
        {"page": "nine"},
        {"page": "9" * 40},
        {"page": "²"},
    ):
        assert (await administrator.get("/admin/users", **query)).status_code == 200, query


async def test_pages_of_a_list_follow_one_another_by_links(accounts: World, administrator: Visitor) -> None:
    mark = new_address().partition("@")[0]
    made = {await new_user(accounts, f"{mark}-{number}@example.com", password=None) for number in range(60)}
    seen: list[str] = []
    url: str | None = f"/admin/users?query={mark}&order=oldest"
    for expected in (25, 25, 10):
        assert url is not None
        page = await administrator.get(url)
        rows = re.findall(r'href="/admin/users/(user_\w+)"', page.text)
        assert len(rows) == expected
        seen += rows
        following = re.search(r'href="([^"]+)">Next', page.text)
        url = following[1].replace("&amp;", "&") if following else None
    assert url is None
    assert len(seen) == 60
    assert set(seen) == made
    assert f"query={mark}" in page.text


async def test_a_user_is_made_and_can_sign_in(accounts: World, administrator: Visitor) -> None:
    address = new_address()
    location = await administrator.done(
        "/admin/users/new", email_address=address, first_name="Grace", password=PASSWORD
    )
    user_id = location.removeprefix("/admin/users/").partition("?")[0]
    assert (await actions_of(accounts, user_id))[0] == (await id_of(administrator), "user.created")
    assert "The account was made." in text_of(await administrator.get(location))
    async with Visitor(accounts) as grace:
        await grace.sign_in(address)
    again = await administrator.post("/admin/users/new", email_address=address)
    assert again.status_code == 422
    assert "Another user has this already." in text_of(again)


async def test_what_was_typed_comes_back_as_text(administrator: Visitor) -> None:
    text = '"><script>alert(1)</script>'
    answer = await administrator.post("/admin/users/new", email_address=text, first_name=text)
    assert answer.status_code == 422
    assert "<script>alert" not in answer.text
    assert "&lt;script&gt;alert" in answer.text


async def test_hostile_names_are_text_on_every_page(accounts: World, administrator: Visitor) -> None:
    name = "<img src=x onerror=alert(1)>"
    user_id = await new_user(accounts, first_name=name)
    for path in ("/admin/users?query=onerror", f"/admin/users/{user_id}", f"/admin/users/{user_id}/ban"):
        page = await administrator.get(path)
        assert "<img src=x" not in page.text
        assert "&lt;img src=x" in page.text


async def test_a_profile_is_changed(accounts: World, administrator: Visitor, somebody: str) -> None:
    fields = {"first_name": "Ada", "username": "AdaLovelace", "external_id": "crm-7", "locale": "en-GB"}
    await administrator.done(
        f"/admin/users/{somebody}/profile",
        **fields,
        delete_self_enabled="true",
        create_organizations_limit="3",
    )
    user = (await account_of(accounts, somebody)).user
    assert (user.first_name, user.username, user.external_id) == ("Ada", "adalovelace", "crm-7")
    assert user.delete_self_enabled
    assert not user.create_organization_enabled
    assert user.create_organizations_limit == 3
    for wrong in (
        {"username": "a"},
        {"create_organizations_limit": "-1"},
        {"create_organizations_limit": "²"},
    ):
        refused = await administrator.post(f"/admin/users/{somebody}/profile", **wrong)
        assert refused.status_code == 422
        assert 'aria-invalid="true"' in refused.text
    assert (await account_of(accounts, somebody)).user == user


@pytest.mark.parametrize("kind", ["public", "private", "unsafe"])
async def test_metadata_are_replaced_by_what_was_written(
    accounts: World, administrator: Visitor, somebody: str, kind: str
) -> None:
    path = f"/admin/users/{somebody}/metadata/{kind}"
    await administrator.done(path, metadata='{"plan": {"seats": 3, "name": "größer"}}')
    user = (await account_of(accounts, somebody)).user
    stored = getattr(user, f"{kind}_metadata")
    assert msgspec.json.decode(stored) == {"plan": {"seats": 3, "name": "größer"}}
    assert "größer" in (await administrator.get(path)).text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{\n "a": 1,\n}', "look at line 3"),
        ('{"a": 1', "it ends before it is complete"),
        ("[1, 2]", "This has to be an object"),
        ('"text"', "This has to be an object"),
        ("", "it ends before it is complete"),
        ('{"a": NaN}', "look at line 1, column 7"),
        ('{"a": "\\ud800"}', "This is not JSON"),
        ("[" * 5_000, "This is not JSON"),
        ('{"a": "' + "x" * 8_200 + '"}', "at most 8 KB"),
    ],
)
async def test_what_is_no_json_object_is_refused_with_its_place_and_kept_in_the_form(
    accounts: World, administrator: Visitor, somebody: str, text: str, told: str
) -> None:
    refused = await administrator.post(f"/admin/users/{somebody}/metadata/public", metadata=text)
    assert refused.status_code == 422
    assert told in text_of(refused)
    assert text.strip()[:5].replace('"', "&#34;") in refused.text
    assert (await account_of(accounts, somebody)).user.public_metadata == "{}"


async def test_a_kind_of_metadata_nobody_knows_is_not_found(administrator: Visitor, somebody: str) -> None:
    assert (await administrator.get(f"/admin/users/{somebody}/metadata/password_hash")).status_code == 404
    assert (
        await administrator.post(f"/admin/users/{somebody}/metadata/secret", metadata="{}")
    ).status_code == 404


async def test_a_ban_ends_sessions_and_can_be_lifted(accounts: World, administrator: Visitor) -> None:
    address = new_address()
    user_id = await new_user(accounts, address)
    async with Visitor(accounts) as visitor:
        await visitor.sign_in(address)
        await administrator.done(f"/admin/users/{user_id}/ban")
        assert (await visitor.get("/account")).status_code == 303
        await administrator.done(f"/admin/users/{user_id}/unban")
        await visitor.sign_in(address)
    done = await actions_of(accounts, user_id)
    own_id = await id_of(administrator)
    assert [each for each in done if each[0] == own_id] == [
        (own_id, "user.unbanned"),
        (own_id, "user.banned"),
    ]


async def test_a_lock_keeps_out_and_can_be_taken_off(accounts: World, administrator: Visitor) -> None:
    address = new_address()
    user_id = await new_user(accounts, address)
    await administrator.done(f"/admin/users/{user_id}/lock")
    async with Visitor(accounts) as visitor:
        assert (await visitor.post("/sign-in", email=address, password=PASSWORD)).status_code == 403
        assert "Locked" in text_of(await administrator.get(f"/admin/users/{user_id}"))
        await administrator.done(f"/admin/users/{user_id}/unlock")
        await visitor.sign_in(address)


async def test_a_user_is_deleted_after_the_question(
    accounts: World, administrator: Visitor, somebody: str
) -> None:
    question = await administrator.get(f"/admin/users/{somebody}/delete")
    assert "This cannot be undone." in text_of(question)
    assert (await account_of(accounts, somebody)).user.id == somebody
    assert await administrator.done(f"/admin/users/{somebody}/delete") == "/admin/users?told=deleted"
    assert (await administrator.get(f"/admin/users/{somebody}")).status_code == 404
    assert (await administrator.post(f"/admin/users/{somebody}/delete")).status_code == 404


async def test_nobody_shuts_themselves_out(accounts: World, administrator: Visitor) -> None:
    own_id = await id_of(administrator)
    for step in ("ban", "lock", "delete", "act"):
        for answer in (
            await administrator.get(f"/admin/users/{own_id}/{step}"),
            await administrator.post(f"/admin/users/{own_id}/{step}"),
        ):
            assert answer.status_code == 403, step
    page = await administrator.get(f"/admin/users/{own_id}")
    assert f"/admin/users/{own_id}/ban" not in page.text
    assert page.status_code == 200


async def test_a_session_is_ended(accounts: World, administrator: Visitor) -> None:
    address = new_address()
    user_id = await new_user(accounts, address)
    async with Visitor(accounts) as visitor:
        await visitor.sign_in(address)
        (session,) = await accounts.identity.sessions.list_of_user(user_id)
        await administrator.done(f"/admin/users/{user_id}/sessions/{session.id}/end")
        assert (await visitor.get("/account")).status_code == 303
    other = await new_user(accounts)
    assert (await administrator.post(f"/admin/users/{other}/sessions/{session.id}/end")).status_code == 404


async def test_a_password_is_set_and_sessions_end_if_wished(accounts: World, administrator: Visitor) -> None:
    address = new_address()
    user_id = await new_user(accounts, address)
    path = f"/admin/users/{user_id}/password"
    async with Visitor(accounts) as visitor:
        await visitor.sign_in(address)
        weak = await administrator.post(path, password="password", sign_out="true")
        assert weak.status_code == 422
        assert "password" not in re.findall(r'value="([^"]*)"', weak.text)
        await administrator.done(path, password="copper velvet window")
        assert (await visitor.get("/account")).status_code == 200
        await administrator.done(path, password="velvet copper window", sign_out="true")
        assert (await visitor.get("/account")).status_code == 303
        await visitor.sign_in(address, "velvet copper window")
    empty = await administrator.post(path, password="")
    assert empty.status_code == 422


async def test_a_link_signs_in_once_and_one_to_act_says_who_acts(
    accounts: World, administrator: Visitor
) -> None:
    user_id = await new_user(accounts)
    for step, actor in (("link", None), ("act", await id_of(administrator))):
        made = await administrator.post(f"/admin/users/{user_id}/{step}")
        assert made.headers["cache-control"] == "no-store"
        ticket = re.search(r"__clerk_ticket=([\w-]+)", made.text)
        assert ticket
        async with Visitor(accounts) as visitor:
            entered = await visitor.post("/sign-in", ticket=ticket[1])
            assert entered.headers["location"] == "/machines"
            sessions = await accounts.identity.sessions.list_of_user(user_id)
            acting = [each.actor for each in sessions if each.actor is not None]
            assert acting == ([] if actor is None else [f'{{"sub":"{actor}"}}'])
        async with Visitor(accounts) as late:
            assert (await late.post("/sign-in", ticket=ticket[1])).status_code >= 400


async def test_addresses_and_numbers_come_and_go(
    accounts: World, administrator: Visitor, somebody: str
) -> None:
    user, address = f"/admin/users/{somebody}", new_address()
    await administrator.done(f"{user}/addresses/new", email_address=address)
    account = await account_of(accounts, somebody)
    (added,) = [email for email in account.email_addresses if email.address == address]
    assert added.verified_at is None
    refused = await administrator.post(f"{user}/addresses/{added.id}/primary")
    assert refused.status_code == 422
    await administrator.done(f"{user}/addresses/{added.id}/verify")
    await administrator.done(f"{user}/addresses/{added.id}/primary")
    account = await account_of(accounts, somebody)
    assert account.primary_email.address == address
    first = account.email_addresses[0]
    await administrator.done(f"{user}/addresses/{first.id}/remove")
    last = await administrator.post(f"{user}/addresses/{added.id}/remove")
    assert last.status_code == 400
    assert "This is the last address" in text_of(last)
    await administrator.done(f"{user}/numbers/new", phone_number="+442071838750", is_verified="true")
    (phone,) = (await account_of(accounts, somebody)).phone_numbers
    await administrator.done(f"{user}/numbers/{phone.id}/remove")
    other = await new_user(accounts)
    assert (await administrator.post(f"/admin/users/{other}/addresses/{added.id}/remove")).status_code == 404
