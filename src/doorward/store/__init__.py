"""The one seam between Doorward and its database.

Owns: transactions, change notifications, migrations and the sealing of secrets at rest. Mounts no
routes, knows no table but the version tables, and imports no other room. Every room that stores
something writes SQL by hand in the common subset of SQLite (>= 3.35) and PostgreSQL (>= 14) and
runs it through `Database`:

    def rename(tx: Tx) -> bool:
        changed = tx.execute("UPDATE relay_machines SET label = ? WHERE id = ?", (label, machine_id))
        tx.notify("relay.machines", machine_id)
        return changed == 1

    renamed = await database.write(rename)

`write` is one serialisable transaction, answered only after COMMIT. The function is synchronous and
does SQL only: it may run more than once (PostgreSQL asks for a retry when two transactions collide),
so hashing, signing, random values and HTTP happen outside it.

What the busiest requests do is said as statements instead (`Statement`), none of which needs another's answer:

    [[requests], used] = await database.run(count, use_up)

`run` and `ask` take them to the database in one trip; on PostgreSQL that costs a tenth of a function's transaction.

Column types that mean the same on both engines: TEXT, INTEGER, BIGINT (milliseconds), BOOLEAN (pass
`True`/`False`, read with `bool()`), BYTEA (`bytes`). JSON is TEXT. No deferrable constraints.

    database.py       the protocols: Tx, Database, Subscription, Schema, Clock
    opening.py        `open_database`: URL to engine, due migrations
    sqlite.py         stdlib sqlite3: one writer thread with group commit, reader threads
    postgresql.py     psycopg 3: serialisable with retries; postgresql_listener.py for LISTEN,
                      postgresql_pipeline.py for statements in one trip
    transaction.py    what both engines' transactions share: misuse fails loudly
    notifications.py  fan-out of committed changes to asyncio subscribers
    rounds.py         a background job that such a notification wakes
    migrations.py     schema versions; how a room writes a revision file
    sealing.py        AES-256-GCM envelopes for secrets at rest
    errors.py         the exception tree
"""

from doorward.store.database import (
    Clock,
    Database,
    Row,
    Schema,
    Statement,
    Subscription,
    Tx,
    contains,
    like_literally,
    system_clock,
)
from doorward.store.errors import (
    ConstraintViolated,
    DatabaseClosed,
    DatabaseContended,
    DatabaseFailed,
    DatabaseFull,
    DatabaseLocked,
    DatabaseUnreachable,
    DatabaseUrlInvalid,
    KeyFileRefused,
    OutcomeUnknown,
    SchemaTooNew,
    SealBroken,
    StoreError,
    TransactionMisused,
)
from doorward.store.opening import check_database_url, open_database
from doorward.store.rounds import Rounds
from doorward.store.sealing import Sealer

__all__ = [
    "Clock",
    "ConstraintViolated",
    "Database",
    "DatabaseClosed",
    "DatabaseContended",
    "DatabaseFailed",
    "DatabaseFull",
    "DatabaseLocked",
    "DatabaseUnreachable",
    "DatabaseUrlInvalid",
    "KeyFileRefused",
    "OutcomeUnknown",
    "Rounds",
    "Row",
    "Schema",
    "SchemaTooNew",
    "SealBroken",
    "Sealer",
    "Statement",
    "StoreError",
    "Subscription",
    "TransactionMisused",
    "Tx",
    "check_database_url",
    "contains",
    "like_literally",
    "open_database",
    "system_clock",
]
