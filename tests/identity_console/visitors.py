"""Browsers without a window, and how somebody becomes an administrator."""

import re
from types import TracebackType
from typing import Self

import httpx

from doorward.identity.accounts.new_accounts import Details, Identifier, NewPassword, NewUser
from tests.identity_pages.world import PASSWORD, World, new_address


class Visitor:
    """Cookies kept, redirects not followed, `Origin` as a browser would send it."""

    def __init__(self, world: World, *, ip: str = "127.0.0.1") -> None:
        self.world = world
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(world.identity.app, client=(ip, 50_000)),
            base_url=world.origin,
            headers={"accept": "text/html"},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.http.aclose()

    async def get(self, path: str, **query: str) -> httpx.Response:
        return await self.http.get(path, params=query or None)

    async def post(self, path: str, **fields: str) -> httpx.Response:
        return await self.http.post(path, data=fields, headers={"origin": self.world.origin})

    async def done(self, path: str, **fields: str) -> str:
        """Where a form leads once it did what it asks for."""
        answer = await self.post(path, **fields)
        assert answer.status_code == 303, (answer.status_code, text_of(answer))
        return answer.headers["location"]

    async def sign_in(self, address: str, password: str = PASSWORD) -> None:
        answer = await self.post("/sign-in", email=address, password=password)
        assert answer.headers.get("location") == "/machines", text_of(answer)


def text_of(answer: httpx.Response) -> str:
    """What the page says, without its markup."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text.partition("<main")[2]))


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
