"""What an accounts server elsewhere tells by webhook of its accounts: that one was banned, let in again, or deleted.

Accounts beside the relay need none of it: their own rows are asked (`barring`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import msgspec

from doorward.relay.audit import store as audit
from doorward.relay.audit.store import Origin
from doorward.relay.users import standings
from doorward.relay.users.barring import IsBarred
from doorward.relay.users.standings import FOR_EVER, Standing
from doorward.store import Clock, Database, Tx
from doorward.webhook_signing import is_signed, key_of

#: Carries the id of an account that was barred or let in again.
STANDINGS_CHANNEL = "relay.account_standings"
#: Svix tries for 28 hours and lets deliveries be replayed by hand; what is older than that is not waited for.
KEEP_STANDINGS_MS = 7 * 86_400_000


class NotFromAccounts(Exception):
    """The signature is missing, not of our secret, or too old."""


class _Gone(msgspec.Struct):
    """A deleted user of Clerk's events."""

    id: Annotated[str, msgspec.Meta(pattern=r"^[^\x00]{1,200}$")]


class _User(_Gone):
    """One that is there, as far as it is about being let in; `updated_at` in milliseconds. What does not say whether it is
    banned lifts no ban."""

    banned: bool
    updated_at: Annotated[int, msgspec.Meta(ge=0, lt=FOR_EVER)]


class AccountEvent(msgspec.Struct):
    """As Clerk's webhooks and Doorward's tell of everything; what is in `data` follows from `type`."""

    type: str
    data: dict[str, Any]


def barred_by_news(database: Database) -> IsBarred:
    """Reads what was told. Of whom nothing was told, nothing is held against."""

    async def is_barred(user_id: str) -> bool:
        [rows] = await database.ask(standings.is_barred(user_id))
        return bool(rows)

    return is_barred


def standing_of(body: bytes) -> Standing | None:
    """What an event says of an account; None for an event about something else. Raises msgspec.DecodeError."""
    event = msgspec.json.decode(body, type=AccountEvent)
    if event.type not in ("user.created", "user.updated", "user.deleted"):
        return None
    if event.type == "user.deleted":
        return Standing(msgspec.convert(event.data, _Gone).id, is_barred=True, as_of=FOR_EVER)
    user = msgspec.convert(event.data, _User)
    return Standing(user.id, is_barred=user.banned, as_of=user.updated_at)


class AccountNews:
    def __init__(self, secret: str, database: Database, clock: Clock) -> None:
        """`secret` is the endpoint's, `whsec_…`. Raises ValueError when it is none."""
        self._key = key_of(secret)
        self._database = database
        self._clock = clock

    async def hear(self, header: Callable[[str], str | None], body: bytes, *, origin: Origin) -> None:
        """Every node knows with the commit, and closes the tunnels of who was barred. The same told twice changes nothing.
        Raises NotFromAccounts, msgspec.DecodeError."""
        now = self._clock()
        if not is_signed(self._key, header, body, now=now // 1000):
            raise NotFromAccounts
        standing = standing_of(body)
        if standing is None:
            return

        def work(tx: Tx) -> None:
            if standings.put(tx, standing, now):
                tx.notify(STANDINGS_CHANNEL, standing.user_id)
                action = "account.barred" if standing.is_barred else "account.readmitted"
                audit.record(
                    tx, at=now, actor="accounts", action=action, object_id=standing.user_id, origin=origin
                )

        await self._database.write(work)
