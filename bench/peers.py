"""What the tunnel is measured against: nginx and HAProxy proxying twice, and `ssh -R`, all to one nginx.

Between their hops nginx and HAProxy speak plain HTTP, or TLS 1.3 with a certificate that the outer one checks, as our
machine checks its edge's: there what lies between the hops costs both sides the same.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from bench.rows import free_port

START_SECONDS = 30.0  # on a busy machine


@contextlib.contextmanager
def web_server(folder: Path, bulk_bytes: int) -> Iterator[int]:
    """Where every way ends: a file of zeros at `/bulk`, 127 bytes at `/small`."""
    files = folder / "files"
    files.mkdir()
    with (files / "bulk").open("wb") as bulk:
        bulk.truncate(bulk_bytes)
    port = free_port()
    server = f"""server {{ listen 127.0.0.1:{port} backlog=4096; root {files}; default_type application/octet-stream;
        location = /small {{ return 200 "{"x" * 127}"; }} }}"""
    with _nginx(folder, "origin", 2, server, port):
        yield port


@contextlib.contextmanager
def nginx_twice(folder: Path, origin: int, certificate: Path | None = None) -> Iterator[int]:
    """With a `certificate` (of edge.localhost, key and all) the hops speak TLS."""
    accepts = reaches = ""
    if certificate is not None:
        accepts = f"ssl_certificate {certificate}; ssl_certificate_key {certificate}; ssl_protocols TLSv1.3;"
        reaches = f"""proxy_ssl_verify on; proxy_ssl_trusted_certificate {certificate};
            proxy_ssl_name edge.localhost; proxy_ssl_protocols TLSv1.3;"""
    with contextlib.ExitStack() as stack:
        target = origin
        for name, is_inner in (("inner", True), ("outer", False)):
            port = free_port()
            tls = certificate is not None
            server = f"""upstream next {{ server 127.0.0.1:{target}; keepalive 64; keepalive_requests 1000000; }}
                server {{ listen 127.0.0.1:{port} backlog=4096 {"ssl" if tls and is_inner else ""};
                {accepts if is_inner else reaches}
                location / {{ proxy_pass {"https" if tls and not is_inner else "http"}://next;
                proxy_http_version 1.1; proxy_set_header Connection "";
                proxy_set_header Host $host; proxy_max_temp_file_size 0; }} }}"""
            stack.enter_context(_nginx(folder, f"{name}{'-tls' if tls else ''}", 1, server, port))
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
    with process([which("nginx"), "-e", "stderr", "-p", str(folder), "-c", str(config)], port):
        yield


@contextlib.contextmanager
def ssh(folder: Path, origin: int) -> Iterator[int]:
    keys = folder / "ssh"
    keys.mkdir(mode=0o700)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(keys / name)], check=True)
    (keys / "authorized").write_bytes((keys / "user.pub").read_bytes())
    port, forwarded = free_port(), free_port()
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
        process([which("sshd"), "-D", "-e", "-f", str(keys / "sshd_config")], port),
        process(client, forwarded),
    ):
        yield forwarded


@contextlib.contextmanager
def haproxy_twice(folder: Path, origin: int, certificate: Path | None = None) -> Iterator[int]:
    """With a `certificate` (of edge.localhost, key and all) the hops speak TLS."""
    accepts = reaches = ""
    if certificate is not None:
        accepts = f"ssl crt {certificate} ssl-min-ver TLSv1.3"
        reaches = f"ssl verify required ca-file {certificate} verifyhost edge.localhost ssl-min-ver TLSv1.3"
    with contextlib.ExitStack() as stack:
        target = origin
        for name, is_inner in (("inner", True), ("outer", False)):
            port = free_port()
            config = folder / f"haproxy-{name}{'-tls' if certificate else ''}.cfg"
            config.write_text(
                f"""defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    http-reuse always
frontend visitors
    bind 127.0.0.1:{port} {accepts if is_inner else ""}
    default_backend next
backend next
    server next 127.0.0.1:{target} {"" if is_inner else reaches}
"""
            )
            stack.enter_context(process([which("haproxy"), "-q", "-f", str(config)], port))
            target = port
        yield target


@contextlib.contextmanager
def process(command: list[str], port: int | None) -> Iterator[int]:
    """Runs until the block ends; the block starts, with the process's id, when something listens on `port`."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_SECONDS
        while port is not None:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} did not start")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
                break
            time.sleep(0.02)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def own_network() -> Iterator[list[str]]:
    """What to put before a command so that it runs in a loopback network of its own with Reno; empty if that cannot be.

    BBR, where the host uses it, paces every connection, on loopback too: one that carries many streams then waits for
    timers more than for anybody's work.
    """
    name = f"bench-{os.getpid()}"
    ip = [which("ip"), "netns"] if is_installed("ip") and is_installed("sysctl") else []
    made = ip and subprocess.run([*ip, "add", name], capture_output=True, check=False).returncode == 0
    if not made:
        print("  in the host's own network, with its congestion control: no namespace can be made")
        yield []
        return
    inside = [*ip, "exec", name]
    try:
        subprocess.run([*inside, which("ip"), "link", "set", "lo", "up"], check=True)
        settings = ["net.ipv4.tcp_congestion_control=reno", "net.core.somaxconn=4096"]
        subprocess.run([*inside, which("sysctl"), "-q", "-w", *settings], check=True)
        yield inside
    finally:
        subprocess.run([*ip, "delete", name], check=True)


def search_path() -> str:
    return os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"


def is_installed(name: str) -> bool:
    return shutil.which(name, path=search_path()) is not None


def which(name: str) -> str:
    found = shutil.which(name, path=search_path())
    if found is None:
        raise RuntimeError(f"{name} is not installed")
    return found
