"""Who administers the instance: the first one is made by a one-time link, the others by one another."""

from __future__ import annotations

from collections.abc import Collection

from msgspec.structs import replace

from doorward.identity.accounts import store
from doorward.identity.accounts.store import Account, UserRecord
from doorward.identity.audit import store as audit
from doorward.identity.errors import (
    ADMINISTRATOR_PROTECTED,
    LAST_ADMINISTRATOR,
    USER_BANNED,
    Refused,
    not_found,
)
from doorward.store import Clock, Database, Tx

#: Begins the name of an actor at the server's own machine, who can read the database and its keys anyway.
OPERATOR = "operator:"


def can_administer(user: UserRecord, now: int) -> bool:
    return user.is_administrator and not user.is_banned and not user.is_locked(now)


def require_one_left(tx: Tx, barred: Collection[str], *, now: int) -> None:
    """Whoever withdraws, bans, locks or deletes users asks this first, in the same transaction: two administrators who bar
    one another at once are then judged one after the other by the database. Raises Refused (409) when nobody who can
    administer would be left without the `barred`."""
    able = {user.id for user in store.administrators(tx) if can_administer(user, now)}
    if able and able <= set(barred):
        raise Refused(LAST_ADMINISTRATOR)


def require_may_let_in(tx: Tx, user: UserRecord, actor: str) -> None:
    """Whoever changes a user's password or e-mail addresses, or makes a token that signs them in, asks this first: for an
    administrator only another one or the operator may. A secret key may not, or it were worth a console.
    Raises Refused (403)."""
    if not user.is_administrator or actor.startswith(OPERATOR):
        return
    asker = store.find_user(tx, actor)
    if asker is None or not asker.is_administrator:
        raise Refused(ADMINISTRATOR_PROTECTED)


class Administrators:
    """`actor` is the administrator who asks."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def list(self) -> list[Account]:
        """Banned ones among them, in the order they came."""
        return await self._database.read(lambda tx: store.accounts_of(tx, store.administrators(tx)))

    async def grant(self, user_id: str, *, actor: str) -> Account:
        """Nothing happens to somebody who is one. Raises Refused (403 for the banned, 404)."""
        return await self._set(user_id, True, actor)

    async def withdraw(self, user_id: str, *, actor: str) -> Account:
        """Raises Refused (404, 409 for the last who can sign in)."""
        return await self._set(user_id, False, actor)

    async def _set(self, user_id: str, is_administrator: bool, actor: str) -> Account:
        now = self._clock()

        def work(tx: Tx) -> Account:
            account = store.find_account(tx, user_id)
            if account is None:
                raise Refused(not_found("User not found"))
            user = account.user
            if user.is_administrator == is_administrator:
                return account
            if is_administrator and user.is_banned:
                raise Refused(USER_BANNED)
            if not is_administrator:
                require_one_left(tx, [user_id], now=now)
            changed = replace(user, is_administrator=is_administrator, updated_at=now)
            store.update_user(tx, changed)
            action = "administrator.granted" if is_administrator else "administrator.withdrawn"
            audit.record(tx, now=now, actor=actor, action=action, object_id=user_id)
            return replace(account, user=changed)

        return await self._database.write(work)
