"""The tunnel against its peers, in one pass: nginx and HAProxy proxying twice, and `ssh -R`.

Every path leads to the same origin (nginx). Ours is the product's edge and connector as two processes with TLS 1.3
between them; the two hops of nginx and HAProxy speak plain HTTP and, as peers of their own, TLS 1.3; ssh uses its
default cipher. Passes take turns, so that a busy moment of the machine touches all of them; the better of two passes
counts for each.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.tunnel.certificate import write_certificate

from bench.peers import haproxy_twice, is_installed, nginx_twice, own_network, process, ssh, web_server
from bench.rows import free_port, row

PASSES = 2
BULK_STREAMS = 8
BULK_BYTES = 96 * 1024 * 1024
SMALL_CONNECTIONS = 32
SECONDS = 2
START_SECONDS = 60.0
ADDED_P50_GOAL_US = 100.0
ADDED_P99_GOAL_US = 1000.0
NEEDED = ("nginx", "wrk", "curl")
HOST = "bench.localhost"
SEED = bytes(range(32))


@dataclass(frozen=True)
class Way:
    """A way to the origin: the port where it begins, and what a visitor has to send along."""

    port: int
    cookie: str = ""

    @property
    def headers(self) -> list[str]:
        """Arguments of curl and wrk alike."""
        cookie = ["-H", f"Cookie: {self.cookie}"] if self.cookie else []
        return ["-H", f"Host: {HOST}", *cookie]


def measure() -> list[dict[str, Any]]:
    missing = [name for name in NEEDED if not is_installed(name)]
    if missing:
        print(f"  skipped: {', '.join(missing)} not installed")
        return []
    with own_network() as inside:
        if not inside:
            return _measure_here()
        command = [*inside, sys.executable, "-m", "bench.tunnel", "rows"]
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
        print(*said[:-1], sep="\n")
        rows: list[dict[str, Any]] = json.loads(said[-1])
        return rows


def _measure_here() -> list[dict[str, Any]]:
    shared_memory = Path("/dev/shm")
    parent = shared_memory if shared_memory.is_dir() else None
    with tempfile.TemporaryDirectory(dir=parent) as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)  # nginx's workers read the files of another user
        origin = stack.enter_context(web_server(folder, BULK_BYTES))
        certificate = folder / "hops.pem"
        write_certificate(certificate)
        ways = {
            "direct": Way(origin),
            "nginx x2": Way(stack.enter_context(nginx_twice(folder, origin))),
            "nginx x2, TLS": Way(stack.enter_context(nginx_twice(folder, origin, certificate))),
        }
        if is_installed("haproxy"):
            ways["haproxy x2"] = Way(stack.enter_context(haproxy_twice(folder, origin)))
            ways["haproxy x2, TLS"] = Way(stack.enter_context(haproxy_twice(folder, origin, certificate)))
        else:
            print("  without haproxy: it is not installed")
        if is_installed("sshd") and is_installed("ssh"):
            ways["ssh -R"] = Way(stack.enter_context(ssh(folder, origin)))
        else:
            print("  without ssh -R: sshd or ssh is not installed")
        ways["tunnel"] = stack.enter_context(edge_and_machine(folder, origin, "connector"))
        ways["gate"] = stack.enter_context(edge_and_machine(folder, origin, "gate"))
        return _rows(_best_of_passes(ways))


def _best_of_passes(ways: dict[str, Way]) -> dict[str, dict[str, float]]:
    best: dict[str, dict[str, float]] = {name: {} for name in ways}
    for _ in range(PASSES):
        for name, way in ways.items():
            figures = {"bulk": _bulk(way), "small": _small(way), **_latency(way)}
            for key, value in figures.items():
                better = min if key in ("p50", "p99") else max
                best[name][key] = better(best[name].get(key, value), value)
    return best


GOALS = {
    ("gate", "bulk"): {"nginx x2": 1.3, "nginx x2, TLS": 1.3, "ssh -R": 1.6},
    ("gate", "small"): {"nginx x2": 0.6, "nginx x2, TLS": 0.6, "ssh -R": 2.0},
}
"""Ours divided by the peer's, in the same run; nginx's hops cost what ours do only with TLS between them."""
PEERS = ("nginx x2", "nginx x2, TLS", "haproxy x2", "haproxy x2, TLS", "ssh -R")


def _rows(best: dict[str, dict[str, float]]) -> list[dict[str, Any]]:
    rows = []
    for way, words in (("tunnel", "tunnel"), ("gate", "gate with cookie")):
        ours = best[way]
        for key, name, unit in (
            ("bulk", f"{words}, bulk, {BULK_STREAMS} streams", "MB/s"),
            ("small", f"{words}, small requests, c={SMALL_CONNECTIONS}", "req/s"),
        ):
            for peer in [peer for peer in PEERS if peer in best]:
                ratio = ours[key] / best[peer][key]
                goal = GOALS.get((way, key), {}).get(peer)
                rows.append(row(name, ours[key], unit, against=peer, ratio=ratio, at_least=goal))
        for key, goal_us in (("p50", ADDED_P50_GOAL_US), ("p99", ADDED_P99_GOAL_US)):
            added = ours[key] - best["direct"][key]
            ratio = ours[key] / best["nginx x2"][key]
            name = f"{words}, added {key}, c=1"
            rows.append(row(name, added, "us", against="nginx x2", ratio=ratio, at_most=goal_us))
    return rows


# What is measured.


def _bulk(way: Way) -> float:
    """MB/s of several downloads at once."""
    command = [
        "curl",
        "-s",
        "-o",
        os.devnull,
        *way.headers,
        "--fail",
        f"http://127.0.0.1:{way.port}/bulk",
    ]
    start = time.perf_counter()
    running = [subprocess.Popen(command) for _ in range(BULK_STREAMS)]
    if any(process.wait() for process in running):
        raise RuntimeError("a download failed")
    return BULK_STREAMS * BULK_BYTES / (time.perf_counter() - start) / 1e6


def _small(way: Way) -> float:
    """Requests a second over kept-alive connections."""
    out = _wrk(way, SMALL_CONNECTIONS)
    if "Non-2xx" in out or "Socket errors" in out:
        raise RuntimeError(out)
    return float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1])  # type: ignore[index]


def _latency(way: Way) -> dict[str, float]:
    """p50 and p99 in microseconds, one request at a time."""
    out = _wrk(way, 1)
    scale = {"us": 1.0, "ms": 1e3, "s": 1e6}
    found = {
        percent: float(value) * scale[unit]
        for percent, value, unit in re.findall(r"(50|99)%\s+([\d.]+)(us|ms|s)", out)
    }
    return {"p50": found["50"], "p99": found["99"]}


def _wrk(way: Way, connections: int) -> str:
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{SECONDS}s",
        "--latency",
        *way.headers,
        f"http://127.0.0.1:{way.port}/small",
    ]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@contextlib.contextmanager
def edge_and_machine(
    folder: Path, origin: int, machine: str, *, ports: tuple[int, int] | None = None
) -> Iterator[Way]:
    """`machine` is `connector`, the tunnel alone, or `gate`, where a visitor's cookie opens.

    `ports` are where the edge listens for machines, and where this machine dials.
    """
    folder = folder / machine
    folder.mkdir()
    visitors = free_port()
    listens, dials = ports or (port := free_port(), port)
    write_certificate(folder / "edge.pem")
    this = [sys.executable, "-m", "bench.tunnel"]
    edge = [*this, "edge", str(folder), str(visitors), str(listens), str(dials)]
    connector = [*this, machine, str(folder), str(origin), str(dials)]
    with process(edge, visitors), process(connector, None):
        deadline = time.monotonic() + START_SECONDS
        while True:
            cookie = folder / "cookie"
            way = Way(visitors, cookie.read_text() if cookie.exists() else "")
            probe = [
                "curl",
                "-s",
                "-o",
                os.devnull,
                "--fail",
                *way.headers,
                f"http://127.0.0.1:{visitors}/small",
            ]
            if subprocess.run(probe, check=False).returncode == 0:
                break
            if time.monotonic() > deadline:
                raise RuntimeError("the tunnel does not come up")
        yield way


def _run_edge(folder: Path, visitors: int, tunnel: int, named: int) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from doorward.tunnel import Edge, HostOwner, TunnelGrant, TunnelHello

    public_key = Ed25519PrivateKey.from_private_bytes(SEED).public_key().public_bytes_raw()

    async def authorize(hello: TunnelHello) -> TunnelGrant:
        return TunnelGrant(hello.environment_id, hello.generation, (HOST,), "bench", public_key)

    async def resolve_host(host: str) -> HostOwner | None:
        return HostOwner("bench", "bench") if host == HOST else None

    async def main() -> None:
        edge = Edge(origin=f"https://edge.localhost:{named}", authorize=authorize, resolve_host=resolve_host)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(folder / "edge.pem")
        await edge.serve([socket.create_server(("127.0.0.1", tunnel))], ssl=context)
        await edge.serve([socket.create_server(("127.0.0.1", visitors), backlog=1024)])
        await asyncio.Event().wait()

    run_fast(main)


def _run_connector(folder: Path, origin: int, tunnel: int) -> None:
    from doorward.http1 import Forward, Peer, RequestHead, TcpUpstream
    from doorward.tunnel import Connector, ConnectorToken

    upstream = TcpUpstream("127.0.0.1", origin)

    def router(head: RequestHead, peer: Peer) -> Forward:
        return Forward(upstream, head, tag="bench")

    async def main() -> None:
        token = ConnectorToken(
            edge_url=f"https://edge.localhost:{tunnel}",
            hostnames=[HOST],
            environment_id="bench",
            generation=1,
            seed=SEED,
        )
        await Connector(token, router=router, ca_file=folder / "edge.pem").run()

    run_fast(main)


def _run_gate(folder: Path, origin: int, tunnel: int) -> None:
    """The connector with the real gate in front of the service; leaves a visitor's cookie in `folder`."""
    import msgspec

    from doorward.environment.access import MACHINE
    from doorward.environment.app import create_environment
    from doorward.environment.approvals.rules import Knock
    from doorward.environment.gate.router import Gate
    from doorward.environment.gate.rules import nonce_hash
    from doorward.environment.keys import names
    from doorward.environment.sessions.service import Caller
    from doorward.environment.settings import EnvironmentSettings, Service
    from doorward.http1 import UnixUpstream
    from doorward.outbound import Outbound
    from doorward.t3_connect.messages import Endpoint
    from doorward.tunnel import Connector, ConnectorToken

    async def main() -> None:
        settings = EnvironmentSettings(home=folder / "machine", label="bench", relay_url=None)
        settings.run_dir.mkdir(parents=True)
        environment = await create_environment(settings, outbound=Outbound())
        await environment.start()
        await environment.approvals.set_mode(MACHINE, "client-approval")
        endpoint = Endpoint(
            http_base_url="http://api.localhost/",
            ws_base_url="ws://api.localhost/ws",
            provider_kind="cloudflare_tunnel",
        )
        environment.secrets.set(names.MANAGED_ENDPOINT, msgspec.json.encode(endpoint))
        environment.secrets.set(names.LINKED_USER, b"user_bench")
        environment.link.load()
        await environment.services.add(MACHINE, Service(name="bench", port=origin))
        await environment.services.claimed(MACHINE, "bench", f"http://{HOST}/")
        knock = Knock(thumbprint="k" * 43, cloud_user_id="user_bench", label="bench")
        await environment.approvals.decide(knock)
        await environment.approvals.approve(MACHINE, knock.thumbprint)
        decision = await environment.approvals.decide(knock)
        assert decision.link is not None
        issued = await environment.sessions.exchange(
            decision.link.credential,
            method="bearer-access-token",
            thumbprint=knock.thumbprint,
            requested_scopes=None,
            caller=Caller(),
        )
        code = await environment.children.issue_code(issued.session.id, HOST, nonce_hash("n" * 43))
        child = await environment.children.redeem_code(code, HOST, "n" * 43)
        assert child is not None
        (folder / "cookie").write_text(f"__Host-doorward={child.cookie}")
        nowhere = UnixUpstream(str(folder / "none.sock"))
        gate = Gate(
            environment, api=nowhere, api_sockets=nowhere, close_tag=lambda tag: connector.close_tag(tag)
        )
        token = ConnectorToken(
            edge_url=f"https://edge.localhost:{tunnel}",
            hostnames=[HOST],
            environment_id="bench",
            generation=1,
            seed=SEED,
        )
        connector = Connector(token, router=gate.route, ca_file=folder / "edge.pem")
        watching = asyncio.create_task(gate.watch())
        await connector.run()
        watching.cancel()

    run_fast(main)


def run_fast(main: Any) -> None:
    """As the product's processes start."""
    from doorward.cli.serving import use_fast_loop

    use_fast_loop()
    asyncio.run(main())


if __name__ == "__main__":
    if sys.argv[1] == "rows":
        print(json.dumps(_measure_here()))
        sys.exit()
    run = {"edge": _run_edge, "connector": _run_connector, "gate": _run_gate}[sys.argv[1]]
    run(Path(sys.argv[2]), *map(int, sys.argv[3:]))
