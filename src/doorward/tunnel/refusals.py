"""Why the edge does not carry a request to a machine, whatever protocol the machine's tunnel speaks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import msgspec

from doorward.http1 import Data, Failure, Headers, Inbound, RequestHead, network_of
from doorward.http1.heads import IDEMPOTENT
from doorward.tunnel.allowances import AccountUse

TUNNEL_LOST = Failure(502, "tunnel_lost", "The connection to the machine was lost before it had answered.")
_TUNNEL_LOST_UNANSWERED = msgspec.structs.replace(TUNNEL_LOST, may_replay=True)
TUNNEL_BUSY = Failure(
    503, "tunnel_busy", "The machine is handling as many requests as it can. Try again in a moment.", True
)
VISITOR_BUSY = Failure(
    429,
    "visitor_busy",
    "Too many requests at once from your address. Wait until some of them have ended.",
    True,
)
TOO_FAST = Failure(
    429, "too_many_requests", "This account's machines are asked more often than it may be. Slow down.", True
)
REQUEST_REFUSED = Failure(
    503, "request_refused", "The machine could not take the request. Try again in a moment.", True
)
BROKEN_OFF = Failure(502, "machine_broke_off", "The machine ended the request before it had answered.")

# Proofs that are good for one request (RFC 9449 §11.1): a machine that has seen one would refuse it, and its visitor
# would take that for the answer.
_SINGLE_USE = (b"dpop", b"doorward-dpop")


def tunnel_lost(head: RequestHead, *, is_heard: bool) -> Failure:
    """What the end of its tunnel is to an open request. `is_heard`: something of an answer went on to the visitor.

    A body is gone with the tunnel, and a handshake opens something that ended with it: neither is asked for again.
    """
    if is_heard or head.length or head.upgrade or head.method not in IDEMPOTENT:
        return TUNNEL_LOST
    return TUNNEL_LOST if any(name in _SINGLE_USE for name, _ in head.headers) else _TUNNEL_LOST_UNANSWERED


class Refused:
    """The answering end when there is none: fails in the loop's next turn."""

    def __init__(self, inbound: Inbound, failure: Failure) -> None:
        self._handle = asyncio.get_running_loop().call_soon(inbound.on_failure, failure)

    def send_data(self, data: Data) -> None: ...
    def send_end(self, trailers: Headers) -> None: ...
    def pause_receiving(self) -> None: ...
    def resume_receiving(self) -> None: ...
    def abort(self) -> None:
        self._handle.cancel()


def streams_of(visitor: str, visitors: Iterable[str]) -> int:
    """How many of a tunnel's streams, given by their addresses, are this visitor's."""
    network = network_of(visitor)
    return sum(network_of(address) == network for address in visitors)


def refusal_of_one_more(
    use: AccountUse, *, streams: int, visitor: str, of_visitor: Callable[[str], int], now: float
) -> tuple[Failure, int] | None:
    """Why one more request may not come now, and seconds until it may.

    `of_visitor` counts the tunnel's streams of an address, and is asked only where it may matter.
    """
    allowance = use.allowance
    if streams >= allowance.streams_per_tunnel:
        return TUNNEL_BUSY, 1
    most = allowance.streams_per_visitor
    if most is not None and streams >= most and of_visitor(visitor) >= most:
        return VISITOR_BUSY, 1
    wait = use.request(now)
    return (TOO_FAST, max(1, round(wait))) if wait else None
