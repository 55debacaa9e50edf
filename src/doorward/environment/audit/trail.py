"""The audit table and how it is read."""

import secrets
import time

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


class NamedEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry with what its ids are called today: the device that decided and the device it was about, by their own
    words. None where the id is of no device, or of one that is forgotten."""

    id: str
    entry: AuditEntry
    actor_name: str | None
    device_name: str | None


class AuditPage(msgspec.Struct, frozen=True):
    entries: list[NamedEntry]
    has_older: bool


#: The label of a device lives with its key, so a revoked device still has its name here.
_NAMED = """
    SELECT a.id, a.happened_at, a.actor, a.came_from, a.action, a.object, a.detail,
        COALESCE(by_key.client_label, s.client_label), s.client_browser, s.client_os,
        COALESCE(c.client_label, c.client_os)
    FROM environment_audit a
    LEFT JOIN auth_sessions s ON s.session_id = a.actor
    LEFT JOIN auth_connect_clients by_key ON by_key.client_proof_key_thumbprint = s.jkt
    LEFT JOIN auth_connect_clients c ON c.client_proof_key_thumbprint = a.object
    {where}
    ORDER BY a.happened_at DESC, a.id DESC LIMIT ?
"""
_OLDER = "WHERE (a.happened_at, a.id) < (SELECT happened_at, id FROM environment_audit WHERE id = ?)"


class Audit:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, *, size: int, before: str | None = None) -> AuditPage:
        """The newest entries, or those older than the entry `before`; none when there is no such entry."""
        sql = _NAMED.format(where="" if before is None else _OLDER)
        parameters = (size + 1,) if before is None else (before, size + 1)

        def read(tx: Tx) -> AuditPage:
            rows = tx.fetch_all(sql, parameters)
            entries = [
                NamedEntry(
                    id=row[0],
                    entry=AuditEntry(
                        happened_at=row[1],
                        actor=row[2],
                        came_from=row[3],
                        action=row[4],
                        object=row[5],
                        detail=row[6],
                    ),
                    actor_name=row[7] or " on ".join(part for part in row[8:10] if part) or None,
                    device_name=row[10],
                )
                for row in rows[:size]
            ]
            return AuditPage(entries, has_older=len(rows) > size)

        return await self._database.read(read)

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
        (_later_id(), now, actor.name, came_from, action, object_, detail),
    )


def _later_id() -> str:
    """Sorts behind every id before it: what happens within one millisecond is told in the order it happened."""
    return f"{time.monotonic_ns():016x}{secrets.token_hex(8)}"
