"""The audit trail in pages: filters, order, and places that stay while new events come."""

import asyncio
import html
import re

import httpx
import pytest

from doorward.identity.audit import store
from doorward.identity.audit.service import AuditTrail
from doorward.identity.audit.store import AuditEvent, AuditFilter
from doorward.identity.console.audit_log import action_words
from doorward.store import Database, Tx
from tests.conftest import OpenTestDatabase
from tests.identity_console.visitors import become_administrator, new_user
from tests.identity_pages.visitors import Visitor, text_of
from tests.identity_pages.world import SCHEMAS, World, new_address

pytestmark = pytest.mark.anyio

ACTIONS = ("session.created", "session.ended", "user.banned", "user.updated")


async def filled(database: Database, count: int) -> list[AuditEvent]:
    """So many events, many at one moment; the oldest first."""

    def work(tx: Tx) -> None:
        for number in range(count):
            store.record(
                tx,
                now=1_000 + number // 7,
                actor=f"user_{number % 3}" if number % 5 else None,
                action=ACTIONS[number % 4],
                object_id=f"thing_{number % 6}",
            )

    await database.write(work)
    events = await AuditTrail(database).page(AuditFilter(), limit=count + 1)
    return events[::-1]


@pytest.fixture
async def database(open_test_database: OpenTestDatabase) -> Database:
    return await open_test_database(*SCHEMAS)


async def test_pages_hold_every_event_once_in_order_in_both_directions(database: Database) -> None:
    events, trail = await filled(database, 100), AuditTrail(database)
    assert [(event.at, event.id) for event in events] == sorted((event.at, event.id) for event in events)
    seen = await trail.page(AuditFilter(), limit=9)
    while page := await trail.page(AuditFilter(), before=seen[-1].place, limit=9):
        seen += page
    assert seen == events[::-1]
    back = await trail.page(AuditFilter(), after=seen[-1].place, limit=9)
    assert back == events[1:10][::-1]


async def test_new_events_change_no_page_that_was_looked_at(database: Database) -> None:
    events, trail = await filled(database, 40), AuditTrail(database)
    older = await trail.page(AuditFilter(), before=events[20].place, limit=10)
    await database.write(
        lambda tx: store.record(tx, now=9_999, actor=None, action="user.banned", object_id="thing_0")
    )
    assert await trail.page(AuditFilter(), before=events[20].place, limit=10) == older


@pytest.mark.parametrize(
    "wanted",
    [
        AuditFilter(actor="user_1"),
        AuditFilter(object="thing_4"),
        AuditFilter(action="user.banned"),
        AuditFilter(since=1_003, until=1_006),
        AuditFilter(actor="user_2", action="session.created", since=1_002),
        AuditFilter(actor="user_9"),
    ],
)
async def test_filters_leave_what_they_name(database: Database, wanted: AuditFilter) -> None:
    events = await filled(database, 100)
    expected = [
        event
        for event in events[::-1]
        if wanted.actor in (None, event.actor)
        and wanted.object in (None, event.object)
        and wanted.action in (None, event.action)
        and (wanted.since is None or event.at >= wanted.since)
        and (wanted.until is None or event.at < wanted.until)
    ]
    assert await AuditTrail(database).page(wanted, limit=1_000) == expected


async def test_every_action_is_named_once(database: Database) -> None:
    await filled(database, 50)
    assert await AuditTrail(database).actions() == sorted(ACTIONS)


async def plan_of(database: Database, statement: str) -> str:
    rows = await database.read(lambda tx: tx.fetch_all(statement))
    return " ".join(str(row[-1]) for row in rows)


async def test_no_page_sorts_or_reads_more_than_it_shows(database: Database) -> None:
    """Each filter has an index in the order of the page; a plan that sorts reads the whole trail."""
    if database.dialect != "sqlite":
        pytest.skip("PostgreSQL plans by how much there is, and here is little")
    for condition in ("1 = 1", "actor = 'a'", "object = 'a'", "action = 'a'"):
        statement = (
            f"EXPLAIN QUERY PLAN SELECT id FROM identity_audit WHERE {condition} AND (at, id) < (1, 'a')"
            " ORDER BY at DESC, id DESC LIMIT 50"
        )
        steps = await plan_of(database, statement)
        assert "TEMP B-TREE" not in steps, steps
        assert "INDEX identity_audit_" in steps, steps


