"""How fast a node starts and how much it holds when idle: the real programs as processes.

Cold start is wall time from spawning `doorward serve` (all roles, SQLite that exists already) to the first 200 of the relay's
health endpoint; the floor is a bare uvicorn + Starlette "hello" started the same way in the same run. Idle memory is PSS of
the one process of `doorward up`, ten seconds after its banner. Both are started once before, unmeasured: that makes the
database and the byte code Python keeps beside installed modules (here in a folder of its own, whatever the environment says).
PSS counts a page shared with n processes as 1/n, so other Pythons on the machine lower it; RSS is given beside it. The import
of `doorward.verify`, which any service that checks our tokens pays, is CPU time less that of an empty interpreter.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.node import serve_command
from bench.rows import free_port, row

STARTS = 7
START_GOAL_MS = 450.0
MEMORY_GOAL_MIB = 80.0
IMPORT_GOAL_MS = 120.0

_FLOOR = """
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
app = Starlette(routes=[Route("/health", lambda request: PlainTextResponse("ok"))])
uvicorn.run(app, port={port}, log_config=None)
"""


def measure() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start, floor = _cold_starts(folder)
        memory = _idle_memory(folder / "up")
        verify = _import_cpu_ms("import doorward.verify", folder)
    return [
        row(
            "cold start of serve to first 200",
            start,
            "ms",
            against="bare Starlette on uvicorn",
            ratio=start / floor,
            at_most=START_GOAL_MS,
        ),
        row("idle memory of up, PSS", memory["Pss"], "MiB", at_most=MEMORY_GOAL_MIB),
        row("idle memory of up, RSS", memory["Rss"], "MiB"),
        row("import of doorward.verify, CPU", verify, "ms", at_most=IMPORT_GOAL_MS),
    ]


def _cold_starts(folder: Path) -> tuple[float, float]:
    """Medians in milliseconds of ours and of the floor, started in turn so that both see the same machine."""
    control, edge, bare = (free_port() for _ in range(3))
    serve = serve_command(folder, control, edge)
    floor = [sys.executable, "-c", _FLOOR.format(port=bare)]
    ours, floors = [], []
    for _ in range(1 + STARTS):
        ours.append(_seconds_to_answer(serve, control, f"relay.localhost:{control}", folder))
        floors.append(_seconds_to_answer(floor, bare, "127.0.0.1", folder))
    return statistics.median(ours[1:]) * 1000, statistics.median(floors[1:]) * 1000


def _seconds_to_answer(command: list[str], port: int, host: str, folder: Path) -> float:
    began = time.perf_counter()
    with _process(command, folder) as process:
        while True:
            if process.poll() is not None:
                raise RuntimeError(f"{command[2:]} ended with status {process.returncode} before it answered")
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                connection.request("GET", "/health", headers={"host": host})
                if connection.getresponse().status == 200:
                    return time.perf_counter() - began
            except OSError:
                time.sleep(0.002)
            finally:
                connection.close()


def _idle_memory(home: Path) -> dict[str, float]:
    port, environment_port = free_port(), free_port()
    command = [
        *(sys.executable, "-m", "doorward", "up", "--json", "--home", str(home)),
        *("--port", str(port), "--environment-port", str(environment_port)),
    ]
    # The second start is the usual one: the first imports the migrations.
    for wait in (3.0, 10.0):
        with _process(command, home.parent, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            if not process.stdout.readline():
                raise RuntimeError(f"{command[2:]} printed no banner")
            time.sleep(wait)
            memory = _memory_mib(process.pid)
    return memory


def _memory_mib(pid: int) -> dict[str, float]:
    """`Rss`, `Pss` and the other sums of a process's memory map."""
    lines = (line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    return {name.rstrip(":"): int(kibibytes) / 1024 for name, kibibytes, _ in lines}


def _import_cpu_ms(statement: str, folder: Path) -> float:
    def best(code: str) -> float:
        spent = []
        for _ in range(1 + STARTS):
            before = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
            subprocess.run([sys.executable, "-c", code], check=True, env=_environment(folder))
            spent.append(sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) - before)
        return min(spent[1:]) * 1000

    return best(statement) - best("pass")


def _environment(folder: Path) -> dict[str, str]:
    environment = {**os.environ, "NO_COLOR": "1", "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return environment


@contextlib.contextmanager
def _process(
    command: list[str], folder: Path, stdout: int = subprocess.DEVNULL
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, stdout=stdout, stderr=subprocess.DEVNULL, env=_environment(folder))
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        if process.stdout is not None:
            process.stdout.close()
