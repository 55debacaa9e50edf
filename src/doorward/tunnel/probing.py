"""Whether anything comes through a tunnel that was just opened, and if not, where it ends.

A tunnel that stands says nothing of the gate or the program behind it. So the edge sends one small request of its own
through it, by the way a visitor's goes from the moment it is parsed: host name, limits, tunnel, the machine's router. It
leaves in the same write as CONFIG, and needs no name to be resolved and no TLS to be made; what lies before the edge is
the machine's own dialling to notice (`dialing`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TypeAlias
from urllib.parse import urlsplit

import msgspec

from doorward.http1 import AnswerTaker, BadResponse, Headers, Peer, RequestHead
from doorward.tunnel.messages import HealthMessage

Ask: TypeAlias = Callable[[RequestHead, bytes, Peer, AnswerTaker], Awaitable[None]]

#: A machine's own proxying said so: its local server does not answer.
_SERVICE_STATUSES = frozenset({502, 504})
_LONGEST_WAIT = 30.0

THROUGH = HealthMessage()
SILENT = HealthMessage(
    "tunnel_silent", "The tunnel is open, but nothing that the edge sends through it is answered."
)


class Probing(msgspec.Struct, frozen=True, kw_only=True):
    """`target` is what an edge asks of its machines; any answer but 429 and 5xx within `seconds` will do."""

    target: bytes
    seconds: float = 10.0


class Probe:
    def __init__(self, probing: Probing, ask: Ask) -> None:
        self._probing = probing
        self._ask = ask

    async def health(self, hostname: str, *, origin: str) -> HealthMessage:
        """What became of one request for `hostname` at the edge of this `origin`."""
        scheme, port = urlsplit(origin).scheme, urlsplit(origin).port
        host = hostname if port is None else f"{hostname}:{port}"
        headers = [(b"host", host.encode()), (b"x-forwarded-proto", scheme.encode())]
        answer = _Status()
        with contextlib.suppress(TimeoutError, BadResponse):
            async with asyncio.timeout(self._probing.seconds):
                await self._ask(
                    RequestHead(b"GET", self._probing.target, headers),
                    b"",
                    Peer("127.0.0.1", is_tls=scheme == "https"),
                    answer,
                )
        return health_of(answer.status)


class _Status:
    """`AnswerTaker` of an answer's status, None until it came."""

    status: int | None = None

    def begin(self, status: int, fields: Headers) -> None:
        self.status = status

    def feed(self, piece: bytes) -> None: ...


def health_of(status: int | None) -> HealthMessage:
    """What the answer's status says of the hops behind the tunnel; None: there was none."""
    if status is None:
        return SILENT
    if status in _SERVICE_STATUSES:
        return HealthMessage(
            "service_failing",
            f"The tunnel is open, but this machine's local server does not answer ({status}).",
        )
    if status == 429 or status >= 500:
        return HealthMessage("gate_failing", f"The tunnel is open, but this machine's gate answers {status}.")
    return THROUGH


def wait_before(attempt: int, uniform: Callable[[float, float], float]) -> float:
    """Seconds until a machine is asked again after `attempt` (from 0) came to nothing."""
    longest = min(_LONGEST_WAIT, 2.0**attempt)
    return uniform(longest / 2, longest)
