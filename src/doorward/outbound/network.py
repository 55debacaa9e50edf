"""The sockets under the client: httpcore's asyncio ones, but localhost names go to loopback without being resolved."""

from collections.abc import Iterable
from typing import Any

import httpcore

from doorward.outbound.addresses import LOOPBACK, LOOPBACK_IPV6, is_localhost


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
            return await super().connect_tcp(host, port, timeout, local_address, socket_options)
        try:
            return await super().connect_tcp(LOOPBACK, port, timeout, local_address, socket_options)
        except httpcore.ConnectError as refused:
            try:
                return await super().connect_tcp(LOOPBACK_IPV6, port, timeout, local_address, socket_options)
            except httpcore.ConnectError:
                raise refused from None
