"""The sockets under httpcore: its asyncio ones, but localhost names go to loopback without being resolved,
and a stranger's names only to where they may lead."""

import ssl
from collections.abc import Iterable
from select import POLLIN, poll
from typing import Any

import httpcore

from doorward.outbound.addresses import addresses_to_dial


class _Stream(httpcore.AsyncNetworkStream):
    """httpcore's stream, which knows its socket: before each request every idle connection is asked whether it was closed."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._poll = poll()
        self._poll.register(stream.get_extra_info("socket"), POLLIN)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":
            return bool(self._poll.poll(0))
        return self._stream.get_extra_info(info)


class Backend(httpcore.AnyIOBackend):
    """Dials what `addresses_to_dial` says."""

    def __init__(self, private_hosts: frozenset[str] | None) -> None:
        super().__init__()
        self._private_hosts = private_hosts

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        failure: Exception | None = None
        try:
            addresses = await addresses_to_dial(host, port, private_hosts=self._private_hosts)
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        for address in addresses:
            try:
                stream = await super().connect_tcp(address, port, timeout, local_address, socket_options)
                return _Stream(stream)
            except httpcore.ConnectError as error:
                failure = failure or error
        raise failure or httpcore.ConnectError("the name leads nowhere")
