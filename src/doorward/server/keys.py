"""The keys of a server, for its operator: which there are, and how each is replaced.

| key | signs or opens | when it is replaced |
|---|---|---|
| signing | every token of identity | verifiers follow by themselves: the next key was published long before |
| mint | the relay's requests to machines | every machine pinned it: each must be linked again |
| encryption | the sealed columns of the database | two steps: `rotate` seals anew, `retire` forgets the old key |
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec

from doorward.identity.api_keys import rules as api_keys
from doorward.identity.app import SCHEMA as IDENTITY_SCHEMA
from doorward.identity.machines import rules as machines
from doorward.identity.signing_keys import service as signing_keys
from doorward.identity.signing_keys import store as signing_key_rows
from doorward.identity.templates import service as templates
from doorward.identity.webhooks import rules as webhook_rules
from doorward.jose import PublicKey, b64url_decode, b64url_encode
from doorward.relay import SCHEMA as RELAY_SCHEMA
from doorward.relay.tokens import mint_key, stored_secret
from doorward.store import Clock, Database, KeyFileRefused, Row, Sealer, Tx, open_database, system_clock
from doorward.store.sealing import add_key, drop_retired_keys, key_ids


class SealedColumn(msgspec.Struct, frozen=True):
    """`context` makes, of the row's key, what its envelopes are bound to. `is_text`: base64url instead of bytes."""

    table: str
    key: str
    column: str
    context: Callable[[str], str]
    is_text: bool = False


#: Every column that the key-encryption key seals. A test holds the schemas against this list.
SEALED_COLUMNS = (
    SealedColumn("identity_signing_keys", "kid", "sealed_private_key", signing_keys.key_context),
    SealedColumn("identity_jwt_templates", "id", "sealed_signing_key", templates.key_context),
    SealedColumn("identity_secrets", "name", "sealed", signing_keys.secret_context),
    SealedColumn("identity_webhook_secrets", "id", "sealed", webhook_rules.secret_context),
    SealedColumn("identity_machine_keys", "key_hash", "sealed_key", machines.key_context),
    SealedColumn("identity_api_keys", "id", "sealed_secret", api_keys.secret_context),
    SealedColumn("relay_signing_keys", "name", "sealed_private_key", stored_secret.key_context, is_text=True),
)


class SigningKey(msgspec.Struct, frozen=True, rename="camel"):
    """Times in milliseconds since the epoch."""

    kid: str
    state: str
    created_at: int
    publish_until: int | None


class EncryptionKey(msgspec.Struct, frozen=True, rename="camel"):
    """`values`: how many it seals now."""

    id: str
    is_current: bool
    values: int


class PublicSigningKey(msgspec.Struct, frozen=True, rename="camel"):
    """The public half of the key that signs now: SPKI PEM, and the JWK with alg, use and kid."""

    kid: str
    pem: str
    jwk: dict[str, Any]

    @property
    def pem_line(self) -> str:
        """The PEM without line breaks, as systems want it that read one line: quotes and blanks would break them."""
        return self.pem.replace("\n", "")


class Keys(msgspec.Struct, frozen=True, rename="camel"):
    signing: list[SigningKey]
    mint_created_at: int | None
    encryption: list[EncryptionKey]


