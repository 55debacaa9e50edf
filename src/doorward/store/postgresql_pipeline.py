"""Statements that need no answer of one another, sent to PostgreSQL in one trip from the event loop itself.

A transaction as a function waits in a thread for each of its statements, which costs ten times what libpq takes for the
whole of it. Here libpq's pipeline mode is at work: what is sent before a sync is one transaction of its own, kept or undone
as a whole, and prepared statements are remembered by their text
(https://www.postgresql.org/docs/current/libpq-pipeline-mode.html).
"""

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from select import POLLIN, poll
from typing import Any

import psycopg
from psycopg import pq
from psycopg.errors import error_from_result

from doorward.store.database import Row, Statement
from doorward.store.errors import DatabaseClosed, DatabaseFailed, TransactionMisused
from doorward.store.postgresql_listener import connect
from doorward.store.statements import for_postgresql

log = logging.getLogger(__name__)

#: By a column's type (`pg_type.oid`): its value from what PostgreSQL writes in text. The types of the house.
_LOAD: dict[int, Callable[[bytes], object]] = {
    **dict.fromkeys((19, 25, 1042, 1043), bytes.decode),
    **dict.fromkeys((20, 21, 23), int),
    16: b"t".__eq__,
    17: lambda written: bytes.fromhex(written[2:].decode()),
}


class TripLost(Exception):
    """The connection broke while statements were on their way: what became of them is not known."""


