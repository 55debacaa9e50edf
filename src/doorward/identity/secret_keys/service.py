"""Making, recognising, listing and revoking secret keys."""

from __future__ import annotations

import msgspec

from doorward.identity.audit import store as audit
from doorward.identity.identifiers import new_id
from doorward.identity.keyed_hash import KeyedHash
from doorward.identity.secret_keys import rules, store
from doorward.identity.secret_keys.store import SecretKey
from doorward.store import Clock, Database, Tx

_PURPOSE = "secret key"


class MadeKey(msgspec.Struct, frozen=True):
    """A key just made: `secret` is shown here and never again."""

    key: SecretKey
    secret: str

    def __repr__(self) -> str:
        return f"MadeKey({self.key.id})"


class SecretKeys:
    def __init__(self, database: Database, clock: Clock, *, keyed_hash: KeyedHash, development: bool) -> None:
        self._database = database
        self._clock = clock
        self._keyed_hash = keyed_hash
        self._development = development

    async def make(self, name: str, *, actor: str | None) -> MadeKey:
        secret = rules.new_secret_key(development=self._development)
        return MadeKey(await self._keep(name, secret, actor=actor), secret)

    async def accept(self, name: str, secret: str) -> None:
        """Take a key that somebody else made and holds, such as the one `doorward up` prints. Again does nothing."""
        if not rules.is_secret_key(secret):
            raise ValueError("this is not a secret key")
        if await self.recognise(secret) is None:
            await self._keep(name, secret, actor=None)

    async def recognise(self, secret: str) -> SecretKey | None:
        """The key this is, unless it was revoked."""
        if not rules.is_secret_key(secret):
            return None
        key_hash = self._keyed_hash.of(_PURPOSE, secret)
        key = await self._database.lookup(lambda tx: store.find_by_hash(tx, key_hash))
        return key if key is not None and key.revoked_at is None else None

    async def list(self) -> list[SecretKey]:
        return await self._database.read(store.list_all)

    async def revoke(self, key_id: str, *, actor: str | None) -> bool:
        """False when there is no such key, or it was revoked before."""
        now = self._clock()

        def work(tx: Tx) -> bool:
            is_revoked = store.revoke(tx, key_id, now)
            if is_revoked:
                audit.record(tx, now=now, actor=actor, action="secret_key.revoked", object_id=key_id)
            return is_revoked

        return await self._database.write(work)

    async def _keep(self, name: str, secret: str, *, actor: str | None) -> SecretKey:
        now = self._clock()
        key = SecretKey(new_id("sk"), name, now, None)
        key_hash = self._keyed_hash.of(_PURPOSE, secret)

        def work(tx: Tx) -> None:
            store.insert(tx, key, key_hash)
            audit.record(tx, now=now, actor=actor, action="secret_key.made", object_id=key.id, detail=name)

        await self._database.write(work)
        return key
