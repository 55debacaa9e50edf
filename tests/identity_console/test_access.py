"""Every way past the one check of who may see the console."""

import re

import httpx
import pytest

from doorward.identity import Identity
from doorward.store import Database
from tests.conftest import OpenTestDatabase
from tests.identity_console.visitors import become_administrator, new_user
from tests.identity_pages.visitors import Visitor
from tests.identity_pages.world import PASSWORD, SCHEMAS, World, new_address, world
from tests.security.routes import CHANGING, Way, identity_ways

pytestmark = pytest.mark.anyio


def console_ways(identity: Identity) -> list[Way]:
    ways = [way for way in identity_ways(identity) if f"{way.path}/".startswith("/admin/")]
    assert len(ways) > 20, "the routes were not found"
    return ways


async def asked(visitor: Visitor, way: Way, headers: dict[str, str] | None = None) -> httpx.Response:
    sent = {"origin": visitor.world.origin, **(headers or {})}
    return await visitor.http.request(way.method, way.path, headers=sent, data={})


def without_nonce(answer: httpx.Response) -> str:
    return re.sub(r'nonce="[^"]*"', "", answer.text)


async def test_nobody_signed_in_is_led_to_the_sign_in_page(accounts: World) -> None:
    async with Visitor(accounts) as stranger:
        for way in console_ways(accounts.identity):
            answer = await asked(stranger, way)
            assert answer.status_code == 303, str(way)
            assert answer.headers["location"].startswith("/sign-in"), str(way)
            assert answer.text == "", str(way)


async def test_for_everybody_else_there_is_nothing_at_any_address(
    accounts: World, administrator: Visitor
) -> None:
    """The same answer as for an address that does not exist, to every method."""
    address = new_address()
    await new_user(accounts, address)
    async with Visitor(accounts) as visitor:
        await visitor.sign_in(address)
        nowhere = await visitor.get("/nowhere")
        for way in console_ways(accounts.identity):
            answer = await asked(visitor, way)
            assert answer.status_code == 404, str(way)
            if way.method != "HEAD":
                assert without_nonce(answer) == without_nonce(nowhere), str(way)
    assert (await administrator.get("/admin")).status_code == 200


async def test_a_program_without_cookies_gets_nothing_either(accounts: World, administrator: Visitor) -> None:
    """A secret key is for the Backend API, and a session's token for programs."""
    key = await accounts.identity.secret_keys.make("test", actor="test")
    async with Visitor(accounts) as program:
        answer = await program.http.get("/admin", headers={"authorization": f"Bearer {key.secret}"})
    assert answer.headers["location"].startswith("/sign-in")
    assert (await administrator.get("/admin")).status_code == 200


@pytest.mark.usefixtures("first_administrator")
async def test_an_administrator_who_is_banned_locked_or_withdrawn_is_outside_with_the_next_request(
    accounts: World,
) -> None:
    identity = accounts.identity
    for how in ("banned", "locked", "withdrawn", "signed out elsewhere", "deleted"):
        address = new_address()
        user_id = await new_user(accounts, address)
        await set_administrator(identity.database, user_id, True)
        async with Visitor(accounts) as visitor:
            await visitor.sign_in(address)
            assert (await visitor.get("/admin")).status_code == 200
            match how:
                case "banned":
                    await identity.administration.ban([user_id], actor="test")
                case "locked":
                    await identity.administration.lock(user_id, actor="test")
                case "withdrawn":
                    await set_administrator(identity.database, user_id, False)
                case "deleted":
                    await identity.administration.delete(user_id, actor="test")
                case _:
                    (session,) = await identity.sessions.list_of_user(user_id)
                    await identity.session_administration.revoke(session.id, actor="test")
            assert (await visitor.get("/admin")).status_code in (303, 404), how
            before = len((await visitor.get("/admin/users")).text)
            assert before < 5_000, how
            assert (await visitor.post("/admin/users/new", email_address=new_address())).status_code in (
                303,
                404,
            )


@pytest.mark.usefixtures("first_administrator")
async def test_whoever_acts_as_an_administrator_is_not_let_in(accounts: World) -> None:
    address = new_address()
    user_id = await new_user(accounts, address)
    await set_administrator(accounts.identity.database, user_id, True)
    for acting in ({"sub": "user_support"}, {"sub": user_id}):
        made = await accounts.identity.tickets.make(
            "actor",
            user_id,
            lifetime_ms=60_000,
            acting=acting,
            session_lifetime_ms=600_000,
            actor="operator:test",
        )
        async with Visitor(accounts) as support:
            entered = await support.post("/sign-in", ticket=made.token)
            assert entered.headers["location"] == "/machines"
            assert (await support.get("/account")).status_code == 200
            assert (await support.get("/admin")).status_code == 404
            assert (await support.get(f"/admin/users/{user_id}")).status_code == 404


async def test_the_cookie_of_another_installation_is_worth_nothing(
    accounts: World, administrator: Visitor, open_test_database: OpenTestDatabase
) -> None:
    async with world(await open_test_database(*SCHEMAS)) as other:
        await become_administrator(other)
        async with Visitor(other) as visitor:
            visitor.http.cookies.set("__client", administrator.http.cookies["__client"])
            assert (await visitor.get("/admin")).headers["location"].startswith("/sign-in")


async def test_two_cookies_of_one_name_are_none(accounts: World, administrator: Visitor) -> None:
    """A sibling host may plant one beside ours, and so have its visitor work in somebody else's console."""
    ours = administrator.http.cookies["__client"]
    async with Visitor(accounts) as visitor:
        answer = await visitor.http.get("/admin", headers={"cookie": f"__client={ours}; __client={ours}"})
    assert answer.headers["location"].startswith("/sign-in")


