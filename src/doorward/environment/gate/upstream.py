"""The local service as an upstream that says, when it does not answer, which port it was expected at.

Only somebody who was let in reads this: everybody else is turned away before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import msgspec

from doorward.http1 import (
    Data,
    Failure,
    Forward,
    Headers,
    Inbound,
    Outbound,
    Peer,
    RequestHead,
    ResponseHead,
    TcpUpstream,
)
from doorward.http1.engine import Engine

_Explain: TypeAlias = Callable[[Failure], Failure]
_OnHead: TypeAlias = Callable[[ResponseHead], None]
_OnData: TypeAlias = Callable[[Data], None]
_OnEnd: TypeAlias = Callable[[Headers], None]
_Signal: TypeAlias = Callable[[], None]


class ServiceUpstream:
    """An `Opener` for one service over the gate's engine and its keep-alive connections."""

    def __init__(self, engine: Engine, *, name: str, host: str, port: int) -> None:
        self._engine = engine
        self._address = TcpUpstream(host, port)
        self._name = name

    def __str__(self) -> str:
        return str(self._address)

    def open(self, head: RequestHead, peer: Peer, inbound: Inbound) -> Outbound:
        explained = _Explained(inbound, self._explain)
        return self._engine.open(Forward(self._address, head), peer, explained)

    def _explain(self, failure: Failure) -> Failure:
        return msgspec.structs.replace(
            failure,
            message=f"{failure.message} You are let in, but {self._name} does not answer on port {self._address.port}"
            " of this machine. Start it there, then reload.",
        )


class _Explained:
    """The asking end with other words for a failure. Everything else is the asking end's own method, not a detour."""

    __slots__ = (
        "_explain",
        "_inbound",
        "on_data",
        "on_end",
        "on_interim",
        "on_response",
        "pause_sending",
        "resume_sending",
    )

    def __init__(self, inbound: Inbound, explain: _Explain) -> None:
        self._inbound = inbound
        self._explain = explain
        self.on_interim: _OnHead = inbound.on_interim
        self.on_response: _OnHead = inbound.on_response
        self.on_data: _OnData = inbound.on_data
        self.on_end: _OnEnd = inbound.on_end
        self.pause_sending: _Signal = inbound.pause_sending
        self.resume_sending: _Signal = inbound.resume_sending

    def on_failure(self, failure: Failure) -> None:
        self._inbound.on_failure(self._explain(failure))
