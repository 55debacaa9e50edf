"""PostgreSQL, by psycopg 3: synchronous connections in a small pool of threads.

Writes run SERIALIZABLE and are run again when PostgreSQL finds that they collided (40001, 40P01); reads run
REPEATABLE READ READ ONLY, which is one snapshot and never has to be retried. The connections must reach
PostgreSQL itself, not a pooler in transaction mode: LISTEN and prepared statements need a session.
"""

import asyncio
import queue
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, LiteralString, TypeVar

import psycopg
from psycopg import errors as pg

from doorward.store.database import Dialect, Row, Statement, Subscription, Tx
from doorward.store.errors import (
    ConstraintKind,
    ConstraintViolated,
    DatabaseClosed,
    DatabaseContended,
    DatabaseFailed,
    DatabaseFull,
    OutcomeUnknown,
    StoreError,
    TransactionMisused,
)
from doorward.store.notifications import Hub
from doorward.store.postgresql_listener import NOTIFY_CHANNEL_SQL, Listener, connect, unreachable
from doorward.store.postgresql_pipeline import Pipelines, TripLost
from doorward.store.statements import for_postgresql, require_reading
from doorward.store.transaction import Transaction

T = TypeVar("T")

CONNECTIONS = 8
MAX_ATTEMPTS = 16
# Full jitter, doubling from the first to the last figure (seconds): long enough for the other side to finish.
FIRST_PAUSE = 0.002
LONGEST_PAUSE = 0.2

_BEGIN_WRITE = "BEGIN ISOLATION LEVEL SERIALIZABLE"
_BEGIN_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

_OUTCOME_UNKNOWN = (
    "The connection to PostgreSQL broke while a change was being committed: it may or may not have happened."
    " Look before repeating it."
)
_CONTENDED = f"A change collided with others {MAX_ATTEMPTS} times in a row and was given up; nothing was changed. Try again."

_KINDS: dict[type[psycopg.Error], ConstraintKind] = {
    pg.UniqueViolation: "unique",
    pg.CheckViolation: "check",
    pg.ForeignKeyViolation: "foreign_key",
    pg.NotNullViolation: "not_null",
}


class _Collided(StoreError):
    """PostgreSQL asks to run the transaction again; nothing of it was kept. Never leaves this module."""


class _ConnectionLost(StoreError):
    """The connection broke before COMMIT was sent; nothing was kept. Never leaves this module."""


def _pause(attempt: int) -> float:
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2**attempt)
    return random.uniform(0, longest)  # noqa: S311 - spreads retries, guards nothing


def store_error(error: Exception) -> StoreError:
    """The store's error for one of psycopg's, with what to do about it."""
    for refused, kind in _KINDS.items():
        if isinstance(error, refused):
            name = error.diag.constraint_name or f"{error.diag.table_name}.{error.diag.column_name}"
            return ConstraintViolated(kind, name)
    match error:
        case pg.SerializationFailure() | pg.DeadlockDetected():
            return _Collided(str(error))
        case pg.DiskFull():
            return DatabaseFull(
                f"PostgreSQL has no space left ({error}); nothing was changed. Free some space."
            )
        case pg.ReadOnlySqlTransaction():
            return TransactionMisused("a read cannot change anything: use `write`")
        case _:
            return DatabaseFailed(f"PostgreSQL refused: {error}")


class PostgresqlTransaction(Transaction):
    def __init__(self, connection: "psycopg.Connection[Any]", *, writable: bool) -> None:
        super().__init__(writable=writable)
        self._connection = connection

    def _run(self, sql: str, params: Sequence[object]) -> Any:
        # Not a cursor that looks for placeholders itself: in the values of a hundred rows that takes longer than all else.
        return psycopg.RawCursor(self._connection).execute(for_postgresql(sql), tuple(params))

    def send_notifications(self) -> None:
        """Hand them to PostgreSQL, which delivers them at COMMIT."""
        for channel, payload in self.notifications:
            try:
                self._connection.execute(
                    f"SELECT pg_notify({NOTIFY_CHANNEL_SQL}, %s)".encode(), (f"{channel}\n{payload}",)
                )
            except psycopg.Error as error:
                raise self._failed(error) from error

    def _failed(self, error: Exception) -> StoreError:
        if self._connection.closed:
            return _ConnectionLost(str(error))
        return store_error(error)


