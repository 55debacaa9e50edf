"""Ports for programs that must be told theirs, and ports where nobody listens."""

import contextlib
import random
import socket

from tests import databases

_OWN_PORTS = range(12_000, 32_000)
"""Below those that the kernel gives to outgoing connections, which would take a port between our look and its use."""


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on now. No other test of the run gets them, now or while their program is stopped."""
    found: list[int] = []
    with contextlib.ExitStack() as stack:
        while len(found) < count:
            port = random.choice(_OWN_PORTS)
            with contextlib.suppress(OSError):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
                _claim(port)
                found.append(port)
    return found


def three_free_ports() -> int:
    """The first of three ports in a row that nobody listens on, and that no other test of the run gets."""
    for port in random.sample(_OWN_PORTS, 50):
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for one in range(port, port + 3):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", one))
                _claim(one)
            return port
    raise AssertionError("there are no three free ports in a row")


def _claim(port: int) -> None:
    """For every worker, and to the end of the run. Raises FileExistsError where somebody has it."""
    (databases.run_folder() / f"port-{port}").touch(exist_ok=False)
