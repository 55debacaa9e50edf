"""The program `doorward-connector`: what stands on its command line, and its exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from doorward import __version__

#: The release of cloudflared that T3 Code pins, in whose place we run.
CLOUDFLARED_VERSION = "2026.5.2"

VERSION_LINE = f"cloudflared version {CLOUDFLARED_VERSION} (doorward-connector {__version__})"

USAGE = f"""\
doorward-connector {__version__}: opens Doorward's tunnel for a T3 Code server.

usage: TUNNEL_TOKEN=<connector token> doorward-connector tunnel run
       doorward-connector version [--short]

T3 Code runs it by itself when T3CODE_CLOUDFLARED_PATH names it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0 after SIGTERM, 1 for a token that cannot be used, 2 for arguments nobody knows."""
    match list(sys.argv[1:] if arguments is None else arguments):
        case ["--version" | "-v" | "version"]:
            print(VERSION_LINE)
        case ["version", "--short" | "-s"]:
            print(CLOUDFLARED_VERSION)
        case ["tunnel", "run"]:
            from doorward.connector.carrying import carry

            return carry(os.environ, sys.stderr)
        case [] | ["--help" | "-h" | "help"]:
            print(USAGE)
        case _:
            print(USAGE, file=sys.stderr)
            return 2
    return 0
