"""From the relay to a machine whose tunnel ends in this very process: without going out and coming in again."""

from __future__ import annotations

from collections.abc import Mapping

from doorward.http1 import BadResponse, Peer, RequestHead
from doorward.outbound import Answer, BrokenAnswer, Carrier, Target, require_writable
from doorward.tunnel import Edge


class OwnEdge:
    """`Carrier` to the machines that are connected here. The edge judges these requests as it judges any visitor's."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    def to(self, host: str) -> Carrier | None:
        """None for a name that leads nowhere here: it may be another node's, or of a machine that comes back."""
        return self if self._edge.leads(host) else None

    async def exchange(
        self, target: Target, method: str, fields: Mapping[str, str], body: bytes | None, answer: Answer
    ) -> None:
        require_writable(method, fields)
        headers = [(name.encode(), value.encode("latin-1")) for name, value in fields.items()]
        # Where this machine's own address is that of a trusted front, the edge wants to hear from it how one came.
        headers.append((b"x-forwarded-proto", target.scheme.encode()))
        head = RequestHead(method.encode(), target.target.encode(), headers, b"", len(body or b""))
        peer = Peer("127.0.0.1", is_tls=target.scheme == "https")
        try:
            await self._edge.ask(head, body or b"", peer, answer)
        except BadResponse as error:
            raise BrokenAnswer(error.message) from error
