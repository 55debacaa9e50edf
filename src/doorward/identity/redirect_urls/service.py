"""Registering, listing and removing redirect URLs."""

from __future__ import annotations

from doorward.identity.audit import store as audit
from doorward.identity.errors import (
    DUPLICATE_RECORD,
    FORM_PARAM_FORMAT_INVALID,
    Problem,
    Refused,
    not_found,
)
from doorward.identity.identifiers import new_id
from doorward.identity.invitations.rules import is_redirect_url
from doorward.identity.redirect_urls import store
from doorward.identity.redirect_urls.store import RedirectUrl
from doorward.store import Clock, Database, Tx


class RedirectUrls:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def create(self, url: str, *, actor: str) -> RedirectUrl:
        """Raises Refused: 422 for no acceptable URL, 400 for one that is registered."""
        if not is_redirect_url(url):
            raise Refused(
                FORM_PARAM_FORMAT_INVALID.at(
                    "url", long_message="url must be https, or an application's own scheme."
                )
            )
        now = self._clock()
        entry = RedirectUrl(new_id("ru"), url, now, now)

        def work(tx: Tx) -> None:
            if not store.insert(tx, entry):
                raise Refused(DUPLICATE_RECORD.at("url", long_message="This URL is registered already."))
            audit.record(tx, now=now, actor=actor, action="redirect_url.created", object_id=entry.id)

        await self._database.write(work)
        return entry

    async def get(self, entry_id: str) -> RedirectUrl:
        """Raises Refused (404)."""
        entry = await self._database.read(lambda tx: store.find(tx, entry_id))
        if entry is None:
            raise Refused(_unknown(entry_id))
        return entry

    async def page(self, limit: int, offset: int) -> tuple[list[RedirectUrl], int]:
        return await self._database.read(lambda tx: store.page(tx, limit, offset))

    async def delete(self, entry_id: str, *, actor: str) -> None:
        """Raises Refused (404)."""
        now = self._clock()

        def work(tx: Tx) -> None:
            if not store.delete(tx, entry_id):
                raise Refused(_unknown(entry_id))
            audit.record(tx, now=now, actor=actor, action="redirect_url.deleted", object_id=entry_id)

        await self._database.write(work)


def _unknown(entry_id: str) -> Problem:
    return not_found(f"No redirect URL was found with id {entry_id}")
