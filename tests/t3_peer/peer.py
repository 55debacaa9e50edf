"""Unmodified T3 Code programs, from a checkout or an installation that `T3_PEER` names, as processes of a test.

T3_PEER        a checkout of T3 Code with its dependencies installed, or an installed `t3` package (no client runtime then)
T3_PEER_NODE   the node that runs it; otherwise the one on PATH
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx

from tests.e2e.accounts import Account
from tests.e2e.processes import program_environ

#: A TypeScript server without a bundle takes its time on a busy machine.
START_SECONDS = 90.0


def missing() -> str | None:
    """Why there is no peer to run; None when there is one."""
    named = os.environ.get("T3_PEER")
    if not named:
        return "T3_PEER names no checkout of T3 Code; CI has none, because nothing of theirs is kept here"
    if command_of(Path(named)) is None:
        return f"there is no T3 Code at {named}"
    return None


def command_of(folder: Path) -> list[str] | None:
    """How its command line is started."""
    node = os.environ.get("T3_PEER_NODE") or shutil.which("node")
    for entry in ("apps/server/src/bin.ts", "apps/server/dist/bin.mjs", "dist/bin.mjs"):
        if node and (folder / entry).is_file():
            return [node, "--no-warnings", str(folder / entry)]
    return None


class Peer:
    """T3 Code on a machine of its own: a data folder, and the variables that `doorward up --tls` printed."""

    def __init__(self, folder: Path, home: Path, variables: Mapping[str, str]) -> None:
        self.folder = folder
        command = command_of(folder)
        assert command is not None
        self._command = command
        self.home = home
        self.environ = program_environ(
            home,
            {
                **variables,
                "T3CODE_HOME": str(home),
                "T3CODE_NO_BROWSER": "1",
                # Nothing of a test leaves this machine.
                "T3CODE_TELEMETRY_ENABLED": "false",
            },
        )
        self.state = home / "userdata"

    @property
    def environment_id(self) -> str:
        return (self.state / "environment-id").read_text().strip()

    async def run(self, *arguments: str, seconds: float = START_SECONDS) -> str:
        """One command to its end; what it printed. Fails the test when it fails."""
        async with self.running(*arguments) as program:
            async with asyncio.timeout(seconds):
                status = await program.process.wait()
                await program.drained()
            assert status == 0, program.text
            return program.text

    async def json(self, *arguments: str) -> dict[str, Any]:
        text = await self.run(*arguments, "--json")
        value: dict[str, Any] = json.loads(text[text.index("{") :])
        return value

    async def sign_in(self, account: Account) -> str:
        """`t3 connect login`, with the browser's part played by `account`; what the command printed."""
        await _callback_port_is_free()
        async with self.running("connect", "login") as program:
            opened = await program.says(r"https://\S+/oauth/authorize\?\S+")
            asked = dict(parse_qsl(urlsplit(opened).query))
            location = await account.authorize(asked)
            async with httpx.AsyncClient() as browser:
                answer = await browser.get(location)
            assert answer.status_code == 200, answer.text
            async with asyncio.timeout(START_SECONDS):
                assert await program.process.wait() == 0, program.text
                await program.drained()
            return program.text

    @contextlib.asynccontextmanager
    async def serving(self, port: int) -> AsyncIterator[Running]:
        """`t3 serve` until the end of the block."""
        async with self.running("serve", "--port", str(port), "--host", "127.0.0.1") as program:
            await program.says(r"Pairing URL: \S+")
            yield program

    @contextlib.asynccontextmanager
    async def running(self, *arguments: str) -> AsyncIterator[Running]:
        process = await asyncio.create_subprocess_exec(
            *self._command,
            *arguments,
            env=self.environ,
            cwd=self.home,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        program = Running(process)
        try:
            yield program
        finally:
            await program.end()


async def _callback_port_is_free() -> None:
    """T3 Code's sign-in listens on one fixed port; another test's sign-in may hold it for a moment."""
    async with asyncio.timeout(60):
        while True:
            try:
                (await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 34338)).close()
                return
            except OSError:
                await asyncio.sleep(0.2)


class Running:
    """A process and what it has said so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.text = ""
        self._more = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def says(self, pattern: str, *, seconds: float = START_SECONDS) -> str:
        """The first match in what it said or will say."""
        async with asyncio.timeout(seconds):
            while (found := re.search(pattern, self.text)) is None:
                assert not self._reading.done(), f"it ended without saying {pattern!r}:\n{self.text}"
                self._more.clear()
                await self._more.wait()
        return found.group(0)

    async def drained(self) -> None:
        await self._reading

    async def end(self) -> None:
        """As the service manager ends it."""
        if self.process.returncode is None:
            self.process.terminate()
            try:
                async with asyncio.timeout(20):
                    await self.process.wait()
            except TimeoutError:
                self.process.kill()
        await self.process.wait()
        await self._reading
        print(self.text)  # shown by pytest when the test fails

    async def _read(self) -> None:
        assert self.process.stdout is not None
        while piece := await self.process.stdout.read(65536):
            self.text += piece.decode(errors="replace")
            self._more.set()
        self._more.set()


class Client:
    """The client runtime of a checkout, with a device key of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ask(self, command: str, **inputs: Any) -> dict[str, Any]:
        """`{"ok": value}`, or `{"failed": error, "said": text}`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"command": command, **inputs}).encode() + b"\n")
        await self._process.stdin.drain()
        async with asyncio.timeout(START_SECONDS):
            line = await self._process.stdout.readline()
        assert line, "the client ended"
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def ok(self, command: str, **inputs: Any) -> Any:
        answer = await self.ask(command, **inputs)
        assert "ok" in answer, answer
        return answer["ok"]


@contextlib.asynccontextmanager
async def client_of(peer: Peer, relay_url: str) -> AsyncIterator[Client]:
    node = command_of(peer.folder)
    assert node is not None
    process = await asyncio.create_subprocess_exec(
        node[0],
        "--no-warnings",
        str(Path(__file__).with_name("client.mjs")),
        str(peer.folder),
        relay_url,
        env=peer.environ,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Client(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
