"""The control plane under load: connect, status, token exchange and list, on SQLite and PostgreSQL.

Three real processes (identity; relay with edge; the machine's agent) are asked by this one, whose requests and proofs are made
beforehand, so that its own signatures are not in the way. Rates and p99 are wall time on this machine, which the client shares; the
ratio of connect is one of CPU time: what its six signature operations alone would take, divided by what relay and machine spent
together. Of many short rounds, which follow one that warms up, the fastest tenth's slowest counts there, as for tokens (`jose`): what a
neighbour on the same processor takes away, it takes from byte code and its caches and hardly from signatures. A connect is not a cached answer: the relay
looks up account, link and proof, asks the machine through the tunnel, and both write what they decided before they answer.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from tests import databases
from tests.e2e.accounts import Account
from tests.e2e.installations import ThreeProcesses
from tests.e2e.storm import World
from tests.e2e.visiting import Device

from bench.endpoint import better_half
from bench.rows import cpu_seconds, row
from doorward.client.connection import this_device
from doorward.jose import create_dpop_proof
from doorward.outbound import Outbound
from doorward.store import system_clock
from doorward.t3_connect.messages import ConnectRequest

ROUNDS = 24
REQUESTS = 150
CONCURRENCY = 8
GOAL = 0.25
UNLIMITED = "[relay.rate_limits]\nconnects = 1000000\ntoken_exchanges = 1000000\n"

Send = Callable[[int], Any]


class _Round(msgspec.Struct):
    """`rate` and `p99` (seconds) are wall time; the others are connects per second of CPU: of relay and machine together,
    and what the signatures alone would allow at this moment."""

    rate: float
    p99: float
    per_cpu_second: float
    signatures_per_cpu_second: float


class _Unlimited(ThreeProcesses):
    def _configuration(self, data: Path, roles: list[str], control: int) -> str:
        return super()._configuration(data, roles, control) + UNLIMITED


def measure() -> list[dict[str, Any]]:
    rows = []
    databases.begin_run()
    try:
        for engine in ("SQLite", "PostgreSQL"):
            with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
                url = stack.enter_context(databases.new_postgresql([])) if engine == "PostgreSQL" else None
                installation = _Unlimited(Path(name), url)
                try:
                    installation.start()
                    rows += asyncio.run(_measured(installation, engine))
                finally:
                    installation.stop()
    finally:
        databases.end_run()
    return rows


async def _measured(installation: ThreeProcesses, engine: str) -> list[dict[str, Any]]:
    outbound = Outbound()
    try:
        world = World(installation, outbound, Account(installation.accounts, outbound), Random(1))
        await world.link()
        device = await world.new_device()
        await device.knock()
        await world.told("connect", "security", "approve", device.thumbprint)
        rows = []
        for what, send in (await _requests(world, device, outbound)).items():
            await _load(send, 0)
            rounds = [await _round(send, number, installation) for number in range(1, ROUNDS + 1)]
            rate = better_half([each.rate for each in rounds])
            if what == "connect":
                alone = _fastest_tenth([each.signatures_per_cpu_second for each in rounds])
                ratio = _fastest_tenth([each.per_cpu_second for each in rounds]) / alone
                against = "its signatures alone, CPU"
                rows.append(
                    row(f"{what} on {engine}", rate, "1/s", against=against, ratio=ratio, at_least=GOAL)
                )
            else:
                rows.append(row(f"{what} on {engine}", rate, "1/s"))
            p99 = 1 / better_half([1 / each.p99 for each in rounds])
            rows.append(row(f"{what} on {engine}, p99", p99 * 1000, "ms"))
        return rows
    finally:
        await outbound.close()


async def _requests(world: World, device: Device, outbound: Outbound) -> dict[str, Send]:
    """What is sent, by name. Each proof is used once; the round that warms up makes them, so that none is too old."""
    relay = world.installation.relay
    environment = f"{relay}/v1/environments/{device.machine.environment_id}"
    token = await device.relay._relay_token(device.key, "environment:connect")
    status_token = await _token_for(device, outbound, relay, world.access_token, "environment:status")
    body = msgspec.json.encode(
        ConnectRequest(client_proof_key_thumbprint=device.thumbprint, client=this_device())
    )

    def proofs(url: str, access_token: str | None = None) -> list[str]:
        now = system_clock() // 1000
        return [
            create_dpop_proof(device.key, method="POST", url=url, now=now, access_token=access_token)
            for _ in range(REQUESTS * (1 + ROUNDS))
        ]

    def bound(url: str, access_token: str, content: bytes | None) -> Send:
        made: list[str] = []

        async def send(number: int) -> int:
            if not made:
                made.extend(proofs(url, access_token))
            headers = {"authorization": f"DPoP {access_token}", "dpop": made[number]}
            if content is not None:
                headers["content-type"] = "application/json"
            return (await outbound.request("POST", url, headers=headers, body=content)).status

        return send

    exchanges: list[str] = []

    async def exchange(number: int) -> int:
        if not exchanges:
            exchanges.extend(proofs(device.relay_token_url))
        return (await device.relay_token(exchanges[number])).status

    async def listing(_: int) -> int:
        headers = {"authorization": f"Bearer {world.access_token}"}
        return (await outbound.request("GET", f"{relay}/v1/environments", headers=headers)).status

    return {
        "connect": bound(f"{environment}/connect", token, body),
        "status": bound(f"{environment}/status", status_token, None),
        "token exchange": exchange,
        "list": listing,
    }


async def _token_for(device: Device, outbound: Outbound, relay: str, account: str, scope: str) -> str:
    url = device.relay_token_url
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": account,
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "resource": relay,
        "scope": scope,
        "client_id": "doorward-cli",
    }
    answer = await outbound.form(url, form, headers={"dpop": device.proof(url)})
    token: str = answer.json(dict[str, Any])["access_token"]
    return token


def _fastest_tenth(rates: list[float]) -> float:
    """Its slowest."""
    return sorted(rates)[-(len(rates) // 10)]


async def _round(send: Send, number: int, installation: ThreeProcesses) -> _Round:
    before = _cpu_seconds(installation)
    rate, p99 = await _load(send, number)
    spent = _cpu_seconds(installation) - before
    return _Round(rate, p99, REQUESTS / spent, 1 / _signature_seconds())


async def _load(send: Send, part: int) -> tuple[float, float]:
    """Requests a second and the 99th percentile of their seconds, some at a time; every answer must be a 200."""
    seconds: list[float] = []
    numbers = iter(range(part * REQUESTS, (part + 1) * REQUESTS))

    async def worker() -> None:
        for number in numbers:
            began = time.perf_counter()
            status = await send(number)
            seconds.append(time.perf_counter() - began)
            if status != 200:
                raise RuntimeError(f"a request was answered {status}")

    began = time.perf_counter()
    await asyncio.gather(*[worker() for _ in range(CONCURRENCY)])
    return REQUESTS / (time.perf_counter() - began), sorted(seconds)[int(REQUESTS * 0.99) - 1]


def _cpu_seconds(installation: ThreeProcesses) -> float:
    """What relay and machine have spent, all threads."""
    return sum(cpu_seconds(installation.programs[name].process.pid) for name in ("relay", "agent"))


def _signature_seconds() -> float:
    """A connect's signature operations, raw: the device's proof and the relay's access token verified; the relay's request
    to mint signed and verified; the machine's answer signed and verified."""
    message = b"m" * 600
    p256 = ec.generate_private_key(ec.SECP256R1())
    proof = p256.sign(message, ec.ECDSA(SHA256()))
    edwards = ed25519.Ed25519PrivateKey.generate()
    signed = edwards.sign(message)
    es256 = _best(lambda: p256.public_key().verify(proof, message, ec.ECDSA(SHA256())))
    verified = _best(lambda: edwards.public_key().verify(signed, message))
    return es256 + 3 * verified + 2 * _best(lambda: edwards.sign(message))


def _best(call: Callable[[], object]) -> float:
    """Seconds of CPU of one call."""
    best = float("inf")
    for _ in range(7):
        began = time.process_time()
        for _ in range(200):
            call()
        best = min(best, (time.process_time() - began) / 200)
    return best
