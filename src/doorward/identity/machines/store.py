"""Rows of machines, their secret keys and their scopes. Times in milliseconds."""

# ruff: noqa: S608  (only our own column lists are put into statements; every value is a parameter)

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from doorward.identity.paging import Slice
from doorward.store import Tx, contains

ORDERS = {"name": "name", "created_at": "created_at"}


class Machine(msgspec.Struct, frozen=True):
    """`default_token_ttl` is in seconds."""

    id: str
    name: str
    default_token_ttl: int
    created_at: int
    updated_at: int


class MachineScope(msgspec.Struct, frozen=True):
    """Tokens of `from_machine_id` are good at `to_machine_id`."""

    from_machine_id: str
    to_machine_id: str
    created_at: int


_COLUMNS = "id, name, default_token_ttl, created_at, updated_at"


def insert(tx: Tx, machine: Machine) -> None:
    tx.execute(
        f"INSERT INTO identity_machines ({_COLUMNS}) VALUES (?, ?, ?, ?, ?)",
        (machine.id, machine.name, machine.default_token_ttl, machine.created_at, machine.updated_at),
    )


def find(tx: Tx, machine_id: str) -> Machine | None:
    row = tx.fetch_one(f"SELECT {_COLUMNS} FROM identity_machines WHERE id = ?", (machine_id,))
    return None if row is None else Machine(*row)


def page(tx: Tx, query: str | None, part: Slice) -> tuple[list[Machine], int]:
    """Machines whose id is `query` or whose name holds it, whatever the case, and how many those are in all."""
    where, values = "", []
    if query is not None:
        where = r" WHERE id = ? OR LOWER(name) LIKE LOWER(?) ESCAPE '\'"
        values = [query, contains(query)]
    rows = tx.fetch_all(
        f"SELECT {_COLUMNS} FROM identity_machines{where} {part.order_by(ORDERS)}",
        [*values, part.limit, part.offset],
    )
    count = tx.fetch_one(f"SELECT COUNT(*) FROM identity_machines{where}", values)
    return [Machine(*row) for row in rows], 0 if count is None else int(count[0])


def update(tx: Tx, machine: Machine) -> None:
    tx.execute(
        "UPDATE identity_machines SET name = ?, default_token_ttl = ?, updated_at = ? WHERE id = ?",
        (machine.name, machine.default_token_ttl, machine.updated_at, machine.id),
    )


def delete(tx: Tx, machine_id: str) -> bool:
    """Its keys, its scopes both ways and its tokens go with it."""
    return tx.execute("DELETE FROM identity_machines WHERE id = ?", (machine_id,)) == 1


# -- secret keys


def insert_key(tx: Tx, machine_id: str, key_hash: str, sealed_key: bytes, now: int) -> None:
    tx.execute(
        "INSERT INTO identity_machine_keys (key_hash, machine_id, sealed_key, created_at) VALUES (?, ?, ?, ?)",
        (key_hash, machine_id, sealed_key, now),
    )


class KeyOwner(msgspec.Struct, frozen=True):
    """The machine whose key it is; a key without end is its current one."""

    machine_id: str
    expire_at: int | None


class MachineDetail(msgspec.Struct, frozen=True):
    """A machine and those it may call."""

    machine: Machine
    scoped_machines: list[Machine]


def owner_of_key(tx: Tx, key_hash: str) -> KeyOwner | None:
    row = tx.fetch_one(
        "SELECT machine_id, expire_at FROM identity_machine_keys WHERE key_hash = ?", (key_hash,)
    )
    return None if row is None else KeyOwner(*row)


def current_key(tx: Tx, machine_id: str) -> tuple[str, bytes] | None:
    """Hash and envelope."""
    row = tx.fetch_one(
        "SELECT key_hash, sealed_key FROM identity_machine_keys WHERE machine_id = ? AND expire_at IS NULL",
        (machine_id,),
    )
    return None if row is None else (str(row[0]), bytes(row[1]))


def end_keys(tx: Tx, machine_id: str, expire_at: int, now: int) -> None:
    """The current key works until then, and can be read no more; one that it replaced ends now."""
    tx.execute(
        "DELETE FROM identity_machine_keys WHERE machine_id = ? AND expire_at IS NOT NULL", (machine_id,)
    )
    if expire_at <= now:
        tx.execute("DELETE FROM identity_machine_keys WHERE machine_id = ?", (machine_id,))
    else:
        tx.execute(
            "UPDATE identity_machine_keys SET expire_at = ?, sealed_key = NULL WHERE machine_id = ?",
            (expire_at, machine_id),
        )


def delete_ended_keys(tx: Tx, now: int) -> None:
    tx.execute("DELETE FROM identity_machine_keys WHERE expire_at <= ?", (now,))


# -- scopes


def insert_scope(tx: Tx, scope: MachineScope) -> bool:
    """False when it is there already."""
    return (
        tx.execute(
            "INSERT INTO identity_machine_scopes (from_machine_id, to_machine_id, created_at) VALUES (?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            (scope.from_machine_id, scope.to_machine_id, scope.created_at),
        )
        == 1
    )


def delete_scope(tx: Tx, from_machine_id: str, to_machine_id: str) -> bool:
    return (
        tx.execute(
            "DELETE FROM identity_machine_scopes WHERE from_machine_id = ? AND to_machine_id = ?",
            (from_machine_id, to_machine_id),
        )
        == 1
    )


def scope_ids(tx: Tx, machine_id: str) -> list[str]:
    """The machines it may call now, in an order that stays the same."""
    rows = tx.fetch_all(
        "SELECT to_machine_id FROM identity_machine_scopes WHERE from_machine_id = ? ORDER BY to_machine_id",
        (machine_id,),
    )
    return [str(row[0]) for row in rows]


def scoped_machines(tx: Tx, machine_ids: Sequence[str]) -> dict[str, list[Machine]]:
    """For each of these machines, those it may call, oldest edge first."""
    found: dict[str, list[Machine]] = {machine_id: [] for machine_id in machine_ids}
    if not found:
        return found
    columns = ", ".join(f"m.{name}" for name in _COLUMNS.split(", "))
    rows = tx.fetch_all(
        f"""
        SELECT s.from_machine_id, {columns} FROM identity_machine_scopes s
        JOIN identity_machines m ON m.id = s.to_machine_id
        WHERE s.from_machine_id IN ({", ".join("?" * len(found))}) ORDER BY s.created_at, m.id
        """,
        list(found),
    )
    for from_machine_id, *machine in rows:
        found[from_machine_id].append(Machine(*machine))
    return found
