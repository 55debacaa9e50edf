"""Rows of notices that have still to be told."""

import msgspec

from doorward.relay.link_notices.rules import Kind
from doorward.store import Tx

_COLUMNS = "notice_id, user_id, environment_id, label, kind, source, happened_at"


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """`source` is the address the link was made from, empty where none is known. `happened_at` in ms."""

    notice_id: str
    user_id: str
    environment_id: str
    label: str
    kind: Kind
    source: str
    happened_at: int


def insert(tx: Tx, notice: Notice) -> None:
    tx.execute(
        f"INSERT INTO relay_link_notices ({_COLUMNS}, due_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        (*msgspec.structs.astuple(notice), notice.happened_at),
    )


def list_due(tx: Tx, now: int) -> list[Notice]:
    """Those nobody is telling at the moment, oldest first."""
    rows = tx.fetch_all(
        f"SELECT {_COLUMNS} FROM relay_link_notices WHERE due_at <= ?"  # noqa: S608
        " ORDER BY happened_at, notice_id LIMIT 20",
        (now,),
    )
    return [msgspec.convert(dict(zip(Notice.__struct_fields__, row, strict=True)), Notice) for row in rows]


def put_off(tx: Tx, notice_id: str, *, now: int, until: int) -> bool:
    """Take a due notice for oneself; false when another node was quicker."""
    return (
        tx.execute(
            "UPDATE relay_link_notices SET due_at = ? WHERE notice_id = ? AND due_at <= ?",
            (until, notice_id, now),
        )
        == 1
    )


def delete(tx: Tx, notice_id: str) -> None:
    tx.execute("DELETE FROM relay_link_notices WHERE notice_id = ?", (notice_id,))


def prune(tx: Tx, *, before: int) -> None:
    tx.execute("DELETE FROM relay_link_notices WHERE happened_at < ?", (before,))
