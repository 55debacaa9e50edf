"""The real programs as subprocesses: start them, read what they print, stop or kill them."""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

START_SECONDS = 120.0


class Program:
    """`doorward …` as a process. Its output is read in the background, so that it never blocks on a full pipe."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        home: Path,
        environ: dict[str, str] | None = None,
        module: str = "doorward",
        prefix: Sequence[str] = (),
        has_input: bool = False,
    ) -> None:
        self.arguments = list(arguments)
        self.lines: list[str] = []
        self._unread: queue.Queue[str | None] = queue.Queue()
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-m", module, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.PIPE if has_input else subprocess.DEVNULL,
            text=True,
            env=program_environ(home, environ),
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            self._unread.put(line.rstrip("\n"))
        self._unread.put(None)

    def wait_for(self, pattern: str, *, seconds: float = START_SECONDS) -> re.Match[str]:
        """The first line, from what is unread on, that the pattern is found in."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                line = self._unread.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(
                    f"{self} did not print {pattern!r} in {seconds} s; it printed:\n{self.output}"
                ) from None
            if line is None:
                raise AssertionError(
                    f"{self} ended ({self.process.wait()}) before it printed {pattern!r}:\n{self.output}"
                )
            if match := re.search(pattern, line):
                return match

    def type(self, text: str) -> None:
        """Put it into the standard input of a program started with `has_input`."""
        assert self.process.stdin is not None
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def wait_for_json(self, *, seconds: float = START_SECONDS) -> dict[str, object]:
        """The first line that is a JSON object."""
        return json.loads(self.wait_for(r"^\{.*\}$", seconds=seconds).group(0))

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    def stop(self, *, seconds: float = 60.0) -> int:
        """End it as Ctrl-C does; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self} did not stop in {seconds} s; it printed:\n{self.output}") from None
        finally:
            self._finish()

    def finish(self, *, seconds: float = 60.0) -> int:
        """Wait until it ends by itself; its exit status."""
        try:
            return self.process.wait(seconds)
        finally:
            self._finish()

    def kill(self) -> None:
        """End it as a power cut does."""
        self.process.kill()
        self.process.wait()
        self._finish()

    def _finish(self) -> None:
        self._reader.join(30)
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()

    def __repr__(self) -> str:
        return f"`doorward {' '.join(self.arguments)}`"


def command(
    *arguments: str, home: Path, environ: dict[str, str] | None = None, seconds: float = 120.0
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "doorward", *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=program_environ(home, environ),
        timeout=seconds,
        check=False,
    )


def program_environ(home: Path, environ: dict[str, str] | None) -> dict[str, str]:
    """A person's environment with nothing of Doorward's, T3's or a display's in it but what the test says.

    Byte code is kept as on any machine, or every command would compile the whole program again.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DOORWARD_", "T3CODE_", "CLERK_", "SSH_"))
        and name not in ("DISPLAY", "BROWSER", "PYTHONDONTWRITEBYTECODE")
    }
    return {**kept, "DOORWARD_HOME": str(home), "NO_COLOR": "1", "PYTHONUNBUFFERED": "1", **(environ or {})}
