"""Who administers the instance: the first one is made by a one-time link, the others by one another."""

from __future__ import annotations

from msgspec.structs import replace

from doorward.identity.accounts import store
from doorward.identity.accounts.store import Account
from doorward.identity.audit import store as audit
from doorward.identity.errors import LAST_ADMINISTRATOR, USER_BANNED, Refused, not_found
from doorward.store import Clock, Database, Tx


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
        """Raises Refused: 404, 409 when nobody who can sign in would be left. Two who withdraw one another at once are
        made one after the other by the database."""
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
            if not is_administrator and not any(
                other.id != user_id and not other.is_banned for other in store.administrators(tx)
            ):
                raise Refused(LAST_ADMINISTRATOR)
            changed = replace(user, is_administrator=is_administrator, updated_at=now)
            store.update_user(tx, changed)
            action = "administrator.granted" if is_administrator else "administrator.withdrawn"
            audit.record(tx, now=now, actor=actor, action=action, object_id=user_id)
            return replace(account, user=changed)

        return await self._database.write(work)
