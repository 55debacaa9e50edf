"""A notification on the desktop, where there is one. Never required, and never waited for long."""

from __future__ import annotations

import asyncio
import contextlib
import html
import os
import shutil
import sys
from collections.abc import Mapping

from doorward.cli.output import plain

_SECONDS = 5.0
_DESKTOPS = ("DISPLAY", "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS")
# The words are arguments, never part of the script: a device's label is anybody's word.
_APPLE_SCRIPT = (
    "on run argv",
    "display notification (item 2 of argv) with title (item 1 of argv)",
    "end run",
)


def notification_command(
    title: str, text: str, *, environ: Mapping[str, str] = os.environ, platform: str = sys.platform
) -> list[str] | None:
    """The program that shows it, or None where there is no desktop or no such program."""
    title, text = plain(title), plain(text)
    path = environ.get("PATH")
    if platform == "darwin":
        program = shutil.which("osascript", path=path)
        lines = [part for line in _APPLE_SCRIPT for part in ("-e", line)]
        return [program, *lines, title, text] if program else None
    if not any(environ.get(name) for name in _DESKTOPS):
        return None
    program = shutil.which("notify-send", path=path)
    # Desktops read markup in the body, not in the title.
    return [program, "--app-name=Doorward", "--", title, html.escape(text, quote=False)] if program else None


async def notify(title: str, text: str) -> None:
    """Show it, if anything can."""
    command = notification_command(title, text)
    if command is None:
        return
    with contextlib.suppress(OSError, TimeoutError):
        showing = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        async with asyncio.timeout(_SECONDS):
            await showing.wait()
