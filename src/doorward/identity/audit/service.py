"""Reading the trail."""

from __future__ import annotations

from doorward.identity.audit import store
from doorward.identity.audit.store import AuditEvent, AuditFilter, Place
from doorward.store import Database


class AuditTrail:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self, wanted: AuditFilter, *, before: Place | None = None, after: Place | None = None, limit: int
    ) -> list[AuditEvent]:
        """Newest first."""
        return await self._database.read(
            lambda tx: store.page(tx, wanted, before=before, after=after, limit=limit)
        )

    async def actions(self) -> list[str]:
        """What has ever been done, in order."""
        return await self._database.read(store.actions)
