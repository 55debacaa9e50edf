"""Rows of service names."""

from collections.abc import Sequence

from doorward.relay.services.rules import ServiceNameRow
from doorward.store import Row, Statement, Tx

_COLUMNS = "name, user_id, environment_id, released_at"


def _row(row: tuple[object, ...]) -> ServiceNameRow:
    released_at = row[3]
    return ServiceNameRow(
        str(row[0]), str(row[1]), str(row[2]), released_at if isinstance(released_at, int) else None
    )


def find(tx: Tx, name: str) -> ServiceNameRow | None:
    row = tx.fetch_one(f"SELECT {_COLUMNS} FROM relay_service_names WHERE name = ?", (name,))  # noqa: S608
    return None if row is None else _row(row)


def list_active(tx: Tx, *, user_id: str, environment_id: str) -> list[ServiceNameRow]:
    rows = tx.fetch_all(
        f"SELECT {_COLUMNS} FROM relay_service_names"  # noqa: S608
        " WHERE user_id = ? AND environment_id = ? AND released_at IS NULL ORDER BY name",
        (user_id, environment_id),
    )
    return [_row(row) for row in rows]


def active_of_user(user_id: str) -> Statement:
    """Every name of an account, for `names_of`."""
    return Statement(
        f"SELECT {_COLUMNS} FROM relay_service_names"  # noqa: S608
        " WHERE user_id = ? AND released_at IS NULL ORDER BY name",
        (user_id,),
    )


def names_of(rows: Sequence[Row]) -> list[ServiceNameRow]:
    return [_row(row) for row in rows]


def count_held(tx: Tx, user_id: str, *, released_after: int) -> int:
    """How many names nobody but this account may claim."""
    row = tx.fetch_one(
        "SELECT COUNT(*) FROM relay_service_names WHERE user_id = ? AND (released_at IS NULL OR released_at > ?)",
        (user_id, released_after),
    )
    return 0 if row is None else int(row[0])


def claim(tx: Tx, name: str, *, user_id: str, environment_id: str, now: int) -> None:
    """Write the claim that the rules allowed.

    The primary key settles a race of two accounts for one free name: both read "free", one row is written, and
    the other transaction is run again (or fails) and then sees the winner.
    """
    tx.execute(
        "INSERT INTO relay_service_names (name, user_id, environment_id, released_at, created_at, updated_at)"
        " VALUES (?, ?, ?, NULL, ?, ?) ON CONFLICT (name) DO UPDATE SET user_id = excluded.user_id,"
        " environment_id = excluded.environment_id, released_at = NULL, updated_at = excluded.updated_at",
        (name, user_id, environment_id, now, now),
    )


def release(tx: Tx, name: str, *, user_id: str, environment_id: str, now: int) -> bool:
    released = tx.execute(
        "UPDATE relay_service_names SET released_at = ?, updated_at = ?"
        " WHERE name = ? AND user_id = ? AND environment_id = ? AND released_at IS NULL",
        (now, now, name, user_id, environment_id),
    )
    return released == 1


def release_all(tx: Tx, *, user_id: str, environment_id: str, now: int) -> int:
    return tx.execute(
        "UPDATE relay_service_names SET released_at = ?, updated_at = ?"
        " WHERE user_id = ? AND environment_id = ? AND released_at IS NULL",
        (now, now, user_id, environment_id),
    )
