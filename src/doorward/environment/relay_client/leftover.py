"""A cloudflared that outlived its agent: a killed agent could not end it, so the next start does.

It would go on carrying visitors with a token that is no longer the machine's. What is noted is its process id and when
that process began, so that a stranger who got the number since is left alone.
"""

import asyncio
import logging
import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import msgspec

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.05


class _Note(msgspec.Struct):
    pid: int
    began: str


class RunningNote:
    """The file that says which process runs. Losing it costs no more than a leftover that stays."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, pid: int) -> None:
        began = when_began(pid)
        if began is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_bytes(msgspec.json.encode(_Note(pid, began)))
        except OSError as error:
            log.warning("the relay client's process could not be noted: %s", error.strerror or error)

    def erase(self, pid: int) -> None:
        """Unless it names another process by now."""
        note = self._read()
        if note is not None and note.pid == pid:
            with suppress(OSError):
                self._path.unlink()

    async def end_leftover(self, *, patience: float) -> None:
        """End the noted process if it still is that one; killed after `patience` seconds."""
        note = self._read()
        if note is None:
            return
        if _is_alive(note):
            log.warning("ending a relay client that an earlier agent left behind, process %d", note.pid)
            for said in (signal.SIGTERM, signal.SIGKILL):
                try:
                    os.kill(note.pid, said)
                except OSError as error:
                    log.warning("process %d could not be ended: %s", note.pid, error.strerror or error)
                    break
                deadline = time.monotonic() + patience
                while _is_alive(note) and time.monotonic() < deadline:  # noqa: ASYNC110 - not our child
                    await asyncio.sleep(_POLL_SECONDS)
                if not _is_alive(note):
                    break
        self.erase(note.pid)

    def _read(self) -> _Note | None:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_Note)
        except (OSError, msgspec.MsgspecError):
            return None


def _is_alive(note: _Note) -> bool:
    return when_began(note.pid) == note.began


def when_began(pid: int) -> str | None:
    """The system's own word for when this process began, the same as long as it lives; None when it does not."""
    if pid <= 0:
        return None
    if Path("/proc/self/stat").exists():
        try:
            state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        except (OSError, ValueError):
            return None
        # proc(5): field 22, in ticks since the boot; a dead process may wait for its parent as a zombie.
        return None if state in "ZX" else f"{boot} {fields[18]}"
    shown = subprocess.run(  # noqa: S603
        ["ps", "-o", "lstart=", "-p", str(pid)],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    return shown.stdout.strip() or None
