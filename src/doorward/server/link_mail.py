"""Where relay and identity meet over a new link: the relay wrote down that its owner has to be told, identity mails.

Runs on every node with the identity role. They share one database, so it does not matter which node made the link or
which is alive: a notice is taken by one of them and stays until its mail was handed over.
"""

from __future__ import annotations

import asyncio
import logging

from doorward.identity.link_news import LinkNews
from doorward.identity.services import Identity
from doorward.relay import LinkNotices
from doorward.store import Database, StoreError

log = logging.getLogger(__name__)

#: Seconds. What another node left undone has no event: it is looked for this often.
LOOK_AGAIN = 60.0


async def tell_owners_of_links(database: Database, notices: LinkNotices, identity: Identity) -> None:
    """For ever: tell each owner as soon as there is something to tell."""
    async with database.subscribe("relay.link_notices") as events:
        while True:
            try:
                await _tell(notices, identity)
            except StoreError as error:
                log.warning("notices of links could not be read; trying again: %s", error.code)
            try:
                async with asyncio.timeout(LOOK_AGAIN):
                    await anext(events)
            except TimeoutError:
                continue
            except StopAsyncIteration:  # the database was closed
                return


async def _tell(notices: LinkNotices, identity: Identity) -> None:
    while taken := await notices.take():
        for notice in taken:
            news = LinkNews(
                user_id=notice.user_id,
                label=notice.label,
                kind=notice.kind,
                source=notice.source,
                happened_at=notice.happened_at,
            )
            if await identity.accounts.tell_of_link(news):
                await notices.done(notice)
