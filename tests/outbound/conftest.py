"""A server that does to each connection whatever a test tells it to, and a client."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from doorward.outbound import Outbound

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
async def serve(anyio_backend: str) -> AsyncIterator[Callable[..., Awaitable[int]]]:
    """`await serve(script, host="127.0.0.1", tls=None) -> port`."""
    servers: list[asyncio.Server] = []

    async def start(script: Script, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> int:
        async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await script(reader, writer)
            except (asyncio.IncompleteReadError, ConnectionError):
                pass  # the client left, as many of these tests want it to
            finally:
                writer.close()

        server = await asyncio.start_server(connection, host, 0, ssl=tls)
        servers.append(server)
        port: int = server.sockets[0].getsockname()[1]
        return port

    yield start
    for server in servers:
        server.close()
        await server.wait_closed()


@pytest.fixture
async def outbound(anyio_backend: str) -> AsyncIterator[Outbound]:
    client = Outbound()
    yield client
    await client.close()
