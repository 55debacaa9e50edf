"""Many tunnels at one edge, and one over a long way.

Real processes: an edge, and four that hold the machines' connectors, all over TLS 1.3 with a signed proof each. Memory is what belongs to
the edge's process alone (USS), less what it held before the first machine came; the kernel's socket buffers are not in it. *Reconnect* kills the
edge and starts it again, and takes the time until every machine is back by its own waits. *At 50 ms* is one download through a proxy that holds
every byte for 25 ms in each direction, after two seconds in which the windows grew.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from tests.tunnel.certificate import write_certificate

from bench.peers import is_installed, web_server
from bench.rows import free_port, row
from bench.tunnel import BULK_BYTES, HOST, SEED, Way, edge_and_machine, run_fast

COUNTS = (1_000, 10_000)
HOLDERS = 4
START_SECONDS = 300.0
MEMORY_GOAL_KB = 40.0
RECONNECT_GOAL_S = 30.0
ONE_WAY_SECONDS = 0.025
GROWTH_SECONDS = 2.0
RATE_SECONDS = 4.0
RATE_GOAL = 100.0


def measure() -> list[dict[str, Any]]:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    rows = []
    for count in COUNTS:
        if count * 1.2 > most:
            print(f"  without {count:,} tunnels: a process may open {most:,} files")
            continue
        rows += _many(count)
    if is_installed("nginx"):
        rate = _far_away()
        met = rate >= RATE_GOAL
        far = row("one stream at 50 ms round trip", rate, "MB/s")
        rows.append(far | {"goal": f">= {RATE_GOAL:.0f} MB/s", "met": met})
    else:
        print("  without the long way: nginx is not installed")
    return rows


def _many(count: int) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder, port = Path(name), free_port()
        write_certificate(folder / "edge.pem")
        edge = _Edge(folder, port)
        stack.callback(lambda: edge.stop())
        edge.has(0)
        before = edge.private_kb()
        for holder in range(HOLDERS):
            first, last = count * holder // HOLDERS, count * (holder + 1) // HOLDERS
            stack.enter_context(_running("machines", str(folder), str(port), str(first), str(last - first)))
        edge.has(count)
        time.sleep(2.0)
        each = (edge.private_kb() - before) / count
        rows = [row(f"memory of an idle tunnel, of {count:,}", each, "kB", at_most=MEMORY_GOAL_KB)]
        edge.kill()
        began = time.perf_counter()
        edge = _Edge(folder, port)
        edge.has(count)
        seconds = time.perf_counter() - began
        rows.append(
            row(
                f"{count:,} machines back after kill -9",
                seconds,
                "s",
                at_most=RECONNECT_GOAL_S if count == max(COUNTS) else None,
            )
        )
        return rows


class _Edge:
    """An edge as a process that prints how many tunnels it has."""

    def __init__(self, folder: Path, port: int) -> None:
        command = [sys.executable, "-m", "bench.tunnels", "edge", str(folder), str(port)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def has(self, count: int) -> None:
        assert self._process.stdout is not None
        deadline = time.monotonic() + START_SECONDS
        line = ""
        for line in self._process.stdout:
            if int(line) >= count:
                return
            if time.monotonic() > deadline:
                break
        raise RuntimeError(f"{count} tunnels were expected, {line.strip() or 'none'} came")

    def private_kb(self) -> float:
        rollup = Path(f"/proc/{self._process.pid}/smaps_rollup").read_text()
        return sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Private_"))

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self.stop()

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()


def _far_away() -> float:
    """MB/s of one download whose machine is 50 ms away from the edge."""
    shared_memory = Path("/dev/shm")
    parent = shared_memory if shared_memory.is_dir() else None
    with tempfile.TemporaryDirectory(dir=parent) as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        origin = stack.enter_context(web_server(folder, BULK_BYTES * 40))
        tunnel, far = free_port(), free_port()
        stack.enter_context(_running("delay", str(far), str(tunnel)))
        way = stack.enter_context(edge_and_machine(folder, origin, "connector", ports=(tunnel, far)))
        return _rate(way)


def _rate(way: Way) -> float:
    with socket.create_connection(("127.0.0.1", way.port)) as visitor:
        visitor.sendall(f"GET /bulk HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        _read(visitor, GROWTH_SECONDS)
        began = time.perf_counter()
        size = _read(visitor, RATE_SECONDS)
        return size / (time.perf_counter() - began) / 1e6


def _read(visitor: socket.socket, seconds: float) -> int:
    deadline, size, buffer = time.monotonic() + seconds, 0, bytearray(1 << 20)
    while time.monotonic() < deadline:
        taken = visitor.recv_into(buffer)
        if not taken:
            raise RuntimeError("the download ended early")
        size += taken
    return size


@contextlib.contextmanager
def _running(*arguments: str) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-m", "bench.tunnels", *arguments])
    try:
        yield
    finally:
        process.kill()
        process.wait()


# What runs as a process of its own.


def _run_edge(folder: Path, port: int) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from doorward.tunnel import Edge, HostOwner, Probing, TunnelGrant, TunnelHello

    public_key = Ed25519PrivateKey.from_private_bytes(SEED).public_key().public_bytes_raw()

    async def authorize(hello: TunnelHello) -> TunnelGrant:
        hostnames = (f"{hello.environment_id}.localhost",)
        return TunnelGrant(
            hello.environment_id, hello.generation, hostnames, hello.environment_id, public_key
        )

    async def resolve_host(host: str) -> HostOwner | None:
        return None

    async def main() -> None:
        from doorward.http1 import Limits

        edge = Edge(
            origin=f"https://edge.localhost:{port}",
            authorize=authorize,
            resolve_host=resolve_host,
            limits=Limits(connections_per_ip=1_000_000),
            probing=Probing(target=b"/.well-known/t3/environment"),
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(folder / "edge.pem")
        await edge.serve([socket.create_server(("127.0.0.1", port), backlog=4096)], ssl=context)
        while True:
            print(len(edge.environments()), flush=True)
            await asyncio.sleep(0.1)

    run_fast(main)


def _run_machines(folder: Path, port: int, first: int, count: int) -> None:
    from doorward.http1 import Answer, Peer, RequestHead
    from doorward.tunnel import Connector, ConnectorToken, connector

    # Real machines are alone in their process: here thousands share one trust store.
    connector.tls_context = lru_cache(connector.tls_context)

    def router(head: RequestHead, peer: Peer) -> Answer:
        return Answer(204)

    async def main() -> None:
        connectors = [
            Connector(
                ConnectorToken(
                    edge_url=f"https://edge.localhost:{port}",
                    hostnames=[f"m{number}.localhost"],
                    environment_id=f"m{number}",
                    generation=1,
                    seed=SEED,
                ),
                router=router,
                ca_file=folder / "edge.pem",
            )
            for number in range(first, first + count)
        ]
        await asyncio.gather(*[connector.run() for connector in connectors])

    run_fast(main)


def _run_delay(port: int, leads_to: int) -> None:
    """Bytes arrive `ONE_WAY_SECONDS` after they were sent, in each direction."""

    class Wire(asyncio.Protocol):
        def __init__(self, other: Wire | None = None) -> None:
            self.other = other
            self.transport: asyncio.Transport | None = None
            self.early: list[bytes] = []

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = cast("asyncio.Transport", transport)
            self.transport.set_write_buffer_limits(high=1 << 30)
            if self.other is None:
                self.other = Wire(self)
                loop = asyncio.get_running_loop()
                self.dialling = loop.create_task(
                    loop.create_connection(lambda: self.other, "127.0.0.1", leads_to)
                )
            for data in self.early:
                self.transport.write(data)

        def data_received(self, data: bytes) -> None:
            asyncio.get_running_loop().call_later(ONE_WAY_SECONDS, self.arrive, data)

        def arrive(self, data: bytes) -> None:
            assert self.other is not None
            if self.other.transport is None:
                self.other.early.append(data)
            elif not self.other.transport.is_closing():
                self.other.transport.write(data)

        def connection_lost(self, exc: Exception | None) -> None:
            if self.other is not None and self.other.transport is not None:
                self.other.transport.close()

    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(Wire, "127.0.0.1", port)
        await server.serve_forever()

    run_fast(main)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["edge", folder, port]:
            _run_edge(Path(folder), int(port))
        case ["machines", folder, port, first, count]:
            _run_machines(Path(folder), int(port), int(first), int(count))
        case ["delay", port, leads_to]:
            _run_delay(int(port), int(leads_to))
        case _:
            sys.exit(os.EX_USAGE)
