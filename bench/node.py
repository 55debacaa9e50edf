"""Doorward as its own process, as an operator would start it."""

from __future__ import annotations

import sys
from pathlib import Path


def serve_command(folder: Path, control: int, edge: int) -> list[str]:
    """`doorward serve` on these ports, with its data in `folder / "data"`."""
    config = folder / "doorward.toml"
    config.write_text(
        f"""data = "{folder / "data"}"
[identity]
origin = "http://accounts.localhost:{control}"
[relay]
origin = "http://relay.localhost:{control}"
zone = "env.localhost:{edge}"
[edge]
url = "http://edge.localhost:{edge}"
[listen]
control = "127.0.0.1:{control}"
edge = "127.0.0.1:{edge}"
"""
    )
    return [sys.executable, "-m", "doorward", "serve", "--config", str(config)]
