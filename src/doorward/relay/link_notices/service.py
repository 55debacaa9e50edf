"""Writing notices down, and handing them out: to one node at a time, and again until it is done."""

import secrets

import msgspec

from doorward.relay.link_notices import rules, store
from doorward.relay.link_notices.store import Notice
from doorward.relay.links.store import LinkRow, find_active
from doorward.store import Clock, Database, Tx

CHANNEL = "relay.link_notices"

#: A node that dies while it tells leaves the notice to another one after this long; so does a mail that failed.
LEASE_MS = 2 * 60_000
#: News older than this would only puzzle.
KEEP_MS = 7 * 24 * 3_600_000


def noted(tx: Tx, link: LinkRow, *, now: int) -> LinkRow:
    """The link to store, with its owner's notice written; a link that is no news stays as old as it was."""
    former = find_active(tx, user_id=link.user_id, environment_id=link.environment_id)
    kind = rules.kind_of(former, link)
    if kind is None and former is not None:
        return msgspec.structs.replace(link, made_at=former.made_at, made_from=former.made_from)
    notice = Notice(
        notice_id=secrets.token_hex(16),
        user_id=link.user_id,
        environment_id=link.environment_id,
        label=link.label,
        kind=kind or "linked",
        source=link.made_from,
        happened_at=now,
    )
    store.insert(tx, notice)
    tx.notify(CHANNEL, notice.notice_id)
    return link


class LinkNotices:
    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def take(self) -> list[Notice]:
        """What has to be told now, oldest first, at most 20; nobody else is given these for two minutes."""
        now = self._clock()

        def take(tx: Tx) -> list[Notice]:
            due = store.list_due(tx, now)
            return [
                notice for notice in due if store.put_off(tx, notice.notice_id, now=now, until=now + LEASE_MS)
            ]

        return await self._database.write(take)

    async def done(self, notice: Notice) -> None:
        """It was told, or there is nobody to tell."""
        await self._database.write(lambda tx: store.delete(tx, notice.notice_id))
