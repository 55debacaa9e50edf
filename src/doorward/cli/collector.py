"""How often Python's garbage collector looks for cycles, for all of our programs' life."""

from __future__ import annotations

import gc


def collect_rarely() -> None:
    """Look a tenth as often as by default: requests make many short-lived objects and hardly a cycle, and what imports make
    stays. Of a server's start the collector took a tenth."""
    gc.set_threshold(10_000, 20, 50)
