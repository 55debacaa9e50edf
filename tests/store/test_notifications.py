import asyncio
from collections.abc import AsyncIterator

import pytest

from doorward.store import Database, TransactionMisused, Tx
from doorward.store.notifications import MAX_BACKLOG, RELOAD, Hub

SECONDS = 60


async def following(events: AsyncIterator[str], how_many: int) -> list[str]:
    """The next payloads, without the "reload" a second writer on the same file may cause."""
    received: list[str] = []
    async with asyncio.timeout(SECONDS):
        async for payload in events:
            if payload:
                received.append(payload)
            if len(received) == how_many:
                break
    return received


def notify(*payloads: str, channel: str = "ledger.changed"):
    def job(tx: Tx) -> None:
        for payload in payloads:
            tx.notify(channel, payload)

    return job


@pytest.mark.anyio
async def test_every_subscriber_of_the_channel_on_every_node_hears_in_commit_order(
    ledger: Database, open_again
) -> None:
    other = await open_again()
    if ledger.dialect == "sqlite":
        other = (
            ledger  # one process owns the file; another process's writes arrive as "reload", tested beside
        )
    async with (
        ledger.subscribe("ledger.changed") as one,
        other.subscribe("ledger.changed") as two,
        ledger.subscribe("ledger.other") as stranger,
    ):
        for number in range(5):
            await ledger.write(notify(f"{number}a", f"{number}b"))
        await ledger.write(notify("for the stranger", channel="ledger.other"))
        expected = [f"{number}{letter}" for number in range(5) for letter in "ab"]
        assert await following(one, 10) == expected
        assert await following(two, 10) == expected
        assert await following(stranger, 1) == ["for the stranger"]


@pytest.mark.anyio
async def test_nothing_is_heard_of_a_transaction_that_did_not_commit(ledger: Database) -> None:
    def fail(tx: Tx) -> None:
        tx.notify("ledger.changed", "never")
        raise LookupError

    async with ledger.subscribe("ledger.changed") as events:
        with pytest.raises(LookupError):
            await ledger.write(fail)
        await ledger.write(notify("after"))
        assert await following(events, 1) == ["after"]


@pytest.mark.anyio
async def test_whoever_hears_of_a_change_can_read_it(ledger: Database) -> None:
    def change(number: int):
        def job(tx: Tx) -> None:
            tx.execute("UPDATE ledger_accounts SET balance = ?", (number,))
            tx.notify("ledger.changed", str(number))

        return job

    def balance(tx: Tx) -> int:
        row = tx.fetch_one("SELECT balance FROM ledger_accounts")
        assert row is not None
        return row[0]

    async with ledger.subscribe("ledger.changed") as events:
        for number in range(1, 20):
            writing = asyncio.create_task(ledger.write(change(number)))
            assert await following(events, 1) == [str(number)]
            assert await ledger.read(balance) == number
            await writing


@pytest.mark.anyio
async def test_equal_messages_of_one_transaction_arrive_once(ledger: Database) -> None:
    async with ledger.subscribe("ledger.changed") as events:
        await ledger.write(notify("x", "y", "x"))
        await ledger.write(notify("x"))
        assert await following(events, 3) == ["x", "y", "x"]


@pytest.mark.anyio
async def test_the_longest_payload_arrives_whole_and_a_longer_one_is_refused(ledger: Database) -> None:
    longest = "ü" * 3_500
    async with ledger.subscribe("c" * 63) as events:
        await ledger.write(notify(longest, channel="c" * 63))
        assert await following(events, 1) == [longest]
    for channel, payload in (
        ("x", longest + "u"),
        ("x", ""),
        ("", "x"),
        ("X", "x"),
        ("a\nb", "x"),
        ("c" * 64, "x"),
    ):
        with pytest.raises(TransactionMisused):
            await ledger.write(notify(payload, channel=channel))


@pytest.mark.anyio
async def test_closing_the_database_ends_every_iteration(ledger: Database) -> None:
    async def listen() -> list[str]:
        received: list[str] = []
        async with ledger.subscribe("ledger.changed") as events:
            ready.set()
            async for payload in events:
                if payload:
                    received.append(payload)
                    heard.set()
        return received

    ready, heard = asyncio.Event(), asyncio.Event()
    listening = asyncio.create_task(listen())
    await ready.wait()
    await ledger.write(notify("last"))
    async with asyncio.timeout(SECONDS):
        await heard.wait()  # PostgreSQL delivers it when it has time
        await ledger.close()
        assert await listening == ["last"]
        async with ledger.subscribe("ledger.changed") as events:
            assert [payload async for payload in events] == []


@pytest.mark.anyio
async def test_a_subscriber_that_falls_far_behind_is_told_to_reload() -> None:
    hub = Hub()
    async with hub.subscribe("x") as events:
        for number in range(MAX_BACKLOG + 3):
            hub.publish("x", str(number))
        await asyncio.sleep(0)
        received = [await anext(events) for _ in range(3)]
        assert received == [RELOAD, str(MAX_BACKLOG + 1), str(MAX_BACKLOG + 2)]
    hub.publish("x", "nobody is left to hear this")
