"""Making and withdrawing administrators, on both databases."""

import asyncio

import pytest

from doorward.identity.errors import Refused
from tests.identity_console.visitors import Visitor, become_administrator, new_user, text_of
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
        assert "Nobody else administers this server." in text_of(last)
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


async def test_two_who_withdraw_one_another_at_once_leave_one(accounts_on_each_engine: World) -> None:
    world = accounts_on_each_engine
    await become_administrator(world)
    (first_id,) = await administrator_ids(world)
    second_id = await new_user(world)
    administrators = world.identity.administrators
    for _ in range(5):
        for user_id in (first_id, second_id):
            await administrators.grant(user_id, actor=first_id)
        results = await asyncio.gather(
            administrators.withdraw(first_id, actor=second_id),
            administrators.withdraw(second_id, actor=first_id),
            return_exceptions=True,
        )
        assert sum(isinstance(result, Refused) for result in results) == 1, results
        assert len(await administrator_ids(world)) == 1


async def test_somebody_who_withdraws_themselves_is_led_out(accounts_on_each_engine: World) -> None:
    world = accounts_on_each_engine
    address = await become_administrator(world)
    (first_id,) = await administrator_ids(world)
    await world.identity.administrators.grant(await new_user(world), actor=first_id)
    async with Visitor(world) as visitor:
        await visitor.sign_in(address)
        assert await visitor.done(f"/admin/administrators/{first_id}/withdraw") == "/account"
        assert (await visitor.get("/admin")).status_code == 404
