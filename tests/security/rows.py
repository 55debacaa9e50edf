"""Everything that is stored, to tell whether a refused request changed anything."""

from __future__ import annotations

from doorward.store import Database, Tx

#: Rows a request of anybody leaves behind, whoever it speaks for: counts, and the codes of terminals.
PASSING = {"identity_rate_limits", "identity_failures", "identity_oauth_devices"}


#: What a node does by itself meanwhile: it prepares the key that will sign next.
OWN_WORK = {"identity_signing_keys": " WHERE state <> 'next'"}


async def rows(database: Database) -> dict[str, list[str]]:
    """Everything a forged request could change."""

    def read(tx: Tx) -> dict[str, list[str]]:
        tables = [row[0] for row in tx.fetch_all("SELECT name FROM sqlite_master WHERE type = 'table'", ())]
        return {
            table: sorted(map(repr, tx.fetch_all(f"SELECT * FROM {table}{OWN_WORK.get(table, '')}", ())))
            for table in tables
            if table not in PASSING
        }

    return await database.read(read)
