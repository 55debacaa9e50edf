"""Machines' tokens: making an opaque one and verifying it, against npm `oidc-provider`.

Ours is `doorward serve` on SQLite, each token on the disk before it is answered. The peer's are its token endpoint
(client credentials) and its introspection endpoint, twice: with an adapter that keeps its tokens in SQLite, in the settings
of our own database (`synchronous=FULL`), which is like for like, and with its own store, a map in memory that ends with the
process. All are asked over kept-alive connections by this process; what counts is requests per second of the server's own
CPU time, all its threads, taken turn by turn from the better half of several rounds. Without node or the packages a peer is
left out and the rows say so.

The second part is a report and no gate: how much longer looking up a machine's key, a back end's secret key and an API key
takes for one that exists than for one that never did, and Welch's t of the two. Both ask the database once, by a keyed hash, so the difference tells nothing of
how much of a guess was right; what is left is reading the row that was found.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import json
import math
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from bench.endpoint import Endpoint, better_half
from bench.node import serve_command
from bench.peers import process
from bench.rows import free_port, row
from doorward.identity import SCHEMA, DevelopmentInbox, IdentitySettings, create_identity
from doorward.identity.api_keys.service import KeyWish
from doorward.identity.errors import Refused
from doorward.identity.m2m_tokens import TokenWish
from doorward.identity.services import Identity
from doorward.server.backup.places import KEY_FILE
from doorward.store import Sealer, open_database, system_clock

ROUNDS = 5
REQUESTS = 1500
LOOK_UPS = 4000
PEER = Path(__file__).parent / "oidc_provider"
DURABLE, IN_MEMORY = "oidc-provider (npm) on SQLite", "oidc-provider (npm) in memory"


def measure() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        making, verifying = stack.enter_context(_doorward(folder))
        peers = {
            DURABLE: stack.enter_context(_oidc_provider("better-sqlite3", str(folder / "peer.sqlite"))),
            IN_MEMORY: stack.enter_context(_oidc_provider("oidc-provider")),
        }
        made = {peer: ends and ends[0] for peer, ends in peers.items()}
        verified = {peer: ends and ends[1] for peer, ends in peers.items()}
        rows = _compare("M2M token made, opaque, durable", making, made, at_least=1.0)
        rows += _compare("M2M token verified", verifying, verified, at_least=1.2)
    return [*rows, *asyncio.run(_timing())]


def _compare(
    name: str, ours: Endpoint, peers: dict[str, Endpoint | None], *, at_least: float
) -> list[dict[str, Any]]:
    mine: list[float] = []
    theirs: dict[str, list[float]] = {peer: [] for peer in peers}
    for _ in range(ROUNDS):
        mine.append(ours.per_cpu_second(REQUESTS))
        for peer, endpoint in peers.items():
            if endpoint is not None:
                theirs[peer].append(endpoint.per_cpu_second(REQUESTS))
    value = better_half(mine)
    return [
        row(name, value, "/CPU s", against=peer, ratio=value / better_half(rates), at_least=at_least)
        if rates
        else row(name, value, "/CPU s", against=f"{peer}: not installed")
        for peer, rates in theirs.items()
    ]


@contextlib.contextmanager
def _doorward(folder: Path) -> Iterator[tuple[Endpoint, Endpoint]]:
    """A server with a caller and a callee; making a token as the one, verifying it as the other."""
    control, edge = free_port(), free_port()
    host, data = f"accounts.localhost:{control}", folder / "data"
    with process(serve_command(folder, control, edge), control) as pid:
        caller, callee, token = asyncio.run(_machines(data, f"http://{host}"))
        verification = f'{{"token":"{token}"}}'
        yield (
            Endpoint(pid, control, _post(host, "/api/m2m_tokens", _bearer(caller), "{}"), 201),
            Endpoint(pid, control, _post(host, "/api/m2m_tokens/verify", _bearer(callee), verification), 200),
        )


async def _machines(data: Path, origin: str) -> tuple[str, str, str]:
    """Made in the running server's database: the caller's key, the callee's, and a token of the caller."""
    identity = await _identity(f"sqlite:///{data}/doorward.sqlite", Sealer.from_file(data / KEY_FILE), origin)
    callee = await identity.machines.create(
        "callee", scoped_machines=(), default_token_ttl=3600, actor="bench"
    )
    caller = await identity.machines.create(
        "caller", scoped_machines=[callee.detail.machine.id], default_token_ttl=3600, actor="bench"
    )
    made = await identity.m2m_tokens.create(caller.detail.machine.id, TokenWish())
    await identity.database.close()
    return caller.secret_key, callee.secret_key, made.value


async def _identity(url: str, sealer: Sealer, origin: str) -> Identity:
    database = await open_database(url, schemas=[SCHEMA])
    settings = IdentitySettings(
        origin=origin,
        development=True,
        sign_up="open",
        relay_origin="http://relay.localhost",
        gate_zone="env.localhost",
    )
    return await create_identity(
        settings, database, sealer=sealer, mailer=DevelopmentInbox(system_clock), clock=system_clock
    )


