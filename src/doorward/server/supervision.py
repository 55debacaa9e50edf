"""Telling systemd how this process is (sd_notify(3)): it waits for "ready" before it starts what depends on us."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping


def tell_supervisor(state: str, environ: Mapping[str, str] = os.environ) -> None:
    """Send `state` (`READY=1`, `STOPPING=1`) where a supervisor listens; nothing happens where none does."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):  # a name in Linux's abstract namespace
        address = f"\0{address[1:]}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notify:
        try:
            notify.connect(address)
            notify.sendall(state.encode())
        except OSError:
            return  # a supervisor that went away must not take us with it