FOREIGN = [
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": "http://notebook.env.localhost:8080", "sec-fetch-site": "same-site"},
    {"sec-fetch-site": "same-site"},
    {},
]


@pytest.mark.parametrize("headers", FOREIGN)
async def test_a_form_of_another_host_changes_nothing_with_the_administrators_cookies(
    accounts: World, administrator: Visitor, headers: dict[str, str]
) -> None:
    user_id = await new_user(accounts)
    for step in ("ban", "lock", "delete", "password", "link", "act", "profile", "metadata/public"):
        path = f"/admin/users/{user_id}/{step}"
        refused = await administrator.http.post(path, data={"metadata": '{"a":1}'}, headers=headers)
        assert refused.status_code in (400, 403), step
    account = await accounts.identity.administration.get(user_id)
    assert not account.user.is_banned
    assert account.user.locked_until is None
    assert account.user.public_metadata == "{}"


async def test_every_change_of_the_console_is_refused_to_other_hosts(
    accounts: World, administrator: Visitor
) -> None:
    for way in console_ways(accounts.identity):
        if way.method in CHANGING:
            answer = await administrator.http.request(
                way.method, way.path, data={}, headers={"origin": "https://evil.example"}
            )
            assert answer.status_code == 403, str(way)
            assert "was sent from another site" in answer.text


async def test_no_method_but_those_of_forms_reaches_a_page(accounts: World, administrator: Visitor) -> None:
    user_id = await new_user(accounts)
    path = f"/admin/users/{user_id}/ban"
    for method in ("PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"):
        answer = await administrator.http.request(method, path, headers={"origin": accounts.origin})
        assert answer.status_code == 405, method
    for override in ("x-http-method-override", "x-method-override", "x-http-method"):
        answer = await administrator.http.get(path, headers={override: "POST"})
        assert answer.status_code == 200
    head = await administrator.http.head(path)
    assert head.status_code == 200
    assert head.content == b""
    await administrator.get(path, _method="POST")
    assert not (await accounts.identity.administration.get(user_id)).user.is_banned


async def test_looking_at_any_page_changes_nothing(accounts: World, administrator: Visitor) -> None:
    before = await audit_rows(accounts.identity.database)
    for way in console_ways(accounts.identity):
        if way.method in ("GET", "HEAD"):
            await administrator.http.request(way.method, way.path)
    assert await audit_rows(accounts.identity.database) == before


async def test_what_matters_most_asks_for_the_password_again(open_test_database: OpenTestDatabase) -> None:
    """Ten minutes after it was given last; and the change itself asks as much as the page before it."""
    async with world(await open_test_database(*SCHEMAS)) as opened:
        address = await become_administrator(opened)
        user_id = await new_user(opened)
        async with Visitor(opened) as visitor:
            await visitor.sign_in(address)
            assert (await visitor.get(f"/admin/users/{user_id}/delete")).status_code == 200
            await age_proofs(opened.identity.database)
            for step in ("delete", "password", "link", "act"):
                path = f"/admin/users/{user_id}/{step}"
                for answer in (await visitor.get(path), await visitor.post(path, password=PASSWORD)):
                    assert answer.status_code == 303
                    assert (
                        answer.headers["location"]
                        == f"/sign-in/confirm?redirect_url={path.replace('/', '%2F')}"
                    )
            assert (await opened.identity.administration.get(user_id)).user.id == user_id
            wrong = await visitor.post("/sign-in/confirm", password="not the password", redirect_url=path)
            assert wrong.status_code == 422
            assert (await visitor.get(path)).status_code == 303
            proved = await visitor.post("/sign-in/confirm", password=PASSWORD, redirect_url=path)
            assert proved.headers["location"] == path
            assert (await visitor.get(path)).status_code == 200


async def set_administrator(database: Database, user_id: str, is_administrator: bool) -> None:
    await database.write(
        lambda tx: tx.execute(
            "UPDATE identity_users SET is_administrator = ? WHERE id = ?", (is_administrator, user_id)
        )
    )


async def age_proofs(database: Database) -> None:
    """As if everybody had signed in eleven minutes earlier."""
    await database.write(
        lambda tx: tx.execute("UPDATE identity_sessions SET verified_at = verified_at - 660000", ())
    )


async def audit_rows(database: Database) -> int:
    row = await database.read(lambda tx: tx.fetch_one("SELECT count(*) FROM identity_audit", ()))
    assert row is not None
    return int(row[0])


async def test_every_page_is_there_for_an_administrator_on_each_database(
    accounts_on_each_engine: World,
) -> None:
    """Those of a thing that is not there say so; none breaks."""
    opened = accounts_on_each_engine
    address, user_id = await become_administrator(opened), await new_user(opened)
    async with Visitor(opened) as visitor:
        await visitor.sign_in(address)
        for way in console_ways(opened.identity):
            if way.method == "GET":
                path = way.path.replace("/users/x1", f"/users/{user_id}").replace("/lists/x1", "/lists/block")
                path = path.replace("/administrators/x1", f"/administrators/{user_id}")
                answer = await visitor.get(path.replace("/metadata/x1", "/metadata/public"))
                is_of_nothing = "x1" in path or "/organizations/" in path
                assert answer.status_code in ((200, 403, 404) if is_of_nothing else (200, 303)), path
