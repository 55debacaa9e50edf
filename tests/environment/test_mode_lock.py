"""Mints and changes of the mode: the first together, the second alone and never put off."""

import asyncio

import pytest

from doorward.environment.approvals.mode_lock import ModeLock

pytestmark = pytest.mark.anyio


async def test_mints_do_not_wait_for_one_another() -> None:
    lock = ModeLock()
    async with lock.minting(), lock.minting():
        pass


async def test_a_change_waits_for_the_mints_that_began_and_no_other_begins_before_it() -> None:
    lock, told, ended = ModeLock(), list[str](), asyncio.Event()

    async def mint(name: str, until: asyncio.Event | None = None) -> None:
        async with lock.minting():
            told.append(f"{name} begins")
            if until is not None:
                await until.wait()
            told.append(f"{name} ends")

    async def change() -> None:
        async with lock.changing():
            told.append("change")

    tasks = [
        asyncio.create_task(work)
        for work in (mint("first", ended), mint("second", ended), change(), mint("late"))
    ]
    for _ in range(5):  # turns enough for all of them to go as far as they can
        await asyncio.sleep(0)
    assert told == ["first begins", "second begins"]
    ended.set()
    await asyncio.gather(*tasks)
    assert told == [
        "first begins",
        "second begins",
        "first ends",
        "second ends",
        "change",
        "late begins",
        "late ends",
    ]


async def test_a_mint_that_is_cancelled_holds_no_change_up() -> None:
    lock, forever = ModeLock(), asyncio.Event()

    async def mint() -> None:
        async with lock.minting():
            await forever.wait()

    task = asyncio.create_task(mint())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    async with lock.changing():
        pass
