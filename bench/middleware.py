"""What an integration of `doorward.verify` adds to a request, for each framework it has one for.

The same smallest application runs as two server processes: with the integration, its handler asking who the request is by,
and without, its handler told. Servers are uvicorn with httptools on uvloop for ASGI, aiohttp's own on uvloop, the standard
library's for WSGI, which speaks HTTP/1.0 and takes a connection for each request; the others keep theirs. A request is what
a script in a browser sends, with a session token in `Authorization` that was verified before (`verified_tokens`);
signatures are measured in `bench.verify`.

What counts is a server's own CPU time for a request, the kernel's work for it included: what it costs whoever runs it. The
two take turns, and the better half of the rounds counts.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.verify.frameworks import applications

from bench.endpoint import Endpoint, better_half
from bench.jose import CLAIMS
from bench.peers import process
from bench.rows import free_port, row
from doorward.jose import generate_key, sign_jwt

GOAL_PERCENT = 15.0
ROUNDS, REQUESTS = 20, 800
HEADERS = {
    "Host": "127.0.0.1",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Accept": "application/json",
    "Accept-Language": "en-US,en;q=0.5",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Referer": "https://app.example.com/orders",
    "Connection": "keep-alive",
    "Sec-Fetch-Dest": "empty",
    "Sec-Fetch-Mode": "cors",
    "Sec-Fetch-Site": "same-origin",
}


def measure() -> Iterator[dict[str, Any]]:
    key, now = generate_key("RS256", kid="ins_1"), int(time.time())
    token = sign_jwt(CLAIMS | {"iat": now, "nbf": now - 10, "exp": now + 3600}, key, typ="JWT")
    with tempfile.TemporaryDirectory() as folder:
        pem = Path(folder) / "key.pem"
        pem.write_text(key.public.to_pem())
        for name in applications.BARE:
            yield from _of_framework(name, _request(token), str(pem))


def _of_framework(name: str, request: bytes, pem: str) -> list[dict[str, Any]]:
    with contextlib.ExitStack() as stack:

        def served(*key: str) -> Endpoint:
            port = free_port()
            command = [sys.executable, "-m", "bench.served", name, str(port), *key]
            return Endpoint(stack.enter_context(process(command, port)), port, request, 200)

        dressed, bare = served(pem), served()
        for side in (dressed, bare):
            side.per_cpu_second(REQUESTS)  # until every cache is warm
        rates = [(dressed.per_cpu_second(REQUESTS), bare.per_cpu_second(REQUESTS)) for _ in range(ROUNDS)]
    own, other = (1e6 / better_half(list(side)) for side in zip(*rates, strict=True))
    share = 100 * (own - other) / other
    return [
        row(f"middleware of {name}, of a request's CPU", share, "%", at_most=GOAL_PERCENT),
        row(f"middleware of {name}, beside {other:.0f} us", own - other, "us"),
    ]


def _request(token: str) -> bytes:
    headers = HEADERS | {"Authorization": f"Bearer {token}"}
    lines = ["GET / HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode()
