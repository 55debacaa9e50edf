"""The cloud-mint key: made once, sealed in the database, the same on every node and after every restart."""

from doorward.jose import PrivateKey, b64url_decode, b64url_encode, generate_key
from doorward.relay.audit.store import RELAY_ITSELF, record
from doorward.store import Clock, Database, Sealer, Tx

_NAME = "cloud-mint"
_CONTEXT = "relay.signing_keys.cloud-mint"


async def load_mint_key(database: Database, sealer: Sealer, clock: Clock) -> PrivateKey:
    """The stored key, or a new one; of two nodes starting at once, the row written first wins on both."""

    def find(tx: Tx) -> str | None:
        row = tx.fetch_one("SELECT sealed_private_key FROM relay_signing_keys WHERE name = ?", (_NAME,))
        return None if row is None else str(row[0])

    sealed = await database.read(find)
    if sealed is None:
        fresh = b64url_encode(sealer.seal(generate_key("EdDSA").to_pem().encode(), context=_CONTEXT))
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
    return PrivateKey.from_pem(sealer.open(b64url_decode(sealed), context=_CONTEXT).decode(), alg="EdDSA")
