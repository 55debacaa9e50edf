"""Everything the store raises.

StoreError                .code is stable; the text is one sentence and what to do next
├── ConstraintViolated    constraint_violated   .kind says which rule, .name which constraint (best effort)
├── TransactionMisused    transaction_misused   a mistake in our own code: used after its end, written in a read
├── DatabaseUrlInvalid    database_url_invalid  neither sqlite:///absolute/path nor postgresql://…
├── DatabaseUnreachable   database_unreachable  cannot open the file, or reach the server
├── DatabaseLocked        database_locked       another process holds the SQLite file
├── DatabaseFull          database_full         no space left; nothing of the transaction was kept
├── DatabaseContended     database_contended    serialisation retries used up; trying again later may work
├── DatabaseFailed        database_failed       any other refusal by the engine (bad SQL, broken file)
├── OutcomeUnknown        outcome_unknown       the connection broke during COMMIT: it may have happened
├── DatabaseClosed        database_closed       used after `close()`
├── SchemaTooNew          schema_too_new        the data was written by a newer Doorward
├── SealBroken            seal_broken           an envelope that this key and context do not open
└── KeyFileRefused        key_file_refused      a key file that is unsafe or malformed
"""

from typing import ClassVar, Literal

ConstraintKind = Literal["unique", "check", "foreign_key", "not_null"]


class StoreError(Exception):
    """Base of the tree above."""

    code: ClassVar[str] = "store_error"


class ConstraintViolated(StoreError):
    """A row broke a rule of its table; the transaction was rolled back.

    `name` is PostgreSQL's constraint name, or SQLite's description ("identity_users.email"): good for
    logs; decide on `kind` and on what the statement was.
    """

    code = "constraint_violated"

    def __init__(self, kind: ConstraintKind, name: str) -> None:
        super().__init__(f"{kind} constraint violated: {name or 'unnamed'}")
        self.kind: ConstraintKind = kind
        self.name = name


class TransactionMisused(StoreError):
    code = "transaction_misused"


class DatabaseUrlInvalid(StoreError):
    code = "database_url_invalid"


class DatabaseUnreachable(StoreError):
    code = "database_unreachable"


class DatabaseLocked(StoreError):
    code = "database_locked"


class DatabaseFull(StoreError):
    code = "database_full"


class DatabaseContended(StoreError):
    code = "database_contended"


class DatabaseFailed(StoreError):
    code = "database_failed"


class OutcomeUnknown(StoreError):
    code = "outcome_unknown"


class DatabaseClosed(StoreError):
    code = "database_closed"


class SchemaTooNew(StoreError):
    code = "schema_too_new"


class SealBroken(StoreError):
    code = "seal_broken"


class KeyFileRefused(StoreError):
    code = "key_file_refused"
