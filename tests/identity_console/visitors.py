"""How somebody becomes an administrator, and how users are made for them to look after."""

import re

from doorward.identity.accounts.new_accounts import Details, Identifier, NewPassword, NewUser
from tests.identity_pages.visitors import Visitor
from tests.identity_pages.world import PASSWORD, World, new_address


async def become_administrator(world: World) -> str:
    """With the one-time link, as the first person does. The address."""
    url, address = await world.identity.administrator_invitation(), new_address()
    assert url is not None
    async with Visitor(world) as visitor:
        ticket = url.partition("__clerk_ticket=")[2]
        sent = await visitor.post("/sign-up", email=address, password=PASSWORD, ticket=ticket)
        attempt = re.search(r"attempt=(\w+)", sent.headers["location"])
        assert attempt
        await visitor.post("/sign-up/verify", attempt=attempt[1], code=await world.newest_code(address))
    return address


async def new_user(
    world: World, address: str | None = None, *, password: str | None = PASSWORD, **members: object
) -> str:
    """The id of a user. Many are made without a password: hashing one takes its time."""
    account = await world.identity.administration.create(
        NewUser(
            details=Details(**members),  # type: ignore[arg-type]
            email_addresses=(Identifier(address or new_address()),),
            password=NewPassword(password=password),
        ),
        actor="test",
    )
    return account.user.id
