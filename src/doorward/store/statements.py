"""From the SQL rooms write to the SQL an engine runs; worked out once per text."""

import re
from functools import lru_cache
from itertools import count

from doorward.store.errors import TransactionMisused

# In order: quoted text (a doubled quote stays inside), comments, a placeholder with what would number it.
_TOKEN = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|/\*.*?\*/|\?\d*|%""", re.DOTALL)

# The seam begins and ends transactions; a statement that does would tear a group commit apart.
_CONTROL = re.compile(
    r"\s*(begin|start|commit|end|rollback|abort|savepoint|release|pragma|attach|detach|vacuum|listen|notify|set)\b",
    re.IGNORECASE,
)

_READING = re.compile(r"\s*select\b", re.IGNORECASE)


@lru_cache(maxsize=4096)
def for_sqlite(sql: str) -> str:
    """`sql` itself, once it has been checked to be a statement a room may run."""
    _check(sql)
    return sql


@lru_cache(maxsize=4096)
def for_postgresql(sql: str) -> bytes:
    """`sql` with `$1`, `$2`, ... for the `?` outside quotes and comments, as PostgreSQL itself reads it."""
    _check(sql)
    numbers = count(1)
    return _TOKEN.sub(
        lambda token: f"${next(numbers)}" if token.group() == "?" else token.group(), sql
    ).encode()


@lru_cache(maxsize=4096)
def require_reading(sql: str) -> None:
    """Refuse what `Database.ask` is not for, where no transaction of ours says so to the engine."""
    if not _READING.match(sql):
        raise TransactionMisused(f"a read cannot change anything: use `run`, not `ask`: {sql.strip()[:60]!r}")


def _check(sql: str) -> None:
    if _CONTROL.match(sql):
        raise TransactionMisused(
            f"transactions are begun and ended by the store, not by SQL: {sql.strip()[:60]!r}"
        )
    for token in _TOKEN.finditer(sql):
        text = token.group()
        if text[0] == "?" and text != "?":
            raise TransactionMisused(
                f"numbered placeholders ({text}) do not exist on PostgreSQL: use plain ?"
            )