class PostgresqlDatabase:
    """`Database` on one PostgreSQL database."""

    dialect: Dialect = "postgresql"

    def __init__(self, url: str) -> None:
        """The database is migrated. Raises DatabaseUnreachable."""
        self._url = url
        self._hub = Hub()
        self._closed = False
        self._idle: queue.LifoQueue[psycopg.Connection[Any]] = queue.LifoQueue()
        self._listener = Listener(url, self._hub)
        self._threads = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="doorward-postgresql")
        # A read waits for no disk, so many may share a connection; each write there waits for those before it.
        self._reads = Pipelines(url, connections=2, together=16)
        self._writes = Pipelines(url, connections=6, together=4)

    async def write(self, fn: Callable[[Tx], T]) -> T:
        self._require_open()
        context = copy_context()
        work = self._threads.submit(self._write, lambda tx: context.run(fn, tx))
        return await asyncio.wrap_future(work)

    async def read(self, fn: Callable[[Tx], T]) -> T:
        self._require_open()
        return await asyncio.wrap_future(self._threads.submit(self._read, fn))

    async def lookup(self, fn: Callable[[Tx], T]) -> T:
        return await self.read(fn)

    async def run(self, *statements: Statement) -> list[list[Row]]:
        self._require_open()
        collision: StoreError | None = None
        for attempt in range(MAX_ATTEMPTS):
            if collision is not None:
                await asyncio.sleep(_pause(attempt))
            try:
                return await self._writes.run(statements)
            except TripLost as error:
                raise OutcomeUnknown(_OUTCOME_UNKNOWN) from error
            except psycopg.Error as error:
                failure = store_error(error)
                if not isinstance(failure, _Collided):
                    raise failure from error
                collision = failure
        raise DatabaseContended(_CONTENDED) from collision

    async def ask(self, *statements: Statement) -> list[list[Row]]:
        self._require_open()
        for statement in statements:
            require_reading(statement.sql)
        for attempt in range(2):
            try:
                return await self._reads.run(statements)
            except TripLost as error:
                if attempt:
                    raise unreachable(error) from error
            except psycopg.Error as error:
                raise store_error(error) from error
        raise AssertionError("unreachable: the second attempt returns or raises")

    def version(self) -> int | None:
        return None

    def subscribe(self, channel: str) -> Subscription:
        return self._hub.subscribe(channel)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        await self._reads.close()
        await self._writes.close()
        await asyncio.get_running_loop().run_in_executor(None, self._shut_down)

    def _shut_down(self) -> None:
        self._threads.shutdown()
        self._listener.stop()
        while not self._idle.empty():
            self._idle.get().close()
        self._hub.close()

    def _write(self, fn: Callable[[Tx], T]) -> T:
        collision: StoreError | None = None
        for attempt in range(MAX_ATTEMPTS):
            if collision is not None:
                time.sleep(_pause(attempt))
            try:
                return self._attempt(fn)
            except _Collided as error:
                collision = error
            except _ConnectionLost as error:
                if attempt > 1:
                    raise unreachable(error) from error
                collision = error
            except ConstraintViolated as error:
                # A transaction that looked first and then inserted may meet a row another one committed in
                # between; PostgreSQL reports that as a plain violation. Looking again tells the two apart.
                if error.kind != "unique" or attempt > 0:
                    raise
                collision = error
        raise DatabaseContended(_CONTENDED) from collision

    def _attempt(self, fn: Callable[[Tx], T]) -> T:
        connection = self._begin(_BEGIN_WRITE)
        transaction = PostgresqlTransaction(connection, writable=True)
        try:
            try:
                answer = transaction.run(fn)
            except BaseException as error:
                if isinstance(transaction.failure, (_Collided, _ConnectionLost)):
                    # Whatever the function made of it, the transaction has not happened: run it again.
                    raise transaction.failure from error
                raise
            transaction.send_notifications()
            self._commit(connection)
            return answer
        finally:
            self._release(connection)

    def _commit(self, connection: "psycopg.Connection[Any]") -> None:
        try:
            done = connection.execute("COMMIT").statusmessage
        except psycopg.Error as error:
            if connection.closed:
                raise OutcomeUnknown(_OUTCOME_UNKNOWN) from error
            raise store_error(error) from error
        if done != "COMMIT":
            raise DatabaseFailed(f"PostgreSQL answered COMMIT with {done}; nothing was changed.")

    def _read(self, fn: Callable[[Tx], T]) -> T:
        for attempt in range(2):
            connection = self._begin(_BEGIN_READ)
            transaction = PostgresqlTransaction(connection, writable=False)
            try:
                return transaction.run(fn)
            except StoreError as error:
                lost = isinstance(transaction.failure, (_ConnectionLost, _Collided))
                if lost and attempt:
                    raise unreachable(error) from error
                if not lost:
                    raise
            finally:
                self._release(connection)
        raise AssertionError("unreachable: the second attempt returns or raises")

    def _begin(self, begin: LiteralString) -> "psycopg.Connection[Any]":
        """A connection inside a new transaction; one that died while idle (server restart) is replaced."""
        while True:
            is_new = self._idle.empty()
            try:
                connection = connect(self._url) if is_new else self._idle.get_nowait()
            except queue.Empty:
                continue  # another thread was quicker
            try:
                connection.execute(begin)
            except psycopg.Error as error:
                connection.close()
                if is_new:
                    raise unreachable(error) from error
            else:
                return connection

    def _release(self, connection: "psycopg.Connection[Any]") -> None:
        if not connection.closed and connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            try:
                connection.execute("ROLLBACK")
            except psycopg.Error:
                connection.close()
        if not connection.closed:
            self._idle.put(connection)

    def _require_open(self) -> None:
        if self._closed:
            raise DatabaseClosed("this database has been closed")
