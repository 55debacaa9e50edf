"""Secrets the relay makes for itself: made once, sealed in the database, the same on every node and after every restart."""

from collections.abc import Callable

from doorward.jose import b64url_decode, b64url_encode
from doorward.relay.audit.store import RELAY_ITSELF, record
from doorward.store import Clock, Database, Sealer, Tx


def key_context(name: str) -> str:
    """What a sealed row of `relay_signing_keys` is bound to."""
    return f"relay.signing_keys.{name}"


async def load_secret(
    database: Database, sealer: Sealer, clock: Clock, *, name: str, action: str, make: Callable[[], bytes]
) -> bytes:
    """The stored secret, or a new one; of two nodes starting at once, the row written first wins on both.

    `action` is the audit trail's word for making it. Raises `SealBroken` for a wrong key file.
    """
    context = key_context(name)

    def find(tx: Tx) -> str | None:
        row = tx.fetch_one("SELECT sealed_private_key FROM relay_signing_keys WHERE name = ?", (name,))
        return None if row is None else str(row[0])

    sealed = await database.read(find)
    if sealed is None:
        fresh = b64url_encode(sealer.seal(make(), context=context))
        now = clock()

        def insert_if_absent(tx: Tx) -> str:
            inserted = tx.execute(
                "INSERT INTO relay_signing_keys (name, sealed_private_key, created_at) VALUES (?, ?, ?)"
                " ON CONFLICT (name) DO NOTHING",
                (name, fresh, now),
            )
            if inserted:
                record(tx, at=now, actor="relay", action=action, object_id=name, origin=RELAY_ITSELF)
            return find(tx) or fresh

        sealed = await database.write(insert_if_absent)
    return sealer.open(b64url_decode(sealed), context=context)
