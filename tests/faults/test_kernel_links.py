"""Bad links made by the kernel itself: everything runs in a network namespace whose only link is narrow, long or lossy."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.network import unavailable
from tests.faults.ledger import record
from tests.system_parts import require_system_part

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("faults-half-open")]

LINKS = {
    # every byte crosses the one link four times: visitor, edge, machine, service
    "4 MB/s for all four hops, by tbf": ["tbf", "rate", "32mbit", "burst", "32kb", "latency", "400ms"],
    "50 ms round trip, 1 % lost, by netem": ["netem", "delay", "25ms", "2ms", "loss", "0.5%"],
}
#: What this kernel may lack, with no package to bring it.
OPTIONAL = {"netem"}


@pytest.fixture
def namespace() -> Iterator[str]:
    """A network namespace with a loopback of its own, and its name."""
    if os.geteuid() != 0:
        pytest.skip("only root may make network namespaces")
    require_system_part("network namespaces", unavailable())
    name = f"dw{os.getpid()}{secrets.token_hex(2)}"
    ip("netns", "add", name)
    # packets of a network, not of a loopback: one of 64 KB would never fit into a narrow link's burst
    ip("-n", name, "link", "set", "lo", "mtu", "1500", "up")
    yield name
    ip("netns", "del", name)


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@pytest.mark.parametrize("link", LINKS)
async def test_a_machine_is_used_over_a_bad_link(
    namespace: str, link: str, tmp_path_factory: pytest.TempPathFactory
):
    discipline = LINKS[link]
    command = ["ip", "netns", "exec", namespace]
    made = await asyncio.to_thread(
        subprocess.run,
        [*command, "tc", "qdisc", "add", "dev", "lo", "root", *discipline],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0 and discipline[0] in OPTIONAL:
        record(link, loss="not tested: the kernel does not have it")
        pytest.skip(made.stderr.strip())
    require_system_part(f"tc {discipline[0]}", made.stderr.strip() if made.returncode else None)
    folder: Path = tmp_path_factory.mktemp("k", numbered=True)
    done = await asyncio.to_thread(
        subprocess.run,
        [*command, sys.executable, "-m", "tests.faults.kernel_link", str(folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=450,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    seen = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    assert seen["loss"].startswith("none"), seen
    record(link, loss=f"{seen['loss']}; the slowest {seen['slowest']:.1f} s, {seen['speed'] / 1e6:.1f} MB/s")