class KeyRing:
    """The keys of one installation whose database is open."""

    def __init__(self, database: Database, key_file: Path, clock: Clock) -> None:
        self._database = database
        self._key_file = key_file
        self._clock = clock

    async def list(self) -> Keys:
        sealer = Sealer.from_file(self._key_file)
        counts: dict[str, int] = dict.fromkeys(key_ids(self._key_file), 0)

        def read(tx: Tx) -> tuple[list[signing_key_rows.SigningKeyRecord], Row | None]:
            for column in SEALED_COLUMNS:
                for _, envelope in _rows(tx, column):
                    counts[sealer.key_id_of(envelope)] = counts.get(sealer.key_id_of(envelope), 0) + 1
            return signing_key_rows.everything(tx), tx.fetch_one("SELECT created_at FROM relay_signing_keys")

        records, mint = await self._database.read(read)
        return Keys(
            signing=[SigningKey(key.kid, key.state, key.created_at, key.publish_until) for key in records],
            mint_created_at=None if mint is None else int(mint[0]),
            encryption=[
                EncryptionKey(key_id, index == 0, count)
                for index, (key_id, count) in enumerate(counts.items())
            ],
        )

    async def public_key(self) -> PublicSigningKey:
        """The key that signs now. Raises ValueError before a server ever ran."""
        records = await self._database.read(signing_key_rows.everything)
        for record in records:
            if record.state == "active":
                jwk = msgspec.json.decode(record.public_jwk.encode())
                return PublicSigningKey(record.kid, PublicKey.from_jwk(jwk).to_pem(), jwk)
        raise ValueError("No key signs yet: start the server once.")

    async def open_all(self) -> int:
        """Open every sealed value, to see that it can be done; how many there are. Raises SealBroken."""
        sealer = Sealer.from_file(self._key_file)

        def read(tx: Tx) -> int:
            rows = [(column, *row) for column in SEALED_COLUMNS for row in _rows(tx, column)]
            for column, key, envelope in rows:
                sealer.open(envelope, context=column.context(key))
            return len(rows)

        return await self._database.read(read)

    async def rotate_signing(self, *, force: bool) -> str:
        """Put the waiting key to work; its kid. Raises ValueError while verifiers may not know it yet."""
        keys = signing_keys.SigningKeys(self._database, Sealer.from_file(self._key_file), self._clock)
        await keys.prepare()
        return await keys.rotate(force=force)

    async def rotate_mint(self) -> int:
        """A new mint key for relays that start from now on; how many links must be made again."""
        return await mint_key.rotate_mint_key(self._database, Sealer.from_file(self._key_file), self._clock)

    async def rotate_encryption(self) -> int:
        """A new key-encryption key in front of the file, and everything sealed anew; how many values."""
        add_key(self._key_file)
        return await self._seal_anew()

    async def retire_encryption(self) -> int:
        """Seal anew what older keys still seal, then forget those keys; how many were forgotten."""
        await self._seal_anew()
        retired = len(key_ids(self._key_file)) - 1
        drop_retired_keys(self._key_file)
        return retired

    async def _seal_anew(self) -> int:
        sealer = Sealer.from_file(self._key_file)

        def work(tx: Tx) -> int:
            count = 0
            for column in SEALED_COLUMNS:
                for key, envelope in _rows(tx, column):
                    if sealer.is_current(envelope):
                        continue
                    context = column.context(key)
                    fresh = sealer.seal(sealer.open(envelope, context=context), context=context)
                    tx.execute(
                        f"UPDATE {column.table} SET {column.column} = ? WHERE {column.key} = ?",  # noqa: S608
                        (b64url_encode(fresh) if column.is_text else fresh, key),
                    )
                    count += 1
            return count

        return await self._database.write(work)


def _rows(tx: Tx, column: SealedColumn) -> list[tuple[str, bytes]]:
    """Key and envelope of every row that holds one."""
    rows = tx.fetch_all(
        f"SELECT {column.key}, {column.column} FROM {column.table} WHERE {column.column} IS NOT NULL"  # noqa: S608
    )
    return [(str(key), b64url_decode(value) if column.is_text else bytes(value)) for key, value in rows]


@contextlib.asynccontextmanager
async def open_keys(url: str, key_file: Path, *, clock: Clock = system_clock) -> AsyncIterator[KeyRing]:
    """Raises StoreError; KeyFileRefused when there is no key file, which belongs to every database."""
    if not key_ids(key_file):
        raise KeyFileRefused(f"There is no key file {key_file}: no server ever ran there, or it was moved.")
    database = await open_database(url, schemas=[IDENTITY_SCHEMA, RELAY_SCHEMA])
    try:
        yield KeyRing(database, key_file, clock)
    finally:
        await database.close()
