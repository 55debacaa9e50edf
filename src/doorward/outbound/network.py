"""The sockets under the client: httpcore's asyncio ones, but localhost names go to loopback without being resolved,
and a stranger's names only to where they may lead."""

import asyncio
import socket
import ssl
from collections.abc import Iterable
from select import POLLIN, poll
from typing import Any

import httpcore

from doorward.outbound.addresses import LOOPBACK, LOOPBACK_IPV6, is_localhost, is_public
from doorward.outbound.errors import AddressRefused


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


class LocalhostBackend(httpcore.AnyIOBackend):
    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        if not is_localhost(host):
            return _Stream(await super().connect_tcp(host, port, timeout, local_address, socket_options))
        try:
            return _Stream(await super().connect_tcp(LOOPBACK, port, timeout, local_address, socket_options))
        except httpcore.ConnectError as refused:
            try:
                return _Stream(
                    await super().connect_tcp(LOOPBACK_IPV6, port, timeout, local_address, socket_options)
                )
            except httpcore.ConnectError:
                raise refused from None


class PublicBackend(LocalhostBackend):
    """For URLs a stranger gave us: dials public addresses only.

    The name is resolved here, once, and the very address that was checked is dialled: a name that changes its mind
    between a check and a connection (DNS rebinding) would otherwise lead inside. One private address among several
    refuses all of them.
    """

    def __init__(self, private_hosts: Iterable[str]) -> None:
        super().__init__()
        self._private_hosts = frozenset(private_hosts)

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        if host in self._private_hosts:
            return await super().connect_tcp(host, port, timeout, local_address, socket_options)
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        if not addresses or not all(is_public(address) for address in addresses):
            raise AddressRefused(f"{host} does not lead to the public Internet; nothing was sent.")
        for address in addresses[:-1]:
            try:
                return await super().connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore.ConnectError:
                continue
        return await super().connect_tcp(addresses[-1], port, timeout, local_address, socket_options)