def _post(host: str, path: str, headers: str, body: str) -> bytes:
    length = f"Content-Length: {len(body)}"
    return f"POST {path} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n{length}\r\n\r\n{body}".encode()


def _bearer(secret: str) -> str:
    return f"Authorization: Bearer {secret}\r\nContent-Type: application/json"


@contextlib.contextmanager
def _oidc_provider(package: str, *store: str) -> Iterator[tuple[Endpoint, Endpoint] | None]:
    """`package` is what it needs, `store` the database's file, or nothing for its own store."""
    if not _is_installed(package):
        print(f"  a peer is left out: node or its package {package} cannot be had here", flush=True)
        yield None
        return
    port = free_port()
    with process(["node", str(PEER / "server.mjs"), str(port), *store], port) as pid:
        basic = base64.b64encode(b"caller:a-secret-of-the-benchmark").decode()
        headers = f"Authorization: Basic {basic}\r\nContent-Type: application/x-www-form-urlencoded"
        host = f"127.0.0.1:{port}"
        mint = "grant_type=client_credentials&scope=m2m"
        token = _token_of(port, headers, mint)
        yield (
            Endpoint(pid, port, _post(host, "/token", headers, mint), 200),
            Endpoint(pid, port, _post(host, "/token/introspection", headers, f"token={token}"), 200),
        )


def _is_installed(package: str) -> bool:
    """Installed where it is not; SQLite's binding is built or fetched by a script of its own, and of no other's."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return False
    if not (PEER / "node_modules" / package).is_dir() and not _npm("ci", "--ignore-scripts", "--silent"):
        return False
    if package != "better-sqlite3":
        return True
    is_built = (PEER / "node_modules" / package / "build" / "Release" / "better_sqlite3.node").is_file()
    return is_built or _npm("rebuild", package, "--silent")


def _npm(*arguments: str) -> bool:
    return subprocess.run(["npm", *arguments], cwd=PEER, check=False).returncode == 0


def _token_of(port: int, headers: str, body: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("POST", "/token", body, dict(line.split(": ", 1) for line in headers.split("\r\n")))
    return str(json.loads(connection.getresponse().read())["access_token"])


async def _timing() -> list[dict[str, Any]]:
    """Secrets that exist and secrets that do not, looked up in turn: of machines, of back ends, of API keys."""
    with tempfile.TemporaryDirectory() as name:
        identity = await _identity(
            f"sqlite:///{name}/timing.sqlite", Sealer(b"k" * 32), "http://accounts.localhost"
        )
        machines, keys, api_keys = [], [], []
        for number in range(50):
            machine = await identity.machines.create(
                f"machine {number}", scoped_machines=(), default_token_ttl=60, actor="bench"
            )
            wish = KeyWish(type="api_key", name=f"key {number}", subject=machine.detail.machine.id)
            machines.append(machine.secret_key)
            keys.append((await identity.secret_keys.make(f"key {number}", actor=None)).secret)
            api_keys.append((await identity.api_keys.create(wish, actor="bench")).secret)
        kinds = {
            "machine's key": (machines, identity.machines.recognise),
            "secret key": (keys, identity.secret_keys.recognise),
            "API key": (api_keys, identity.api_keys.verify),
        }
        rows = [
            each for kind, (known, look_up) in kinds.items() for each in await _compared(kind, known, look_up)
        ]
        await identity.database.close()
    return rows


async def _compared(
    kind: str, known: list[str], look_up: Callable[[str], Awaitable[object]]
) -> list[dict[str, Any]]:
    unknown = [key[:-8] + key[:2:-1][:8] for key in known]  # shares all but the end with a real one
    for key in known:
        await look_up(key)  # the first use of an API key is written down
    spent: dict[bool, list[float]] = {True: [], False: []}
    for number in range(LOOK_UPS):
        for is_known, keys in ((True, known), (False, unknown)):
            key = keys[number % len(keys)]
            began = time.perf_counter()
            with contextlib.suppress(Refused):
                await look_up(key)
            spent[is_known].append(time.perf_counter() - began)
    known_times, unknown_times = _trimmed(spent[True]), _trimmed(spent[False])
    difference = (statistics.fmean(known_times) - statistics.fmean(unknown_times)) * 1e6
    return [
        row(f"{kind} looked up, real less unknown", difference, "us"),
        row(f"{kind} looked up, Welch's t", abs(_welch(known_times, unknown_times)), "|t|"),
    ]


def _trimmed(samples: list[float]) -> list[float]:
    """Without the slowest tenth, which is the machine's other work."""
    return sorted(samples)[: len(samples) * 9 // 10]


def _welch(a: list[float], b: list[float]) -> float:
    spread = math.sqrt(statistics.variance(a) / len(a) + statistics.variance(b) / len(b))
    return (statistics.fmean(a) - statistics.fmean(b)) / spread
