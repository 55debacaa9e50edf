"""How Doorward dials out: the one HTTP client of every room.

Owns: resolving `localhost` names by itself, refusing plain http to anywhere else, trust (the system's, plus one
file), time and size limits, proxies, and where a stranger's URL may lead (`public_only`). Mounts no routes and imports no other room. No redirects are followed, but
by `download`, and no cookies are kept: what answers is what was asked.

    client.py      Outbound, Response
    carriers.py    what carries an exchange: the network, or a way inside this process
    connections.py HTTP/1.1, kept alive
    network.py     what is left to httpcore (HTTP/2, proxies) dials by the same rules
    clocks.py      what to say when a refusal may come from a wrong clock
    addresses.py   which names are this machine; `dial_address` for raw sockets
    trust.py       `tls_context`
    proxies.py     HTTPS_PROXY and NO_PROXY
    errors.py      the exception tree

    outbound = Outbound()
    response = await outbound.request("GET", "https://accounts.example.com/.well-known/jwks.json")
    keys = response.json(JsonWebKeySet)
    await outbound.close()
"""

from doorward.outbound.addresses import Target, dial_address, is_localhost
from doorward.outbound.carriers import Answer, BrokenAnswer, Carrier, require_writable
from doorward.outbound.client import Headers, Outbound, Response
from doorward.outbound.clocks import clocks_apart
from doorward.outbound.errors import (
    AddressRefused,
    CertificateRefused,
    InsecureUrl,
    OutboundError,
    TimedOut,
    TooLarge,
    UnexpectedBody,
    Unreachable,
)
from doorward.outbound.proxies import connect_proxy_for
from doorward.outbound.trust import tls_context

__all__ = [
    "AddressRefused",
    "Answer",
    "BrokenAnswer",
    "Carrier",
    "CertificateRefused",
    "Headers",
    "InsecureUrl",
    "Outbound",
    "OutboundError",
    "Response",
    "Target",
    "TimedOut",
    "TooLarge",
    "UnexpectedBody",
    "Unreachable",
    "clocks_apart",
    "connect_proxy_for",
    "dial_address",
    "is_localhost",
    "require_writable",
    "tls_context",
]