async def address_of(database: Database, action: str, object_id: str) -> str:
    """From where the one event came."""
    (event,) = await AuditTrail(database).page(AuditFilter(action=action, object=object_id), limit=2)
    return event.ip


async def test_what_is_asked_over_http_says_from_where_and_nothing_else_does(
    accounts_on_each_engine: World,
) -> None:
    world, database = accounts_on_each_engine, accounts_on_each_engine.identity.database
    address = await become_administrator(world)
    user_id = await new_user(world, password=None)
    assert await address_of(database, "user.created", user_id) == ""
    key = await world.identity.secret_keys.make("tests", actor=None)
    transport = httpx.ASGITransport(world.identity.app, client=("198.51.100.4", 50_000))
    async with (
        Visitor(world, ip="203.0.113.9") as one,
        Visitor(world, ip="2001:db8::7") as other,
        httpx.AsyncClient(transport=transport, base_url=world.origin) as backend,
    ):
        await one.sign_in(address)
        await other.sign_in(address)
        backend.headers["authorization"] = f"Bearer {key.secret}"
        # At once: what one asks for is never told with the address of another.
        _, _, locked = await asyncio.gather(
            one.done(f"/admin/users/{user_id}/ban"),
            other.done(f"/admin/users/{user_id}/profile", first_name="Ada"),
            backend.post(f"/api/v1/users/{user_id}/lock"),
        )
        assert locked.status_code == 200
        page = text_of(await one.get("/admin/audit", object=user_id))
    assert await address_of(database, "user.banned", user_id) == "203.0.113.9"
    assert await address_of(database, "user.updated", user_id) == "2001:db8::7"
    assert await address_of(database, "user.locked", user_id) == "198.51.100.4"
    assert "from 203.0.113.9" in page
    assert "from 2001:db8::7" in page
    await world.identity.administration.unlock(user_id, actor="operator:ada")
    assert await address_of(database, "user.unlocked", user_id) == ""


async def test_the_page_walks_to_the_end_and_back(accounts: World, administrator: Visitor) -> None:
    user_id = await new_user(accounts)
    for _ in range(60):
        await accounts.identity.administration.ban([user_id], actor="sk_test")
    shown: list[int] = []
    url: str | None = f"/admin/audit?object={user_id}&action=user.banned"
    while url is not None:
        page = await administrator.get(url)
        shown.append(page.text.count("User banned</span>"))
        older = re.search(r'href="([^"]+)">Older', page.text)
        url = html.unescape(older[1]) if older else None
    assert shown == [50, 10]
    newer = re.search(r'href="([^"]+)">Newer', page.text)
    assert newer
    first = await administrator.get(html.unescape(newer[1]))
    assert first.text.count("User banned</span>") == 50


async def test_people_are_looked_for_by_address_and_shown_by_it(
    accounts: World, administrator: Visitor
) -> None:
    address = new_address()
    user_id = await new_user(accounts, address)
    await accounts.identity.administration.lock(user_id, actor="sk_test")
    page = await administrator.get("/admin/audit", object=address)
    assert "User locked" in text_of(page)
    assert address in text_of(page)
    assert f'href="/admin/users/{user_id}"' in page.text


@pytest.mark.parametrize(
    "query",
    [
        {"before": "x"},
        {"before": "99999999999999999999.evt_1"},
        {"after": "1."},
        {"from": "2026-02-31"},
        {"to": "9999-12-31"},
        {"from": "0001-01-01"},
        {"actor": "'; --"},
        {"action": "%"},
        {"before": "5.evt_1", "after": "5.evt_1"},
    ],
)
async def test_a_mistyped_address_is_a_page_all_the_same(
    administrator: Visitor, query: dict[str, str]
) -> None:
    assert (await administrator.get("/admin/audit", **query)).status_code == 200


@pytest.mark.parametrize(
    ("action", "words"),
    [
        ("organization_membership.created", "Organization membership created"),
        ("oauth.granted", "OAuth granted"),
        ("api_key.made", "API key made"),
        ("allowlist.added", "Allow-list added"),
    ],
)
def test_an_action_is_told_in_words_as_people_write_them(action: str, words: str) -> None:
    assert action_words(action) == words
