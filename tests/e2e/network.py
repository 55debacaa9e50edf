"""Three hosts on this machine, as network namespaces: a server, a machine behind it that nobody can dial, a visitor's device.

    machine 10.231.1.2 ───── 10.231.1.1 server 10.231.2.1 ───── 10.231.2.2 device

Each has its own loopback and its own resolver, which knows every name below `.test` as the server.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

HOSTS = {"server": "10.231.1.1", "machine": "10.231.1.1", "device": "10.231.2.1"}
"""What each host's resolver answers: the server, by the address this host can reach."""


def unavailable() -> str | None:
    """Why this machine cannot have network namespaces, or None."""
    if os.geteuid() != 0:
        return "not root"
    if shutil.which("ip") is None:
        return "no ip command; install iproute2"
    name = f"dw{os.getpid()}probe"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        return made.stderr.strip()
    _ip("netns", "del", name)
    return None


class Network:
    """The three hosts, until `close`."""

    def __init__(self, folder: Path) -> None:
        self._tag = f"dw{os.getpid()}"
        self._folder = folder
        self._resolvers: list[subprocess.Popen[bytes]] = []
        for host in HOSTS:
            name = self.name(host)
            _ip("netns", "add", name)
            # `ip netns exec` shows these files as the host's own /etc
            etc = Path("/etc/netns") / name
            etc.mkdir(parents=True)
            (etc / "resolv.conf").write_text("nameserver 127.0.0.1\n")
            (etc / "hosts").write_text("127.0.0.1 localhost\n")
            _ip("-n", name, "link", "set", "lo", "up")
        self._wire("machine", "10.231.1")
        self._wire("device", "10.231.2")
        for host, address in HOSTS.items():
            command = self.command(host, [sys.executable, "-m", "tests.e2e.resolver", address])
            self._resolvers.append(subprocess.Popen(command, stdout=subprocess.PIPE))
        for resolver in self._resolvers:
            assert resolver.stdout is not None
            resolver.stdout.readline()

    def name(self, host: str) -> str:
        return f"{self._tag}{host}"

    def command(self, host: str, command: Sequence[str]) -> list[str]:
        """The same command, run on that host."""
        return ["ip", "netns", "exec", self.name(host), *command]

    def program(self, host: str, executable: str) -> str:
        """A program that is `executable` on that host, for what takes a path and no prefix."""
        script = self._folder / f"{Path(executable).name}-on-{host}"
        script.write_text(f'#!/bin/sh\nexec ip netns exec {self.name(host)} {executable} "$@"\n')
        script.chmod(0o755)
        return str(script)

    def close(self) -> None:
        for resolver in self._resolvers:
            resolver.kill()
            resolver.wait()
            assert resolver.stdout is not None
            resolver.stdout.close()
        for host in HOSTS:
            _ip("netns", "del", self.name(host))
            shutil.rmtree(Path("/etc/netns") / self.name(host), ignore_errors=True)

    def _wire(self, host: str, subnet: str) -> None:
        near, far = f"{self._tag}{host[0]}0", f"{self._tag}{host[0]}1"
        _ip("link", "add", near, "type", "veth", "peer", "name", far)
        for link, where, address in ((near, "server", f"{subnet}.1"), (far, host, f"{subnet}.2")):
            _ip("link", "set", link, "netns", self.name(where))
            _ip("-n", self.name(where), "addr", "add", f"{address}/24", "dev", link)
            _ip("-n", self.name(where), "link", "set", link, "up")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
