"""Owners hear of their links by mail: one mail a link however many nodes run, and again when it could not be sent."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from doorward.identity import SCHEMA as IDENTITY_SCHEMA
from doorward.identity import DevelopmentInbox, Identity, IdentitySettings, Mail, Mailer, create_identity
from doorward.identity.accounts import store as accounts
from doorward.relay import SCHEMA as RELAY_SCHEMA
from doorward.relay import LinkNotices
from doorward.relay.link_notices import store as notices
from doorward.relay.link_notices.service import LEASE_MS
from doorward.server.link_mail import tell_owners_of_links
from doorward.store import Database, Sealer, open_database
from tests.conftest import ClockForTests, DatabaseUrl

pytestmark = pytest.mark.anyio

ADDRESS = "ada@example.com"
SCHEMAS = (IDENTITY_SCHEMA, RELAY_SCHEMA)


class Broken:
    """A mail server that is down, until it is not."""

    def __init__(self, inbox: DevelopmentInbox) -> None:
        self.inbox = inbox
        self.is_down = True
        self.was_tried = asyncio.Event()

    async def send(self, message: Mail) -> None:
        self.was_tried.set()
        if self.is_down:
            raise ConnectionRefusedError("no mail server")
        await self.inbox.send(message)


async def open_account(database: Database) -> None:
    def insert(tx) -> None:  # type: ignore[no-untyped-def]
        accounts.insert_user(
            tx,
            accounts.UserRecord(
                "user_ada", "idn_1", None, None, None, None, "{}", "{}", False, False, None, None, 1, 1
            ),
        )
        accounts.insert_email(tx, accounts.EmailAddressRecord("idn_1", "user_ada", ADDRESS, 1, 1, 1))

    await database.write(insert)


async def note(database: Database, number: int, clock: ClockForTests, user_id: str = "user_ada") -> None:
    """What the relay writes in the transaction that makes a link."""
    notice = notices.Notice(
        notice_id=f"n{number}",
        user_id=user_id,
        environment_id=f"env-{number}",
        label=f"machine {number}",
        kind="linked",
        source="203.0.113.7",
        happened_at=clock(),
    )

    def write(tx) -> None:  # type: ignore[no-untyped-def]
        notices.insert(tx, notice)
        tx.notify("relay.link_notices", notice.notice_id)

    await database.write(write)


@contextlib.asynccontextmanager
async def node(
    url: str, sealer: Sealer, mailer: Mailer, clock: ClockForTests
) -> AsyncIterator[tuple[Database, Identity]]:
    """A node with the identity role, as `server` makes one."""
    database = await open_database(url, schemas=SCHEMAS)
    settings = IdentitySettings(
        origin="http://accounts.localhost:8080",
        development=True,
        sign_up="open",
        relay_origin="http://relay.localhost:8080",
        gate_zone="env.localhost:8080",
    )
    identity = await create_identity(settings, database, sealer=sealer, mailer=mailer, clock=clock)
    telling = asyncio.create_task(tell_owners_of_links(database, LinkNotices(database, clock), identity))
    try:
        yield database, identity
    finally:
        telling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await telling
        await database.close()


async def until_there_are(database: Database, left: int) -> None:
    """Wait until so many notices have still to be told."""

    async def count() -> int:
        return len(await database.read(lambda tx: tx.fetch_all("SELECT 1 FROM relay_link_notices")))

    async with asyncio.timeout(60):
        while await count() != left:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_two_nodes_send_one_mail_for_each_link(database_url: DatabaseUrl, clock: ClockForTests) -> None:
    url, sealer = database_url(*SCHEMAS), Sealer(bytes(32))
    inbox = DevelopmentInbox(clock)
    async with node(url, sealer, inbox, clock) as (one, _), node(url, sealer, inbox, clock) as (other, _):
        await open_account(one)
        await asyncio.gather(*(note((one, other)[n % 2], n, clock) for n in range(10)))
        await until_there_are(one, 0)
    assert sorted(received.mail.subject for received in inbox.messages) == sorted(
        f"“machine {n}” was linked to your Doorward account" for n in range(10)
    )
    assert {received.mail.to for received in inbox.messages} == {ADDRESS}


async def test_a_mail_that_could_not_be_sent_is_sent_by_the_next_node(
    database_url: DatabaseUrl, clock: ClockForTests
) -> None:
    url, sealer = database_url(*SCHEMAS), Sealer(bytes(32))
    broken = Broken(DevelopmentInbox(clock))
    async with node(url, sealer, broken, clock) as (database, _):
        await open_account(database)
        await note(database, 1, clock)
        await asyncio.wait_for(broken.was_tried.wait(), 60)
    broken.is_down = False
    clock.advance(LEASE_MS)
    async with node(url, sealer, broken, clock) as (database, _):
        await until_there_are(database, 0)
    assert len(broken.inbox.messages) == 1


async def test_an_account_that_is_gone_gets_no_mail_and_holds_nothing_up(
    database_url: DatabaseUrl, clock: ClockForTests
) -> None:
    url, sealer = database_url(*SCHEMAS), Sealer(bytes(32))
    inbox = DevelopmentInbox(clock)
    async with node(url, sealer, inbox, clock) as (database, _):
        await open_account(database)
        await note(database, 1, clock, user_id="user_gone")
        await note(database, 2, clock)
        await until_there_are(database, 0)
    assert [received.mail.to for received in inbox.messages] == [ADDRESS]


async def test_a_flood_of_links_is_told_at_a_bearable_pace(
    database_url: DatabaseUrl, clock: ClockForTests
) -> None:
    url, sealer = database_url(*SCHEMAS), Sealer(bytes(32))
    inbox = DevelopmentInbox(clock)
    async with node(url, sealer, inbox, clock) as (database, identity):
        await open_account(database)
        allowed = identity.settings.limits.link_mail_per_address
        for number in range(allowed.burst + 5):
            await note(database, number, clock)

        await until_there_are(database, 5)
    assert len(inbox.messages) == allowed.burst
