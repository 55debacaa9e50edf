"""A figure as every suite reports it."""

from __future__ import annotations

import socket
import time
from typing import Any


def row(
    name: str,
    value: float,
    unit: str,
    *,
    against: str | None = None,
    ratio: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
) -> dict[str, Any]:
    """One object of build/bench.json. `at_least` is a goal of the ratio, `at_most` one of the value."""
    goal, met = None, None
    if at_least is not None:
        goal, met = f">= {at_least:g}x", ratio is not None and ratio >= at_least
    elif at_most is not None:
        goal, met = f"<= {at_most:g} {unit}", value <= at_most
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "against": against,
        "ratio": ratio,
        "goal": goal,
        "met": met,
    }


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def cpu_seconds(pid: int) -> float:
    """What a process has used so far, its threads too and those that have ended, to the nanosecond (Linux)."""
    return time.clock_gettime(
        (~pid << 3) | 2
    )  # clock_getcpuclockid(3) of the C library, which Python does not have
