"""Browsers without a window."""

import re
from types import TracebackType
from typing import Self

import httpx

from tests.identity_pages.world import PASSWORD, World


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

    async def post(self, path: str, headers: dict[str, str] | None = None, **fields: str) -> httpx.Response:
        """`headers` in place of `Origin`."""
        sent = {"origin": self.world.origin} if headers is None else headers
        return await self.http.post(path, data=fields, headers=sent)

    async def done(self, path: str, **fields: str) -> str:
        """Where a form leads once it did what it asks for."""
        answer = await self.post(path, **fields)
        assert answer.status_code == 303, (answer.status_code, text_of(answer))
        return answer.headers["location"]

    async def sign_up(self, address: str) -> None:
        sent = await self.post("/sign-up", email=address, password=PASSWORD)
        assert sent.status_code == 303, sent.text
        attempt = re.search(r"attempt=(\w+)", sent.headers["location"])
        assert attempt
        done = await self.post(
            "/sign-up/verify", attempt=attempt[1], code=await self.world.newest_code(address)
        )
        assert done.headers["location"] == "/machines"

    async def sign_in(self, address: str, password: str = PASSWORD) -> None:
        answer = await self.post("/sign-in", email=address, password=password)
        assert answer.headers.get("location") == "/machines", text_of(answer)


def text_of(answer: httpx.Response) -> str:
    """What the page says, without its markup."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text.partition("<main")[2]))
