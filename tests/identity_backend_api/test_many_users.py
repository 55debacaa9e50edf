"""Pages of more users than one look takes in: whichever way they are found, they are the slice that was asked for."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from itertools import product

import msgspec
import pytest

from doorward.identity import SCHEMA
from doorward.identity.accounts.directory import FAR, WALK, Order, Ordering
from doorward.identity.accounts.filters import Choice, Filter
from doorward.identity.accounts.imports import MAX_BATCH
from doorward.identity.accounts.new_accounts import Details, Identifier, NewPassword, NewUser
from doorward.identity.accounts.store import UserRecord, delete_user, insert_user
from doorward.store import Tx, open_database
from doorward.store.database import Row
from tests import databases
from tests.identity.conftest import World

pytestmark = pytest.mark.anyio

USERS = 2_300
LIMIT = 10


class Person(msgspec.Struct, frozen=True):
    number: int
    first_name: str
    last_name: str | None

    @property
    def external_id(self) -> str:
        return f"x{self.number}"

    @property
    def address(self) -> str:
        return f"p{self.number}@example.com"

    def has(self, text: str) -> bool:
        return any(
            text in each for each in (self.address, f"{self.first_name} {self.last_name or ''}".lower())
        )


#: One in ten, one in 300, the older half, everybody, and what is too short for trigrams; ids have no such letters by chance.
TEXTS = ("tenfold", "zebediah", "quillfeather", "example.com", " t", "nobody%")


def people() -> list[Person]:
    """In the order they came."""
    found = []
    for number in range(USERS):
        first = "Zebediah" if number % 300 == 7 else "Quillfeather" if number < USERS // 2 else "Ann"
        found.append(Person(number, first, "Tenfold" if number % 10 == 3 else None))
    return found


async def made(world: World) -> list[Person]:
    everybody = people()
    for start in range(0, USERS, MAX_BATCH):
        wishes = [
            NewUser(
                details=Details(
                    external_id=person.external_id,
                    first_name=person.first_name,
                    last_name=person.last_name,
                    created_at=1_600_000_000_000 + person.number,
                ),
                email_addresses=(Identifier(person.address),),
                password=NewPassword(),
            )
            for person in everybody[start : start + MAX_BATCH]
        ]
        await world.identity.imports.take_over(wishes, actor="test")
    return everybody


def in_order(everybody: Sequence[Person], ordering: Ordering) -> list[Person]:
    keys: dict[Order, Callable[[Person], str]] = {
        "last_name": lambda person: person.last_name or "",
        "email_address": lambda person: person.address,
    }
    key = keys.get(ordering.by, lambda person: "")
    found = sorted(everybody, key=lambda person: (key(person), person.number))
    return found[::-1] if ordering.is_descending else found


async def test_a_page_is_the_slice_asked_for_however_many_match_and_however_far_it_is(world: World) -> None:
    everybody = await made(world)
    directory = world.identity.directory
    orderings = [
        Ordering(),
        Ordering("created_at", False),
        Ordering("last_name", False),
        Ordering("email_address"),
    ]
    offsets = (0, 95, FAR - 1, USERS // 2 - 3, USERS // 2 + 1, 2 * WALK + 1, USERS - 4, USERS, USERS + LIMIT)
    for text, ordering in product((None, *TEXTS), orderings):
        matching = [person for person in in_order(everybody, ordering) if text is None or person.has(text)]
        for offset in offsets:
            page = await directory.list(Filter(text=text), ordering, limit=LIMIT, offset=offset)
            expected = [person.external_id for person in matching[offset : offset + LIMIT]]
            assert [account.user.external_id for account in page] == expected, (text, ordering, offset)
        assert await directory.count(Filter(text=text)) == len(matching), text


async def test_a_search_goes_on_after_a_user_and_minds_the_other_filters(world: World) -> None:
    everybody = await made(world)
    directory = world.identity.directory
    for text in ("tenfold", "quillfeather"):
        walked: list[str | None] = []
        after = None
        while page := await directory.list(Filter(text=text), Ordering(), limit=100, offset=0, after=after):
            walked += [account.user.external_id for account in page]
            after = page[-1].user.id
        assert walked == [
            person.external_id for person in in_order(everybody, Ordering()) if person.has(text)
        ]
    named = Choice(tuple(person.external_id for person in everybody[:40]))
    found = await directory.list(Filter(text="tenfold", external_ids=named), Ordering(), limit=10, offset=0)
    assert [account.user.external_id for account in found] == ["x33", "x23", "x13", "x3"]
    early = Filter(text="tenfold", created_before=1_600_000_000_000 + 20)
    found = await directory.list(early, Ordering(), limit=10, offset=0)
    assert [account.user.external_id for account in found] == ["x13", "x3"]


async def test_the_number_of_users_follows_each_change(world: World) -> None:
    everybody = await made(world)
    directory, administration = world.identity.directory, world.identity.administration
    assert await directory.count(Filter()) == USERS
    ids = [account.user.id for account in await directory.list(Filter(), Ordering(), limit=50, offset=0)]
    for user_id in ids:
        await administration.delete(user_id, actor="test")
    assert await directory.count(Filter()) == USERS - len(ids)
    rest = [person.external_id for person in in_order(everybody, Ordering())[len(ids) :]]
    offset = random.Random(1).randrange(USERS // 2 + 1, USERS - len(ids))
    page = await directory.list(Filter(), Ordering(), limit=LIMIT, offset=offset)
    assert [account.user.external_id for account in page] == rest[offset : offset + LIMIT]


@pytest.mark.postgresql
async def test_the_rows_that_count_users_are_folded_together_now_and_then() -> None:
    """A sign-up in a thousand does it; here it is the one that a seed chooses."""
    user = UserRecord(
        id="user_1", primary_email_address_id="idn_1", password_hash=None, password_updated_at=None, first_name=None,
        last_name=None, public_metadata="{}", unsafe_metadata="{}", is_administrator=False, is_banned=False,
        locked_until=None, last_sign_in_at=None, created_at=1, updated_at=1,
    )  # fmt: skip
    rows = "SELECT users FROM identity_user_counts"

    def begin_small(tx: Tx) -> None:
        for seed in range(20_000):
            tx.fetch_one("SELECT setseed(?)", (seed / 20_000,))
            if (tx.fetch_one("SELECT random()") or (1,))[0] < 0.001:
                tx.fetch_one("SELECT setseed(?)", (seed / 20_000,))
                return
        raise AssertionError("no seed begins with a small number")

    def work(tx: Tx) -> list[Row]:
        tx.fetch_one("SELECT setseed(0.5)")
        insert_user(tx, user)
        delete_user(tx, user.id)
        assert tx.fetch_all(rows) == [(1,), (-1,)]
        begin_small(tx)
        insert_user(tx, user)
        return tx.fetch_all(rows)

    with databases.new_postgresql([SCHEMA]) as url:
        database = await open_database(url, schemas=[SCHEMA])
        assert await database.write(work) == [(1,)]
        await database.close()
