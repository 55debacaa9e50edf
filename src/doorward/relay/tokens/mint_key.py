"""The cloud-mint key: made once, sealed in the database, the same on every node and after every restart."""

from doorward.jose import PrivateKey, b64url_decode, b64url_encode, generate_key
from doorward.relay.audit.store import RELAY_ITSELF, record
from doorward.store import Clock, Database, Sealer, Tx

_NAME = "cloud-mint"


def key_context(name: str) -> str:
    """What a sealed row of `relay_signing_keys` is bound to."""
    return f"relay.signing_keys.{name}"


async def load_mint_key(database: Database, sealer: Sealer, clock: Clock) -> PrivateKey:
    """The stored key, or a new one; of two nodes starting at once, the row written first wins on both."""

    def find(tx: Tx) -> str | None:
        row = tx.fetch_one("SELECT sealed_private_key FROM relay_signing_keys WHERE name = ?", (_NAME,))
        return None if row is None else str(row[0])

    sealed = await database.read(find)
    if sealed is None:
        fresh = _new_key(sealer)
        now = clock()

        def insert_if_absent(tx: Tx) -> str:
            inserted = tx.execute(
                "INSERT INTO relay_signing_keys (name, sealed_private_key, created_at) VALUES (?, ?, ?)"
                " ON CONFLICT (name) DO NOTHING",
                (_NAME, fresh, now),
            )
            if inserted:
                record(
                    tx, at=now, actor="relay", action="mint_key.created", object_id=_NAME, origin=RELAY_ITSELF
                )
            return find(tx) or fresh

        sealed = await database.write(insert_if_absent)
    pem = sealer.open(b64url_decode(sealed), context=key_context(_NAME)).decode()
    return PrivateKey.from_pem(pem, alg="EdDSA")


async def rotate_mint_key(database: Database, sealer: Sealer, clock: Clock) -> int:
    """Replace the key, for relays that start from now on; how many links are pinned to the one before.

    Each of those machines refuses the relay until it is linked again.
    """
    fresh, now = _new_key(sealer), clock()

    def replace(tx: Tx) -> int:
        tx.execute(
            "UPDATE relay_signing_keys SET sealed_private_key = ?, created_at = ? WHERE name = ?",
            (fresh, now, _NAME),
        )
        record(tx, at=now, actor="relay", action="mint_key.rotated", object_id=_NAME, origin=RELAY_ITSELF)
        row = tx.fetch_one("SELECT count(*) FROM relay_environment_links WHERE revoked_at IS NULL")
        return int(row[0]) if row else 0

    return await database.write(replace)


def _new_key(sealer: Sealer) -> str:
    pem = generate_key("EdDSA").to_pem()
    return b64url_encode(sealer.seal(pem.encode(), context=key_context(_NAME)))
