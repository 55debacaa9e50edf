"""The audit table and how it is read."""

import uuid

import msgspec

from doorward.environment.access import Actor
from doorward.store import Database, Tx


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`actor` did `action` to `object`; `came_from` is the door and, where known, the address. Time in ms."""

    happened_at: int
    actor: str
    came_from: str
    action: str
    object: str
    detail: str


class Audit:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def recent(self, limit: int = 100) -> list[AuditEntry]:
        """The newest entries first."""

        def read(tx: Tx) -> list[AuditEntry]:
            rows = tx.fetch_all(
                "SELECT happened_at, actor, came_from, action, object, detail FROM environment_audit"
                " ORDER BY happened_at DESC, id DESC LIMIT ?",
                (limit,),
            )
            return [
                AuditEntry(
                    happened_at=row[0],
                    actor=row[1],
                    came_from=row[2],
                    action=row[3],
                    object=row[4],
                    detail=row[5],
                )
                for row in rows
            ]

        return await self._database.read(read)


def record(tx: Tx, actor: Actor, action: str, object_: str, *, now: int, detail: str = "") -> None:
    """Write one entry. `action` is a verb phrase such as `client.approve`; `now` in ms."""
    came_from = f"{actor.door} {actor.address}".strip()
    tx.execute(
        "INSERT INTO environment_audit (id, happened_at, actor, came_from, action, object, detail)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (str(uuid.uuid4()), now, actor.name, came_from, action, object_, detail),
    )
