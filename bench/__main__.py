"""`make bench`: run every suite, print a table, write build/bench.json.

`make bench ARGS=jose` runs one suite. The file is a list of
`{name, value, unit, against, ratio, goal, met}`; `against` names the peer of the ratio, or is null.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import json
import os
import platform
import re
import sys
from pathlib import Path

SUITES = ("jose", "verify", "middleware", "server", "connect", "machines", "tunnel", "tunnels", "users")
PROCESSOR = Path("/proc/cpuinfo")
VERSIONS = ("cryptography", "msgspec", "starlette", "uvicorn", "uvloop", "httptools", "pyjwt")


def machine() -> str:
    """The machine and versions a figure belongs to, in one line."""
    packages = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in VERSIONS)
    named = (
        re.search(r"^model name\s*: (.*)$", PROCESSOR.read_text(), re.MULTILINE)
        if PROCESSOR.exists()
        else None
    )
    return (
        f"{os.cpu_count()} cores ({named[1] if named else platform.machine()}), {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, {packages}"
    )


def load() -> str:
    """How busy the machine was in the last minute: with much else running, no figure is worth keeping."""
    return f"load average {os.getloadavg()[0]:.1f}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument(
        "suites", nargs="*", metavar="suite", help=f"any of {', '.join(SUITES)} (default: all)"
    )
    chosen = parser.parse_args().suites or list(SUITES)
    if unknown := [name for name in chosen if name not in SUITES]:
        parser.error(f"unknown suite {unknown[0]!r}; there are {', '.join(SUITES)}")
    print(f"{machine()}\n{load()}", flush=True)
    results = []
    for name in chosen:
        print(f"\n{name}", flush=True)
        for row in importlib.import_module(f"bench.{name}").measure():
            results.append(row)
            print(line(row), flush=True)
    target = Path("build/bench.json")
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(results, indent=2) + "\n")
    missed = [row["name"] for row in results if row["met"] is False]
    print(
        f"\n{load()}; {len(results)} figures in {target}"
        + (f"; goals missed: {', '.join(missed)}" if missed else "; every goal met")
    )
    return 0


def line(row: dict[str, object]) -> str:
    """One row of the table a person reads."""
    value = f"{row['value']:,.1f}" if isinstance(row["value"], float) else str(row["value"])
    ratio = f"{row['ratio']:.2f}x {row['against']}" if isinstance(row["ratio"], float) else ""
    verdict = "" if row["goal"] is None else f"goal {row['goal']} {'met' if row['met'] else 'MISSED'}"
    return f"  {row['name']:<46} {value:>12} {row['unit'] or '':<8} {ratio:<28} {verdict}"


if __name__ == "__main__":
    sys.exit(main())
