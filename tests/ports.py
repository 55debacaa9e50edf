"""Ports for programs that must be told theirs, and ports where nobody listens."""

import contextlib
import random
import socket

_OWN_PORTS = range(12_000, 32_000)
"""Below those that the kernel gives to outgoing connections, which would take a port between our look and its use."""


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on now, and nobody but a test that draws the same one will."""
    found: list[int] = []
    with contextlib.ExitStack() as stack:
        while len(found) < count:
            port = random.choice(_OWN_PORTS)
            one = stack.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                one.bind(("127.0.0.1", port))
                found.append(port)
    return found


def three_free_ports() -> int:
    """The first of three ports in a row that nobody listens on."""
    for port in free_ports(50):
        try:
            for offset in range(3):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port + offset))
        except (OSError, OverflowError):
            continue
        return port
    raise AssertionError("there are no three free ports in a row")
