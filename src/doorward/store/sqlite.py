"""SQLite, by the standard library: one writer thread with group commit, a few reader threads.

SQLite lets one transaction write at a time, and with `synchronous=FULL` a COMMIT costs an fsync. So one
thread writes: it begins, runs every job that is waiting (a function that is not the first inside a SAVEPOINT, so that
one that raises undoes only itself), commits once, and only then answers them all. A group that cannot be committed is
run again job by job.

Readers see the last commit: WAL keeps them from waiting for the writer or the writer for them.
"""

import asyncio
import queue
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from pathlib import Path
from typing import Any, TypeVar

from doorward.store import sqlite_files
from doorward.store.database import Dialect, Row, Statement, Subscription, Tx
from doorward.store.errors import DatabaseClosed, StoreError
from doorward.store.notifications import Hub
from doorward.store.statements import for_sqlite
from doorward.store.transaction import Transaction

T = TypeVar("T")

# A group takes what is waiting, but the first job of it never waits longer than this for the others.
GROUP_SECONDS = 0.005
# How soon a write by another process (a CLI beside a running agent) is noticed.
WATCH_SECONDS = 0.25
READERS = 4


class SqliteTransaction(Transaction):
    def __init__(self, connection: sqlite3.Connection, *, writable: bool) -> None:
        super().__init__(writable=writable)
        self._connection = connection

    def _run(self, sql: str, params: Sequence[object]) -> sqlite3.Cursor:
        return self._connection.execute(for_sqlite(sql), tuple(params))

    def _failed(self, error: Exception) -> StoreError:
        return sqlite_files.store_error(error)


def _answers(connection: sqlite3.Connection, statements: Sequence[Statement]) -> list[list[Row]]:
    """The rows of each. Raises StoreError."""
    try:
        return [connection.execute(for_sqlite(sql), params).fetchall() for sql, params in statements]
    except StoreError:
        raise
    except Exception as error:
        raise sqlite_files.store_error(error) from error


class _Job:
    """One `write` or `run` on its way through the writer thread and back to the caller's loop."""

    __slots__ = ("answer", "error", "future", "loop", "notifications", "work")

    def __init__(self, work: Callable[[Tx], Any] | Sequence[Statement]) -> None:
        self.work = work
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = self.loop.create_future()
        self.answer: Any = None
        self.error: BaseException | None = None
        self.notifications: list[tuple[str, str]] = []

    def forget(self) -> None:
        """Before it runs once more: what the lost run came to does not count."""
        self.answer, self.error, self.notifications = None, None, []

    def settle(self) -> None:
        """In the caller's loop; a caller that was cancelled is told nothing."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.answer)


def _settle(jobs: Sequence[_Job]) -> None:
    """From any thread: wake each loop once, however many of its callers have their answer now."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
    for job in jobs:
        by_loop.setdefault(job.loop, []).append(job)
    for loop, settled in by_loop.items():
        with suppress(RuntimeError):  # the loop is closed: nobody is left to hear
            loop.call_soon_threadsafe(_settle_here, settled)


def _settle_here(jobs: Sequence[_Job]) -> None:
    for job in jobs:
        job.settle()


