"""The tunnel against its peers, in one pass: nginx proxying twice, and `ssh -R`.

Every path leads to the same origin (nginx). Ours is the product's edge and connector as two processes with TLS 1.3
between them; nginx's two hops speak plain HTTP; ssh uses its default cipher. Passes take turns, so that a busy moment
of the machine touches all of them; the better of two passes counts for each.
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import os
import re
import shutil
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

PASSES = 2
BULK_STREAMS = 8
BULK_BYTES = 96 * 1024 * 1024
SMALL_CONNECTIONS = 32
SECONDS = 2
START_SECONDS = 10.0
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
    missing = [name for name in NEEDED if shutil.which(name, path=_path()) is None]
    if missing:
        print(f"  skipped: {', '.join(missing)} not installed")
        return []
    shared_memory = Path("/dev/shm")
    parent = shared_memory if shared_memory.is_dir() else None
    with tempfile.TemporaryDirectory(dir=parent) as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)  # nginx's workers read the files of another user
        origin = stack.enter_context(_origin(folder))
        ways = {"direct": Way(origin), "nginx x2": Way(stack.enter_context(_nginx_twice(folder, origin)))}
        if shutil.which("haproxy", path=_path()):
            ways["haproxy x2"] = Way(stack.enter_context(_haproxy_twice(folder, origin)))
        else:
            print("  without haproxy: it is not installed")
        if shutil.which("sshd", path=_path()) and shutil.which("ssh"):
            ways["ssh -R"] = Way(stack.enter_context(_ssh(folder, origin)))
        else:
            print("  without ssh -R: sshd or ssh is not installed")
        ways["tunnel"] = stack.enter_context(_doorward(folder, origin, "connector"))
        ways["gate"] = stack.enter_context(_doorward(folder, origin, "gate"))
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
    ("gate", "bulk"): {"nginx x2": 1.3, "ssh -R": 1.6},
    ("gate", "small"): {"nginx x2": 0.6, "ssh -R": 2.0},
}
"""Ours divided by the peer's, in the same run."""
PEERS = ("nginx x2", "haproxy x2", "ssh -R")


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
                rows.append(
                    _row(
                        name,
                        ours[key],
                        unit,
                        peer,
                        ratio,
                        None if goal is None else f">= {goal}x",
                        None if goal is None else ratio >= goal,
                    )
                )
        for key, goal_us in (("p50", ADDED_P50_GOAL_US), ("p99", ADDED_P99_GOAL_US)):
            added = ours[key] - best["direct"][key]
            ratio = ours[key] / best["nginx x2"][key]
            rows.append(
                _row(
                    f"{words}, added {key}, c=1",
                    added,
                    "us",
                    "nginx x2",
                    ratio,
                    f"<= {goal_us:.0f} us",
                    added <= goal_us,
                )
            )
    return rows


def _row(
    name: str, value: float, unit: str, against: str, ratio: float, goal: str | None, met: bool | None
) -> dict[str, Any]:
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "against": against,
        "ratio": ratio,
        "goal": goal,
        "met": met,
    }


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


# The peers.


@contextlib.contextmanager
def _origin(folder: Path) -> Iterator[int]:
    files = folder / "files"
    files.mkdir()
    with (files / "bulk").open("wb") as bulk:
        bulk.truncate(BULK_BYTES)
    port = _free_port()
    server = f"""server {{ listen 127.0.0.1:{port} backlog=4096; root {files}; default_type application/octet-stream;
        location = /small {{ return 200 "{"x" * 127}"; }} }}"""
    with _nginx(folder, "origin", 2, server, port):
        yield port


@contextlib.contextmanager
def _nginx_twice(folder: Path, origin: int) -> Iterator[int]:
    with contextlib.ExitStack() as stack:
        target = origin
        for name in ("inner", "outer"):
            port = _free_port()
            server = f"""upstream next {{ server 127.0.0.1:{target}; keepalive 64; keepalive_requests 1000000; }}
                server {{ listen 127.0.0.1:{port} backlog=4096;
                location / {{ proxy_pass http://next; proxy_http_version 1.1; proxy_set_header Connection "";
                proxy_set_header Host $host; proxy_max_temp_file_size 0; }} }}"""
            stack.enter_context(_nginx(folder, name, 1, server, port))
            target = port
        yield target


@contextlib.contextmanager
def _nginx(folder: Path, name: str, workers: int, server: str, port: int) -> Iterator[None]:
    config = folder / f"{name}.conf"
    temporary = "".join(
        f"{kind}_temp_path {folder}/{name}-{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config.write_text(
        f"""daemon off; worker_processes {workers}; pid {folder}/{name}.pid; error_log stderr crit;
        events {{ worker_connections 4096; }}
        http {{ access_log off; sendfile on; keepalive_requests 1000000; {temporary} {server} }}"""
    )
    with _process([_which("nginx"), "-e", "stderr", "-p", str(folder), "-c", str(config)], port):
        yield


