"""Requests that repeat a head whose cookie was judged a moment ago get the same judgement, without a look-up.

A browser sends one header block again and again. What was found about it holds while the database has not changed (any
commit ends it: a revocation, whoever made it), the services are the same, and nothing of it has expired. So a
remembered admission lets in exactly whom a look-up would let in now.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from doorward.http1 import Failure, Forward, Headers, Peer, RequestHead, ResponseHead, TcpUpstream
from doorward.http1.heads import Derived

if TYPE_CHECKING:
    from doorward.environment.environment import Environment


class Grounds(msgspec.Struct, frozen=True):
    """What an admission rests on besides the request: taken *before* it was judged."""

    database_version: int | None
    services_generation: int


class Admission(msgspec.Struct, frozen=True):
    """A request that was let in: what the service is sent, and how long the same may be said again.

    `expires_at` is in milliseconds; `peer`, `method` and `upgrade` are the request's own.
    """

    peer: Peer
    method: bytes
    upgrade: bytes
    session_id: str
    tag: str
    expires_at: int
    sent: Headers
    upstream: TcpUpstream
    confine: Callable[[ResponseHead], ResponseHead]
    explain: Callable[[Failure], Failure]

    def forward(self, head: RequestHead) -> Forward:
        return Forward(
            self.upstream,
            RequestHead(head.method, head.target, self.sent, head.upgrade, head.length),
            tag=self.tag,
            rewrite_response=self.confine,
            rewrite_failure=self.explain,
        )


class Admissions:
    """The admissions of one gate, by the very header list they were given for."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._known: Derived[tuple[Grounds, Admission]] = Derived()

    def grounds(self) -> Grounds:
        return Grounds(self._environment.database.version(), self._environment.services.generation)

    def find(self, head: RequestHead, peer: Peer) -> Admission | None:
        known = self._known.get(id(head.headers))
        if known is None:
            return None
        grounds, admission = known[1]
        environment = self._environment
        is_same = (
            admission.method == head.method
            and admission.upgrade == head.upgrade
            and admission.peer == peer
            and environment.clock() < admission.expires_at
            and environment.services.generation == grounds.services_generation
            and environment.database.version() == grounds.database_version
        )
        return admission if is_same else None

    def keep(self, head: RequestHead, grounds: Grounds, admission: Admission) -> None:
        if grounds.database_version is not None:
            self._known.keep(head.headers, (grounds, admission))
