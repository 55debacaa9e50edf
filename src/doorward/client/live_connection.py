"""A connection to a machine that is kept up: the supervisor's decisions, carried out.

The supervisor decides, this starts and stops tasks and keeps the time. A device that waits for approval asks again by
itself as soon as the owner has decided.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import time
from collections.abc import AsyncIterator, Callable

from doorward.client.connection import MachineConnection
from doorward.client.errors import ApprovalPending, ClientError, Unavailable
from doorward.client.rpc_socket import RpcSocket, open_socket
from doorward.client.supervisor import Command, Commands, Probe, Start, State, Stop, Supervisor

log = logging.getLogger(__name__)

_LOOK_SECONDS = 5.0
_JUMP_SECONDS = 10.0

StateChanged = Callable[[State], None]


class LiveConnection:
    """`async with live.running():` keeps it up for the block. `tls` makes the context for a `wss` machine."""

    def __init__(
        self,
        connection: MachineConnection,
        *,
        tls: Callable[[], ssl.SSLContext],
        on_change: StateChanged = lambda _: None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = connection
        self._tls = tls
        self._on_change = on_change
        self._now = now
        self._supervisor = Supervisor(connection.label)
        self._shown = self._supervisor.state
        self._changed = asyncio.Condition()
        self._wake = asyncio.Event()
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._sockets: dict[int, RpcSocket] = {}
        self._probes: set[asyncio.Task[None]] = set()
        self._waiting_for_owner: asyncio.Task[None] | None = None

    @property
    def state(self) -> State:
        return self._supervisor.state

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Connect, and stay connected until the block ends."""
        clocks = [
            asyncio.create_task(self._keep_time(), name="connection clock"),
            asyncio.create_task(self._notice_sleep(), name="sleep of this machine"),
        ]
        self._do(self._supervisor.connect(self._now()))
        try:
            yield
        finally:
            self._do(self._supervisor.disconnect())
            for task in clocks:
                task.cancel()
            await asyncio.gather(*clocks, *self._tasks.values(), *self._probes, return_exceptions=True)

    def application_active(self) -> None:
        """The device woke up, or something suggests that the connection is dead."""
        self._do(self._supervisor.application_active(self._now()))

    async def settled(self, seconds: float) -> State:
        """The state, once it is neither connecting nor waiting to; at the latest after so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(lambda: self.state.phase not in ("connecting", "backoff"))
        return self.state

    async def changed(self, seen: State) -> State:
        """The state, once it is another one."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.state != seen)
        return self.state

    async def _keep_time(self) -> None:
        while True:
            self._wake.clear()
            due = self._supervisor.wake_at
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if due is None else max(0.0, due - self._now())):
                    await self._wake.wait()
            self._do(self._supervisor.tick(self._now()))

    async def _notice_sleep(self) -> None:
        """A laptop that slept has connections that are dead without knowing: its wall clock jumped, its steady one not."""
        while True:
            before = time.time() - time.monotonic()
            await asyncio.sleep(_LOOK_SECONDS)
            if time.time() - time.monotonic() - before > _JUMP_SECONDS:
                self.application_active()

    def _do(self, commands: Commands) -> None:
        for command in commands:
            self._obey(command)
        self._wake.set()
        self._show()

    def _obey(self, command: Command) -> None:
        match command:
            case Start(run):
                self._tasks[run] = asyncio.create_task(self._connect(run), name="connection attempt")
                self._tasks[run].add_done_callback(lambda _: self._tasks.pop(run, None))
            case Stop(run):
                if (task := self._tasks.get(run)) is not None and task is not asyncio.current_task():
                    task.cancel()
            case Probe(run):
                probe = asyncio.create_task(self._probe(run), name="connection probe")
                self._probes.add(probe)
                probe.add_done_callback(self._probes.discard)

    async def _connect(self, run: int) -> None:
        """One attempt, and the life of the connection it makes."""
        try:
            await self._connect_and_stay(run)
        except ClientError as error:
            self._do(self._supervisor.failed(run, error, self._now()))
        except Exception:
            log.exception("a connection ended unexpectedly")
            failure = Unavailable(
                f"{self._connection.label} connection failed unexpectedly.", reason="transport"
            )
            self._do(self._supervisor.failed(run, failure, self._now()))

    async def _connect_and_stay(self, run: int) -> None:
        prepared = await self._connection.prepare()
        self._supervisor.staged(run, "opening")
        self._show()
        socket = await open_socket(prepared.socket_url, self._connection.label, tls=self._tls)
        try:
            self._supervisor.staged(run, "synchronizing")
            self._show()
            await socket.get_config()
            self._sockets[run] = socket
            self._supervisor.established(run, self._now())
            self._do(())
            await socket.wait_closed()
            raise socket.ended()
        finally:
            self._sockets.pop(run, None)
            await socket.close()

    async def _probe(self, run: int) -> None:
        socket = self._sockets.get(run)
        if socket is None:
            return
        try:
            await socket.get_config()
        except ClientError as error:
            self._do(self._supervisor.failed(run, error, self._now()))
        else:
            self._supervisor.probe_passed(run)
            self._do(())

    def _show(self) -> None:
        state = self._supervisor.state
        if state == self._shown:
            return
        self._shown = state
        self._await_decision(state)
        self._on_change(state)
        # Whoever waits is woken by a task of its own: this may be called where nothing can be awaited.
        self._probes.add(told := asyncio.create_task(self._notify(), name="connection state"))
        told.add_done_callback(self._probes.discard)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _await_decision(self, state: State) -> None:
        """Ask the machine for its owner's decision while, and only while, this device waits for one."""
        is_waiting = state.phase == "blocked" and isinstance(state.last_failure, ApprovalPending)
        if is_waiting and self._waiting_for_owner is None:
            self._waiting_for_owner = asyncio.create_task(self._retry_when_decided(), name="approval")
        elif state.phase in ("connected", "available") and self._waiting_for_owner is not None:
            self._waiting_for_owner.cancel()
            self._waiting_for_owner = None

    async def _retry_when_decided(self) -> None:
        await self._connection.decided()
        self._waiting_for_owner = None
        self.application_active()