class _Writer(threading.Thread):
    """Owns the only connection that writes."""

    def __init__(self, path: Path, hub: Hub) -> None:
        super().__init__(name="doorward-sqlite-writer", daemon=True)
        self._hub = hub
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        # Opened by the caller's thread, so that a file that cannot be opened is the caller's error.
        self._connection = sqlite_files.connect(path)
        self._stopping = False

    def submit(self, job: _Job) -> None:
        self._jobs.put(job)

    def stop(self) -> None:
        """Ask it to end after what is queued now."""
        self._jobs.put(None)

    def run(self) -> None:
        try:
            seen = sqlite_files.data_version(self._connection)
            next_look = time.monotonic() + WATCH_SECONDS
            while not self._stopping:
                with suppress(queue.Empty):
                    self._take(self._jobs.get(timeout=max(0.0, next_look - time.monotonic())))
                if time.monotonic() >= next_look:
                    # This connection's own commits do not move its data_version, only those of others do.
                    version = sqlite_files.data_version(self._connection)
                    if version is None or version != seen:
                        seen = version
                        self._hub.reload_all()
                    next_look = time.monotonic() + WATCH_SECONDS
        finally:
            self._connection.close()

    def _take(self, first: _Job | None) -> None:
        group: list[_Job] = []
        deadline = time.monotonic() + GROUP_SECONDS
        job = first
        while True:
            if job is None:
                self._stopping = True
                break
            if not job.future.cancelled():
                if group:
                    self._run_next(job)
                    group.append(job)
                elif self._run_first(job):
                    group.append(job)
                if group and not self._connection.in_transaction:
                    break  # the whole transaction is given up: by SQLite (no space, I/O error), or for a statement
            if time.monotonic() >= deadline:
                break
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
        if group:
            self._finish(group)

    def _run_first(self, job: _Job) -> bool:
        """Begin a transaction with this job, which may so undo all of it; false when it did, and has its answer."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._run(job)
            if job.error is None:
                return True
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            if job.error is None:
                job.error = sqlite_files.store_error(error)
                job.error.__cause__ = error
        _settle([job])
        return False

    def _run_next(self, job: _Job) -> None:
        """In the transaction of the jobs before it, which do not suffer for it."""
        try:
            if not callable(job.work):
                # A statement says no by what it returns. One that fails is so rare that its group is simply run again.
                self._run(job)
                if job.error is not None and self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                return
            self._connection.execute("SAVEPOINT job")
            self._run(job)
            if self._connection.in_transaction:
                if job.error is not None:
                    self._connection.execute("ROLLBACK TO job")
                self._connection.execute("RELEASE job")
        except sqlite3.Error as error:
            job.error = job.error or sqlite_files.store_error(error)
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")

    def _run(self, job: _Job) -> None:
        try:
            if not callable(job.work):
                job.answer = _answers(self._connection, job.work)
                return
            transaction = SqliteTransaction(self._connection, writable=True)
            job.answer = transaction.run(job.work)
            job.notifications = transaction.notifications
        except BaseException as error:
            # Whatever it is belongs to the caller; this thread serves every other caller too.
            job.error = error

    def _finish(self, group: list[_Job]) -> None:
        """Commit the group, tell the subscribers, answer the callers: in this order."""
        failure = self._commit(group)
        if failure is not None and len(group) > 1:
            # One job's fault (or size) must not be its neighbours' answer: each is tried again alone.
            for job in group:
                job.forget()
                if self._run_first(job):
                    self._finish([job])
            return
        if failure is None:
            self._tell(group)
        else:
            for job in group:
                job.error = job.error or failure
        _settle(group)

    def _tell(self, group: Sequence[_Job]) -> None:
        """Each channel's news in the order of the jobs, all of the group's at once."""
        news: dict[str, list[str]] = {}
        for job in group:
            for channel, payload in job.notifications:
                news.setdefault(channel, []).append(payload)
        for channel, payloads in news.items():
            self._hub.publish(channel, *payloads)

    def _commit(self, group: list[_Job]) -> StoreError | None:
        """None when the group is on disk; otherwise nothing of it is."""
        if not self._connection.in_transaction:
            own = next((job.error for job in group if isinstance(job.error, StoreError)), None)
            return own or sqlite_files.transaction_lost()
        try:
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            failure = sqlite_files.store_error(error)
            failure.__cause__ = error
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            return failure
        return None


class SqliteDatabase:
    """`Database` on one SQLite file."""

    dialect: Dialect = "sqlite"

    def __init__(self, path: Path) -> None:
        """The file exists and is migrated. Raises DatabaseUnreachable."""
        self._path = path
        self._hub = Hub()
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="doorward-sqlite-reader")
        self._idle: deque[sqlite3.Connection] = deque()
        self._closed = False
        # Of nobody else's use: only then every commit is another connection's to it, and moves its data_version.
        self._watch = sqlite_files.connect(path, read_only=True)
        self._writer = _Writer(path, self._hub)
        self._writer.start()

    async def write(self, fn: Callable[[Tx], T]) -> T:
        self._require_open()
        context = copy_context()
        job = _Job(lambda tx: context.run(fn, tx))
        self._writer.submit(job)
        answer: T = await job.future
        return answer

    async def read(self, fn: Callable[[Tx], T]) -> T:
        self._require_open()
        return await asyncio.wrap_future(self._readers.submit(self._read, fn))

    async def lookup(self, fn: Callable[[Tx], T]) -> T:
        self._require_open()
        return self._read(fn)

    async def run(self, *statements: Statement) -> list[list[Row]]:
        self._require_open()
        job = _Job(statements)
        self._writer.submit(job)
        answers: list[list[Row]] = await job.future
        return answers

    async def ask(self, *statements: Statement) -> list[list[Row]]:
        self._require_open()
        return self._with_reader(
            lambda connection: _answers(connection, statements), is_transaction=len(statements) > 1
        )

    def version(self) -> int | None:
        return None if self._closed else sqlite_files.data_version(self._watch)

    def subscribe(self, channel: str) -> Subscription:
        return self._hub.subscribe(channel)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._writer.stop()
        await asyncio.get_running_loop().run_in_executor(None, self._join)

    def _join(self) -> None:
        self._writer.join()
        self._readers.shutdown()
        while self._idle:
            self._idle.pop().close()
        self._watch.close()
        self._hub.close()

    def _read(self, fn: Callable[[Tx], T]) -> T:
        return self._with_reader(
            lambda connection: SqliteTransaction(connection, writable=False).run(fn), is_transaction=True
        )

    def _with_reader(self, use: Callable[[sqlite3.Connection], T], *, is_transaction: bool) -> T:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = sqlite_files.connect(self._path, read_only=True)
        try:
            if is_transaction:
                # One snapshot: two SELECTs of it never straddle a commit. A single one has its own.
                connection.execute("BEGIN")
            return use(connection)
        except sqlite3.Error as error:
            raise sqlite_files.store_error(error) from error
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            self._idle.append(connection)

    def _require_open(self) -> None:
        if self._closed:
            raise DatabaseClosed("this database has been closed")
