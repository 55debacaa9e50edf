"""The cloud-mint key: what this relay signs with, and environments pin when they are linked."""

from doorward.jose import PrivateKey, b64url_encode, generate_key
from doorward.relay.audit.store import RELAY_ITSELF, record
from doorward.relay.tokens.stored_secret import key_context, load_secret
from doorward.store import Clock, Database, Sealer, Tx

_NAME = "cloud-mint"


async def load_mint_key(database: Database, sealer: Sealer, clock: Clock) -> PrivateKey:
    """Raises `SealBroken` for a wrong key file."""
    pem = await load_secret(database, sealer, clock, name=_NAME, action="mint_key.created", make=_new_key)
    return PrivateKey.from_pem(pem.decode(), alg="EdDSA")


async def rotate_mint_key(database: Database, sealer: Sealer, clock: Clock) -> int:
    """Replace the key, for relays that start from now on; how many links are pinned to the one before.

    Each of those machines refuses the relay until it is linked again.
    """
    fresh, now = b64url_encode(sealer.seal(_new_key(), context=key_context(_NAME))), clock()

    def replace(tx: Tx) -> int:
        tx.execute(
            "UPDATE relay_signing_keys SET sealed_private_key = ?, created_at = ? WHERE name = ?",
            (fresh, now, _NAME),
        )
        record(tx, at=now, actor="relay", action="mint_key.rotated", object_id=_NAME, origin=RELAY_ITSELF)
        row = tx.fetch_one("SELECT count(*) FROM relay_environment_links WHERE revoked_at IS NULL")
        return int(row[0]) if row else 0

    return await database.write(replace)


def _new_key() -> bytes:
    return generate_key("EdDSA").to_pem().encode()