class Pipelines:
    """A few connections, opened as they are needed. Belongs to the event loop it is first used in.

    Trips share a connection while fewer than `together` are on it: each connection in use is one more process of the server
    that is woken, and wakes us. They are answered in turn there, so `together` also bounds for how many others one waits.
    """

    def __init__(self, url: str, *, connections: int, together: int) -> None:
        self._url = url
        self._connections = connections
        self._together = together
        self._open: list[_Pipeline] = []
        self._dialling: set[asyncio.Task[None]] = set()
        self._is_closed = False

    async def run(self, statements: Sequence[Statement]) -> list[list[Row]]:
        """The rows of each, after COMMIT. Raises TripLost, psycopg.Error, DatabaseUnreachable, TransactionMisused."""
        trip = _Trip(statements)
        (await self._pipeline()).send(trip)
        return await trip.outcome

    async def close(self) -> None:
        """Once what is on its way has been answered."""
        self._is_closed = True
        waiting = [trip.outcome for pipeline in self._open for trip in pipeline.trips]
        await asyncio.gather(*self._dialling, *waiting, return_exceptions=True)
        for pipeline in list(self._open):
            pipeline.close()

    async def _pipeline(self) -> "_Pipeline":
        """The first with room, else the one with the least to do; then the next request finds one more."""
        while True:
            found = self._with_room() or min(self._open, key=_trips_of, default=None)
            is_full = len(self._open) + len(self._dialling) >= self._connections
            if (found is None or len(found.trips) >= self._together) and not is_full and not self._is_closed:
                self._dial_soon()
            if found is not None:
                return found
            if not self._dialling:
                raise DatabaseClosed("this database has been closed")
            done, _ = await asyncio.wait(self._dialling, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()

    def _with_room(self) -> "_Pipeline | None":
        for pipeline in list(self._open):
            if not pipeline.trips and not pipeline.is_usable:
                pipeline.close()
            elif len(pipeline.trips) < self._together:
                return pipeline
        return None

    def _dial_soon(self) -> None:
        """In a task of its own: whoever waits for the connection may be cancelled, and others use it."""
        task = asyncio.create_task(self._dial())
        self._dialling.add(task)
        task.add_done_callback(self._dialled)

    def _dialled(self, task: "asyncio.Task[None]") -> None:
        self._dialling.discard(task)
        if not task.cancelled():
            task.exception()  # told to whoever waits for it; where nobody does, other connections are open

    async def _dial(self) -> None:
        loop = asyncio.get_running_loop()
        connection = await loop.run_in_executor(None, connect, self._url)
        if self._is_closed:
            connection.close()
            raise DatabaseClosed("this database has been closed")
        self._open.append(_Pipeline(connection, loop, self._open.remove))


def _trips_of(pipeline: "_Pipeline") -> int:
    return len(pipeline.trips)


class _Trip:
    """Statements on their way: `expected` are the results still to come, a name where one prepares a statement."""

    def __init__(self, statements: Sequence[Statement]) -> None:
        self.statements = [
            (for_postgresql(sql), [_dump(value) for value in params]) for sql, params in statements
        ]
        self.outcome: asyncio.Future[list[list[Row]]] = asyncio.get_running_loop().create_future()
        self.expected: deque[tuple[bytes, bytes] | None] = deque()
        self.rows: list[list[Row]] = []
        self.error: Exception | None = None

    def end(self, error: Exception | None) -> None:
        """A caller that was cancelled is told nothing."""
        if self.outcome.done():
            return
        if error is not None:
            self.outcome.set_exception(error)
        else:
            self.outcome.set_result(self.rows)


class _Pipeline:
    """One connection in pipeline mode. `trips` are answered in the order they were sent."""

    def __init__(
        self,
        connection: "psycopg.Connection[Any]",
        loop: asyncio.AbstractEventLoop,
        closed: "Callable[[_Pipeline], None]",
    ) -> None:
        self.trips: deque[_Trip] = deque()
        self._connection = connection
        self._pg = connection.pgconn
        self._pg.nonblocking = 1
        self._pg.enter_pipeline_mode()
        self._socket = self._pg.socket
        self._poll = poll()
        self._poll.register(self._socket, POLLIN)
        self._loop = loop
        self._closed = closed
        self._names: dict[bytes, bytes] = {}
        self._numbers = itertools.count()
        self._is_open = True
        loop.add_reader(self._socket, self._readable)

    @property
    def is_usable(self) -> bool:
        """Of an idle connection: whether nothing came unasked, as it does when the server ends."""
        return not self._poll.poll(0)

    def send(self, trip: _Trip) -> None:
        self.trips.append(trip)
        try:
            for sql, values in trip.statements:
                name = self._names.get(sql)
                if name is None:
                    name = b"doorward_%d" % next(self._numbers)
                    self._pg.send_prepare(name, sql)
                    trip.expected.append((sql, name))
                self._pg.send_query_prepared(name, values)
                trip.expected.append(None)
            self._pg.pipeline_sync()
            self._flush()
        except psycopg.Error as error:
            self._lose(error)

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._closed(self)
            with suppress(psycopg.Error):
                self._connection.close()

    def _flush(self) -> None:
        """The rest of it when the socket takes more."""
        if self._pg.flush():
            self._loop.add_writer(self._socket, self._flush_again)

    def _flush_again(self) -> None:
        try:
            if not self._pg.flush():
                self._loop.remove_writer(self._socket)
        except psycopg.Error as error:
            self._lose(error)

    def _readable(self) -> None:
        try:
            self._pg.consume_input()
            was_none = False
            while self.trips and not self._pg.is_busy():
                result = self._pg.get_result()
                if result is not None:
                    self._take(self.trips[0], result)
                elif was_none:
                    break  # one ends a statement; two are the end of what has arrived
                was_none = result is None
        except psycopg.Error as error:
            self._lose(error)

    def _take(self, trip: _Trip, result: pq.abc.PGresult) -> None:
        status = result.status
        if status == pq.ExecStatus.PIPELINE_SYNC:
            self.trips.popleft()
            trip.end(trip.error)
            return
        prepared = trip.expected.popleft() if trip.expected else None
        if status == pq.ExecStatus.FATAL_ERROR:
            trip.error = trip.error or error_from_result(result)
        elif status == pq.ExecStatus.PIPELINE_ABORTED or trip.error is not None:
            return  # what follows a failure was not run
        elif prepared is not None:
            self._names[prepared[0]] = prepared[1]
        else:
            try:
                trip.rows.append(_rows(result))
            except (DatabaseFailed, ValueError) as error:
                # Here nobody could hear of it; its caller does.
                trip.error = DatabaseFailed(f"PostgreSQL answered what is not a value of ours ({error})")

    def _lose(self, error: psycopg.Error) -> None:
        self.close()
        trips, self.trips = self.trips, deque()
        if trips:
            log.warning("a connection to PostgreSQL broke: %s", " ".join(str(error).split()))
        for trip in trips:
            trip.end(TripLost(str(error)))


def _rows(result: pq.abc.PGresult) -> list[Row]:
    rows = range(result.ntuples)
    columns = [_column(result, column, rows) for column in range(result.nfields)] if rows else []
    return list(zip(*columns, strict=True))


def _column(result: pq.abc.PGresult, column: int, rows: range) -> list[object]:
    load = _LOAD.get(result.ftype(column))
    if load is None:
        raise DatabaseFailed(f"a column of the type {result.ftype(column)}")
    values = [result.get_value(row, column) for row in rows]
    return [None if value is None else load(value) for value in values]


def _dump(value: object) -> bytes | None:
    match value:
        case str() if "\x00" not in value:
            return value.encode()
        case str():
            # The wire's text ends there: what follows would be cut off unseen.
            raise DatabaseFailed("PostgreSQL refused: text cannot hold NUL")
        case None:
            return None
        case bool():
            return b"t" if value else b"f"
        case int():
            return b"%d" % value
        case bytes():
            return b"\\x" + value.hex().encode()
        case _:
            raise TransactionMisused(f"a {type(value).__name__} is not a value of ours")
