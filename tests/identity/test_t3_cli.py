"""What T3 Code's command line sends when it signs in, byte for byte over a real socket, and what it needs back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import pytest
import uvicorn

from tests.identity.conftest import CHALLENGE, VERIFIER, World, claims_of

pytestmark = pytest.mark.anyio

STATE = "9b2f5f0e-6c1f-4c56-9d5e-1f2a3b4c5d6e"
TARGET = (
    "/oauth/authorize?client_id=doorward-cli&redirect_uri=http%3A%2F%2F127.0.0.1%3A34338%2Fcallback"
    f"&response_type=code&scope=openid+profile+email&state={STATE}&code_challenge={CHALLENGE}"
    "&code_challenge_method=S256"
)


@contextlib.asynccontextmanager
async def served(world: World) -> AsyncIterator[int]:
    server = uvicorn.Server(
        uvicorn.Config(world.identity.app, host="127.0.0.1", port=0, log_level="error", lifespan="off")
    )
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  (uvicorn has no event for it)
        await asyncio.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await task


async def exchange(port: int, request: str) -> tuple[int, dict[str, str], bytes]:
    """Send exactly these bytes; the status, headers and body of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request.encode("ascii"))
    await writer.drain()
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status = int(head.split(" ", 2)[1])
    lines = [line.split(": ", 1) for line in head.splitlines()[1:] if ": " in line]
    headers = {name.lower(): value for name, value in lines}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    writer.close()
    await writer.wait_closed()
    return status, headers, body


def form_post(path: str, body: str) -> str:
    return (
        f"POST {path} HTTP/1.1\r\nHost: accounts.localhost:8080\r\nAccept: application/json\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n"
        f"Connection: close\r\n\r\n{body}"
    )


@pytest.mark.conformance("clerk-frontend", 119, 126, 130)
async def test_the_whole_login_of_the_t3_command_line(world: World):
    person = await world.signed_up()
    cookie = f"__client={person.http.cookies['__client']}"
    async with served(world) as port:
        status, headers, _ = await exchange(
            port, f"GET {TARGET} HTTP/1.1\r\nHost: accounts.localhost:8080\r\nConnection: close\r\n\r\n"
        )
        assert status == 303
        sign_in = urlsplit(headers["location"])
        assert sign_in.path == "/sign-in"
        assert parse_qs(sign_in.query)["redirect_url"] == [f"http://accounts.localhost:8080{TARGET}"]

        status, headers, _ = await exchange(
            port,
            f"GET {TARGET} HTTP/1.1\r\nHost: accounts.localhost:8080\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n",
        )
        assert status == 303
        query = urlsplit(headers["location"]).query
        consent = form_post("/v1/me/oauth/consent/doorward-cli", f"consented=true&{query}").replace(
            "Accept:", f"Origin: http://accounts.localhost:8080\r\nCookie: {cookie}\r\nAccept:", 1
        )
        status, headers, _ = await exchange(port, consent)
        assert status == 303
        callback = urlsplit(headers["location"])
        assert (callback.netloc, callback.path) == ("127.0.0.1:34338", "/callback")
        answer = parse_qs(callback.query)
        assert answer["state"] == [STATE]

        status, headers, body = await exchange(
            port,
            form_post(
                "/oauth/token",
                f"grant_type=authorization_code&code={answer['code'][0]}"
                "&redirect_uri=http%3A%2F%2F127.0.0.1%3A34338%2Fcallback&client_id=doorward-cli"
                f"&code_verifier={VERIFIER}",
            ),
        )
        assert (status, headers["content-type"]) == (200, "application/json")
        tokens = json.loads(body)
        assert isinstance(tokens["access_token"], str)
        assert isinstance(tokens["token_type"], str)
        assert isinstance(tokens["refresh_token"], str)
        assert re.search(rb'"expires_in":86400[,}]', body)

        world.clock.advance(86_400_000 - 4 * 60_000)
        status, _, body = await exchange(
            port,
            form_post(
                "/oauth/token",
                f"grant_type=refresh_token&refresh_token={tokens['refresh_token']}&client_id=doorward-cli",
            ),
        )
        assert status == 200
        renewed = json.loads(body)
        assert claims_of(renewed["access_token"])["sub"] == claims_of(tokens["access_token"])["sub"]
        assert renewed["refresh_token"] != tokens["refresh_token"]
