"""One cloudflared: started with its token in the environment alone, listened to, and started again when it exits."""

import asyncio
import logging
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Literal

import msgspec

from doorward.environment.relay_client.leftover import RunningNote

log = logging.getLogger(__name__)

FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 30.0
#: One that lived so long starts over with the shortest wait.
SETTLED_SECONDS = 60.0
#: cloudflared lets open requests end after SIGTERM; then it is killed.
STOP_SECONDS = 5.0
_LINE_BYTES = 64 * 1024

_REGISTERED = re.compile(r"\bRegistered tunnel connection\b", re.IGNORECASE)
_TROUBLE = re.compile(r"\b(?:ERR|WRN|FTL|PNC)\b")


class CannotRun(Exception):
    """No relay client can be started; the message says why."""

    code = "relay_client_cannot_run"


class State(msgspec.Struct, frozen=True):
    """What a status page shows of it; cloudflared gives no stable reasons."""

    word: Literal["connecting", "connected", "stopped"]
    message: str = ""
    reason: str = ""


Kind = Literal["connected", "trouble", "chatter"]


def classify(line: str) -> Kind:
    """What a line of cloudflared's output means to us (connect-environment §5.9)."""
    if _REGISTERED.search(line):
        return "connected"
    return "trouble" if _TROUBLE.search(line) else "chatter"


def next_wait(before: float, *, lived: float, first: float = FIRST_WAIT_SECONDS) -> float:
    """Seconds until the next start; `before` is the last wait (0: there was none), `lived` how long the process ran."""
    if not before or lived >= SETTLED_SECONDS:
        return first
    return min(LONGEST_WAIT_SECONDS, before * 2)


class RelayClientProcess:
    """`start`, then `run` until cancelled, then `stop`."""

    def __init__(
        self,
        executable: str,
        token: str,
        *,
        environ: Mapping[str, str],
        note: RunningNote,
        first_wait: float = FIRST_WAIT_SECONDS,
    ) -> None:
        self._executable = executable
        self._token = token
        # Settings meant for another tunnel of this user must not change ours; nor may a pinned program replace itself.
        self._environ = {name: value for name, value in environ.items() if not name.startswith("TUNNEL_")}
        self._environ |= {"TUNNEL_TOKEN": token, "NO_AUTOUPDATE": "true"}
        self._note = note
        self._first_wait = first_wait
        self._process: asyncio.subprocess.Process | None = None
        self.state = State("connecting")

    @property
    def pid(self) -> int:
        return 0 if self._process is None else self._process.pid

    async def start(self) -> None:
        """Spawn it. Running means that the process exists, not that its tunnel is registered. Raises CannotRun."""
        try:
            self._process = await asyncio.create_subprocess_exec(
                self._executable,
                "tunnel",
                "run",
                env=self._environ,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                limit=_LINE_BYTES,
            )
        except OSError as error:
            raise CannotRun(f"The relay client could not be started: {error.strerror or error}.") from error
        self._note.write(self.pid)
        log.info("the relay client runs as process %d", self.pid)

    async def run(self) -> None:
        """Keep one running until cancelled."""
        wait = 0.0
        try:
            while True:
                born = time.monotonic()
                if self._process is not None:
                    await self._listen(self._process)
                    status = await self._process.wait()
                    self.state = State(
                        "connecting", f"The relay client exited ({status}) and is started again."
                    )
                    log.warning("the relay client exited with %d; starting it again", status)
                wait = next_wait(wait, lived=time.monotonic() - born, first=self._first_wait)
                await asyncio.sleep(wait)
                try:
                    await self.start()
                except CannotRun as error:
                    self._process = None
                    self.state = State("connecting", str(error))
                    log.warning("%s", error)
        finally:
            await self.stop()

    async def stop(self) -> None:
        """End it, also when `run` never began."""
        self.state = State("stopped")
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            await self._end(process)
        self._note.erase(process.pid)

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def close_tag(self, tag: str) -> int:
        """Its exchanges are the gate's own, which ends them itself."""
        return 0

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:  # longer than any line of a log; the reader has dropped it
                continue
            if not line:
                return
            self._heard(line.decode(errors="replace").strip())

    def _heard(self, line: str) -> None:
        if not line:
            return
        said = line.replace(self._token, "<redacted>")
        match classify(line):
            case "connected":
                self.state = State("connected")
                log.info("relay client: %s", said)
            case "trouble":
                log.warning("relay client: %s", said)
            case "chatter":
                log.debug("relay client: %s", said)
