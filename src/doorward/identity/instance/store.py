"""The one row of `identity_instance`."""

from __future__ import annotations

import msgspec

from doorward.identity.instance.rules import InstanceSettings
from doorward.store import Tx

CHANNEL = "identity.instance"
_NAME = "instance"
#: SQL: whether an instance keeps its accounts in this database.
IS_PLANTED = f"EXISTS (SELECT 1 FROM identity_instance WHERE name = '{_NAME}')"  # noqa: S608 - a word of ours


def plant(tx: Tx, now: int) -> None:
    """Write the row of a new instance; leaves an existing one alone."""
    tx.execute(
        """
        INSERT INTO identity_instance (name, settings, created_at, updated_at) VALUES (?, ?, ?, ?)
        ON CONFLICT (name) DO NOTHING
        """,
        (_NAME, _text(InstanceSettings()), now, now),
    )


def settings(tx: Tx) -> InstanceSettings:
    """Raises msgspec.ValidationError for settings a later version wrote: better no
    answer than one that forgets a restriction."""
    row = tx.fetch_one("SELECT settings FROM identity_instance WHERE name = ?", (_NAME,))
    if row is None:
        raise RuntimeError("the instance is used before prepare()")
    return msgspec.json.decode(row[0].encode(), type=InstanceSettings)


def put(tx: Tx, changed: InstanceSettings, now: int) -> None:
    tx.execute(
        "UPDATE identity_instance SET settings = ?, updated_at = ? WHERE name = ?",
        (_text(changed), now, _NAME),
    )
    tx.notify(CHANNEL, _NAME)


def _text(value: InstanceSettings) -> str:
    return msgspec.json.encode(value).decode()
