"""Making and withdrawing administrators, on both databases."""

import asyncio

import pytest

from doorward.identity.accounts.administrators import can_administer
from doorward.identity.errors import Refused
from tests.identity_console.visitors import become_administrator, new_user
from tests.identity_pages.visitors import Visitor, text_of
from tests.identity_pages.world import World, new_address

pytestmark = pytest.mark.anyio


async def administrator_ids(world: World) -> list[str]:
    return [account.user.id for account in await world.identity.administrators.list()]


async def test_an_administrator_makes_another_who_is_let_in_at_once(accounts_on_each_engine: World) -> None:
    world = accounts_on_each_engine
    first, second = await become_administrator(world), new_address()
    (first_id,) = await administrator_ids(world)
    second_id = await new_user(world, second)
    async with Visitor(world) as one, Visitor(world) as two:
        await one.sign_in(first)
        await two.sign_in(second)
        assert (await two.get("/admin")).status_code == 404
        location = await one.done("/admin/administrators/new", email_address=second.upper())
        assert location == f"/admin/administrators/{second_id}/grant"
        await one.done(location)
        assert (await two.get("/admin")).status_code == 200
        await two.done(f"/admin/administrators/{first_id}/withdraw")
        assert (await one.get("/admin")).status_code == 404
        assert await administrator_ids(world) == [second_id]
        last = await two.post(f"/admin/administrators/{second_id}/withdraw")
        assert last.status_code == 409
        assert "Make somebody else an administrator first" in text_of(last)
        assert (await two.get("/admin")).status_code == 200


async def test_an_address_of_nobody_is_told_beside_the_field(accounts_on_each_engine: World) -> None:
    world = accounts_on_each_engine
    address = await become_administrator(world)
    async with Visitor(world) as visitor:
        await visitor.sign_in(address)
        refused = await visitor.post("/admin/administrators/new", email_address="nobody@example.com")
    assert refused.status_code == 422
    assert "No single user has this address." in text_of(refused)


async def test_a_banned_administrator_does_not_count_as_one_who_is_left(
    accounts_on_each_engine: World,
) -> None:
    world = accounts_on_each_engine
    await become_administrator(world)
    (first_id,) = await administrator_ids(world)
    second_id = await new_user(world)
    administrators = world.identity.administrators
    await administrators.grant(second_id, actor=first_id)
    await world.identity.administration.ban([second_id], actor=first_id)
    with pytest.raises(Refused) as refused:
        await administrators.withdraw(first_id, actor=first_id)
    assert refused.value.errors[0].code == "last_administrator"
    await administrators.withdraw(second_id, actor=first_id)
    with pytest.raises(Refused) as refused:
        await administrators.grant(second_id, actor=first_id)
    assert refused.value.errors[0].code == "user_banned"


async def test_somebody_who_withdraws_themselves_is_led_out(accounts_on_each_engine: World) -> None:
    world = accounts_on_each_engine
    address = await become_administrator(world)
    (first_id,) = await administrator_ids(world)
    await world.identity.administrators.grant(await new_user(world), actor=first_id)
    async with Visitor(world) as visitor:
        await visitor.sign_in(address)
        assert await visitor.done(f"/admin/administrators/{first_id}/withdraw") == "/account"
        assert (await visitor.get("/admin")).status_code == 404


async def two_administrators(world: World) -> tuple[str, str]:
    """Their ids; the first one's also makes the second."""
    await become_administrator(world)
    (first_id,) = await administrator_ids(world)
    second_id = await new_user(world)
    await world.identity.administrators.grant(second_id, actor=first_id)
    return first_id, second_id


@pytest.mark.parametrize("act", ["ban", "lock", "delete", "withdraw"])
async def test_nothing_takes_away_the_last_administrator(accounts_on_each_engine: World, act: str) -> None:
    world = accounts_on_each_engine
    first_id, second_id = await two_administrators(world)
    await barring(world, act, second_id)
    with pytest.raises(Refused) as refused:
        await barring(world, act, first_id)
    assert (refused.value.status, refused.value.errors[0].code) == (409, "last_administrator")
    account = await world.identity.administration.get(first_id)
    assert can_administer(account.user, world.identity.clock())


@pytest.mark.parametrize("act", ["ban", "lock", "delete", "withdraw"])
async def test_two_who_bar_one_another_at_once_leave_one(accounts_on_each_engine: World, act: str) -> None:
    world, identity = accounts_on_each_engine, accounts_on_each_engine.identity
    first_id, second_id = await two_administrators(world)
    for _ in range(3):
        results = await asyncio.gather(
            barring(world, act, first_id), barring(world, act, second_id), return_exceptions=True
        )
        (refused,) = [result for result in results if isinstance(result, BaseException)]
        assert isinstance(refused, Refused), refused
        assert refused.errors[0].code == "last_administrator"
        able = [
            one for one in await identity.administrators.list() if can_administer(one.user, identity.clock())
        ]
        assert len(able) == 1
        # Two again, for the next round: whoever was barred is let in, or somebody new takes their place.
        first_id = able[0].user.id
        second_id = await new_user(world, password=None)
        await identity.administrators.grant(second_id, actor=first_id)


async def test_all_administrators_are_not_banned_in_one_go(accounts_on_each_engine: World) -> None:
    world = accounts_on_each_engine
    both = await two_administrators(world)
    with pytest.raises(Refused) as refused:
        await world.identity.administration.ban(both, actor="test")
    assert refused.value.errors[0].code == "last_administrator"
    assert not any(one.user.is_banned for one in await world.identity.administrators.list())


async def barring(world: World, act: str, user_id: str) -> None:
    identity = world.identity
    match act:
        case "ban":
            await identity.administration.ban([user_id], actor="test")
        case "lock":
            await identity.administration.lock(user_id, actor="test")
        case "delete":
            await identity.administration.delete(user_id, actor="test")
        case "withdraw":
            await identity.administrators.withdraw(user_id, actor="test")
