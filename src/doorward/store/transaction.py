"""What the transactions of both engines share: the surface of `Tx`, and misuse that fails loudly.

The engines differ where a room could come to rely on one of them: SQLite goes on after a failed
statement, PostgreSQL does not; SQLite would happily run a statement after the end, in whichever
transaction is open then. Both are refused here, so that what works in a test on SQLite works in
production on PostgreSQL.
"""

import inspect
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from doorward.store.database import Row
from doorward.store.errors import StoreError, TransactionMisused

T = TypeVar("T")

# PostgreSQL carries at most 7,999 bytes in a notification, channel included.
MAX_PAYLOAD_BYTES = 7_000
CHANNEL = re.compile(r"[a-z0-9_.-]{1,63}")


class Transaction(ABC):
    """One run of a room's function; an engine adds how a statement is run."""

    def __init__(self, *, writable: bool) -> None:
        self._writable = writable
        self._open = True
        self._notifications: dict[tuple[str, str], None] = {}
        #: The first statement that failed, even when the function swallowed it.
        self.failure: StoreError | None = None

    @abstractmethod
    def _run(self, sql: str, params: Sequence[object]) -> Any:
        """Run one statement and return its DB-API cursor; raises StoreError."""

    @property
    def notifications(self) -> list[tuple[str, str]]:
        """(channel, payload) pairs to deliver after COMMIT, in order."""
        return list(self._notifications)

    def execute(self, sql: str, params: Sequence[object] = ()) -> int:
        cursor = self._statement(sql, params)
        changed: int = cursor.rowcount
        cursor.close()
        return max(changed, 0)

    def fetch_one(self, sql: str, params: Sequence[object] = ()) -> Row | None:
        rows = self.fetch_all(sql, params)
        return rows[0] if rows else None

    def fetch_all(self, sql: str, params: Sequence[object] = ()) -> list[Row]:
        cursor = self._statement(sql, params)
        rows: list[Row] = self._rows(cursor)
        cursor.close()
        return rows

    def notify(self, channel: str, payload: str) -> None:
        self._require_usable()
        if not self._writable:
            raise TransactionMisused("a read cannot notify: use `write`")
        if not CHANNEL.fullmatch(channel):
            raise TransactionMisused(f"{channel!r} is not a channel name: lower-case words joined by dots")
        if not 1 <= len(payload.encode()) <= MAX_PAYLOAD_BYTES:
            raise TransactionMisused(
                f"a payload has 1 to {MAX_PAYLOAD_BYTES} bytes; send an id, not the object"
            )
        self._notifications[channel, payload] = None

    def run(self, fn: Callable[[Any], T]) -> T:
        """The function's answer, if every statement of it succeeded; the transaction is over for it afterwards."""
        try:
            answer = fn(self)
        except StopIteration as error:
            # A future cannot carry it (PEP 479): whoever waits would wait for ever.
            raise TransactionMisused("the function ran `next` past the end of its rows") from error
        finally:
            self._open = False
        if self.failure is not None:
            # Swallowed inside the function: PostgreSQL has already lost the transaction, so SQLite's is lost too.
            raise self.failure
        if inspect.iscoroutine(answer):
            answer.close()
            raise TransactionMisused("a transaction is a plain function, not an `async` one")
        if inspect.isgenerator(answer):
            raise TransactionMisused(
                "a transaction returns values, not a generator that would run after its end"
            )
        return answer

    def _rows(self, cursor: Any) -> list[Row]:
        try:
            rows: list[Row] = cursor.fetchall()
        except Exception as error:
            self.failure = self._failed(error)
            raise self.failure from error
        return rows

    @abstractmethod
    def _failed(self, error: Exception) -> StoreError:
        """The store's error for one of the driver's."""

    def _statement(self, sql: str, params: Sequence[object]) -> Any:
        self._require_usable()
        try:
            return self._run(sql, params)
        except StoreError:
            raise
        except Exception as error:
            self.failure = self._failed(error)
            raise self.failure from error

    def _require_usable(self) -> None:
        if not self._open:
            raise TransactionMisused(
                "this transaction has ended: do all SQL inside the function given to the database"
            )
        if self.failure is not None:
            raise TransactionMisused(
                "an earlier statement of this transaction failed: use ON CONFLICT where a conflict is expected"
            ) from self.failure
