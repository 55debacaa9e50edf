"""The protocols every room codes against, and the clock they all share."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

import msgspec

T = TypeVar("T")

Dialect = Literal["sqlite", "postgresql"]

#: Rows are plain tuples in SELECT order; the caller names the columns by unpacking them.
Row = tuple[Any, ...]


class Statement(NamedTuple):
    """One statement with `?` placeholders. What it returns are rows: say RETURNING to learn what was written."""

    sql: str
    params: tuple[object, ...] = ()


#: Milliseconds since the Unix epoch.
Clock = Callable[[], int]


def system_clock() -> int:
    """Milliseconds since the Unix epoch, by this machine's clock."""
    return time.time_ns() // 1_000_000


def like_literally(text: str) -> str:
    """`text` for a pattern of `LIKE ? ESCAPE '\\'`, where none of its characters stands for others."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def contains(text: str) -> str:
    """A pattern of `LIKE ? ESCAPE '\\'` for whatever holds `text` to the letter."""
    return f"%{like_literally(text)}%"


class Schema(msgspec.Struct, frozen=True):
    """A room's tables: `name` (a lower-case word) and the package that holds its revision files.

    The version is kept in the table `<name>_schema_version`.
    """

    name: str
    package: str

    def __post_init__(self) -> None:
        if not (self.name.isidentifier() and self.name.isascii() and self.name == self.name.lower()):
            raise ValueError(f"schema name {self.name!r} is not a lower-case word")

    @property
    def version_table(self) -> str:
        return f"{self.name}_schema_version"


class Tx(Protocol):
    """One transaction: synchronous, SQL only, `?` placeholders on both engines.

    After a statement failed the transaction is lost on both engines: expected conflicts are written
    as `ON CONFLICT`, not caught. Raises ConstraintViolated, or another StoreError.
    """

    def execute(self, sql: str, params: Sequence[object] = ()) -> int:
        """Run one statement; the number of rows it changed."""
        ...

    def fetch_one(self, sql: str, params: Sequence[object] = ()) -> Row | None:
        """The first row, or None."""
        ...

    def fetch_all(self, sql: str, params: Sequence[object] = ()) -> list[Row]:
        """Every row."""
        ...

    def notify(self, channel: str, payload: str) -> None:
        """Tell every subscriber of `channel`, on every node, in order, once this transaction has committed.

        `payload` is at most 7,000 bytes and not empty ("" means "something may have been missed").
        Equal messages of one transaction arrive once.
        """
        ...


#: What a subscriber iterates: payloads in commit order; "" asks it to reload everything it derived.
Subscription = AbstractAsyncContextManager[AsyncIterator[str]]


class Database(Protocol):
    """An open database; made by `open_database`, safe to share by every task of one process."""

    @property
    def dialect(self) -> Dialect: ...

    async def write(self, fn: Callable[[Tx], T]) -> T:
        """Run `fn` as one serialisable transaction, in another thread but in the caller's context; its answer, after COMMIT.

        `fn` may run more than once. What it raises rolls the transaction back and is raised here.
        When the awaiting task is cancelled the transaction happens entirely or not at all.
        """
        ...

    async def read(self, fn: Callable[[Tx], T]) -> T:
        """Run `fn` on one consistent snapshot; writing in it raises TransactionMisused."""
        ...

    async def lookup(self, fn: Callable[[Tx], T]) -> T:
        """`read` for a few rows by their index: an engine on this machine answers at once, in the caller's own thread.

        A thread's turn costs more than such a look. `fn` must not scan or sort a table: it keeps the event loop.
        """
        ...

    async def run(self, *statements: Statement) -> list[list[Row]]:
        """`write` without a function, in one trip to the database: the rows of each, after COMMIT.

        One transaction, kept or undone as a whole; but each statement sees what others have committed until it begins,
        and is atomic by itself alone. So a condition on what a row says belongs into the statement that relies on it.
        """
        ...

    async def ask(self, *statements: Statement) -> list[list[Row]]:
        """`lookup` without a function, in one trip to the database: the rows of each. Nothing may be written.

        For a few rows by their index; where it matters that two statements see the same moment, use `read`.
        """
        ...

    def version(self) -> int | None:
        """A number that is another one after every commit, whoever made it; answered at once, without waiting.

        While it stays the same, what a `read` begun after it answered is still so. None where the engine cannot tell.
        """
        ...

    def subscribe(self, channel: str) -> Subscription:
        """`async with database.subscribe("x") as events: async for payload in events: ...`

        Events committed after the block was entered arrive; the iteration ends when the database closes.
        """
        ...

    async def close(self) -> None:
        """Finish what is queued, then let go of every file, socket and thread."""
        ...
