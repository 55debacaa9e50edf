"""The two secrets of notifications: what browsers subscribe with, and what jobs are signed with."""

import secrets

from doorward.push import VapidKey
from doorward.relay.tokens.stored_secret import load_secret
from doorward.store import Clock, Database, Sealer


async def load_vapid_key(database: Database, sealer: Sealer, clock: Clock) -> VapidKey:
    """Every browser's subscription is bound to it: a new one would void them all."""
    pem = await load_secret(
        database,
        sealer,
        clock,
        name="web-push-vapid",
        action="vapid_key.created",
        make=lambda: VapidKey.generate().to_pem().encode(),
    )
    return VapidKey.from_pem(pem.decode())


async def load_job_secret(database: Database, sealer: Sealer, clock: Clock) -> bytes:
    """32 bytes."""
    return await load_secret(
        database,
        sealer,
        clock,
        name="delivery-jobs",
        action="delivery_secret.created",
        make=lambda: secrets.token_bytes(32),
    )