@contextlib.contextmanager
def _ssh(folder: Path, origin: int) -> Iterator[int]:
    keys = folder / "ssh"
    keys.mkdir(mode=0o700)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(keys / name)], check=True)
    (keys / "authorized").write_bytes((keys / "user.pub").read_bytes())
    port, forwarded = _free_port(), _free_port()
    (keys / "sshd_config").write_text(
        f"""ListenAddress 127.0.0.1
Port {port}
HostKey {keys}/host
AuthorizedKeysFile {keys}/authorized
PasswordAuthentication no
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
PidFile none
"""
    )
    with contextlib.suppress(OSError):
        Path("/run/sshd").mkdir(exist_ok=True)
    client = [
        "ssh", "-N", "-p", str(port), "-i", str(keys / "user"), "-o", "StrictHostKeyChecking=no",
        "-o", f"UserKnownHostsFile={os.devnull}", "-o", "LogLevel=ERROR", "-o", "ExitOnForwardFailure=yes", "-F", os.devnull,
        "-R", f"127.0.0.1:{forwarded}:127.0.0.1:{origin}", f"{getpass.getuser()}@127.0.0.1",
    ]  # fmt: skip
    with (
        _process([_which("sshd"), "-D", "-e", "-f", str(keys / "sshd_config")], port),
        _process(client, forwarded),
    ):
        yield forwarded


@contextlib.contextmanager
def _haproxy_twice(folder: Path, origin: int) -> Iterator[int]:
    with contextlib.ExitStack() as stack:
        target = origin
        for name in ("inner", "outer"):
            port = _free_port()
            config = folder / f"haproxy-{name}.cfg"
            config.write_text(
                f"""defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    http-reuse always
frontend visitors
    bind 127.0.0.1:{port}
    default_backend next
backend next
    server next 127.0.0.1:{target}
"""
            )
            stack.enter_context(_process([_which("haproxy"), "-q", "-f", str(config)], port))
            target = port
        yield target


@contextlib.contextmanager
def _doorward(folder: Path, origin: int, machine: str) -> Iterator[Way]:
    """`machine` is `connector`, the tunnel alone, or `gate`, where a visitor's cookie opens."""
    folder = folder / machine
    folder.mkdir()
    visitors, tunnel = _free_port(), _free_port()
    write_certificate(folder / "edge.pem")
    this = [sys.executable, "-m", "bench.tunnel"]
    edge = [*this, "edge", str(folder), str(visitors), str(tunnel)]
    connector = [*this, machine, str(folder), str(origin), str(tunnel)]
    with _process(edge, visitors), _process(connector, None):
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


def _run_edge(folder: Path, visitors: int, tunnel: int) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from doorward.tunnel import Edge, HostOwner, TunnelGrant, TunnelHello

    public_key = Ed25519PrivateKey.from_private_bytes(SEED).public_key().public_bytes_raw()

    async def authorize(hello: TunnelHello) -> TunnelGrant:
        return TunnelGrant(hello.environment_id, hello.generation, (HOST,), "bench", public_key)

    async def resolve_host(host: str) -> HostOwner | None:
        return HostOwner("bench", "bench") if host == HOST else None

    async def main() -> None:
        edge = Edge(origin=f"https://edge.localhost:{tunnel}", authorize=authorize, resolve_host=resolve_host)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(folder / "edge.pem")
        await edge.serve([socket.create_server(("127.0.0.1", tunnel))], ssl=context)
        await edge.serve([socket.create_server(("127.0.0.1", visitors), backlog=1024)])
        await asyncio.Event().wait()

    _run(main)


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

    _run(main)


def _run_gate(folder: Path, origin: int, tunnel: int) -> None:
    """The connector with the real gate in front of the service; leaves a visitor's cookie in `folder`."""
    import msgspec

    from doorward.environment.access import MACHINE
    from doorward.environment.approvals.rules import Knock
    from doorward.environment.environment import create_environment
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
        gate = Gate(
            environment, UnixUpstream(str(folder / "none.sock")), lambda tag: connector.close_tag(tag)
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

    _run(main)


def _run(main: Any) -> None:
    """As the product's processes start."""
    from doorward.cli.serving import use_fast_loop

    use_fast_loop()
    asyncio.run(main())


# Processes.


@contextlib.contextmanager
def _process(command: list[str], port: int | None) -> Iterator[None]:
    """Runs until the block ends; the block starts when something listens on `port`."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_SECONDS
        while port is not None:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} did not start")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
                break
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait()


def _path() -> str:
    return os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"


def _which(name: str) -> str:
    found = shutil.which(name, path=_path())
    if found is None:
        raise RuntimeError(f"{name} is not installed")
    return found


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    run = {"edge": _run_edge, "connector": _run_connector, "gate": _run_gate}[sys.argv[1]]
    run(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
