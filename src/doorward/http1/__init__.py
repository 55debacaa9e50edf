"""HTTP/1.1 heads and a streaming proxy engine.

Owns: strict parsing of heads and bodies, framing them anew, hop-by-hop stripping, the listener that carries
requests to upstreams (`ProxyServer`) and the keep-alive pools towards them. Mounts no routes: a `Router`
decides where each request goes, the engine carries the bytes both ways as they come.

`asgi` answers with an application of this process, without a listener between; `asking` is a request of this process's own.

Neighbours: `tunnel` (both ends), the environment's gate and the client's forwarder are routers on this engine.
Imports nothing of ours.
"""

from doorward.http1.answers import problem
from doorward.http1.asking import AnswerTaker
from doorward.http1.errors import BadResponse
from doorward.http1.exchange import (
    Answer,
    Data,
    Decision,
    Failure,
    Forward,
    Inbound,
    Opener,
    Outbound,
    Peer,
    Router,
    Takeover,
    TcpUpstream,
    UnixUpstream,
    Upstream,
)
from doorward.http1.heads import LENGTH_UNKNOWN, Headers, RequestHead, ResponseHead, without
from doorward.http1.limits import Limits
from doorward.http1.networks import network_of
from doorward.http1.server import ProxyServer

__all__ = [
    "LENGTH_UNKNOWN",
    "Answer",
    "AnswerTaker",
    "BadResponse",
    "Data",
    "Decision",
    "Failure",
    "Forward",
    "Headers",
    "Inbound",
    "Limits",
    "Opener",
    "Outbound",
    "Peer",
    "ProxyServer",
    "RequestHead",
    "ResponseHead",
    "Router",
    "Takeover",
    "TcpUpstream",
    "UnixUpstream",
    "Upstream",
    "network_of",
    "problem",
    "without",
]
