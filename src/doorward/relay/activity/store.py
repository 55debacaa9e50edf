"""Rows of threads. `updated_at` is the environment's word for when, `received_at` ours, in milliseconds."""

from collections.abc import Collection

import msgspec

from doorward.store import Tx
from doorward.t3_connect.messages import ActivityState


class TellableLink(msgspec.Struct, frozen=True):
    """An active link whose account wants to hear of its environment's work."""

    user_id: str
    notifications_enabled: bool
    live_activities_enabled: bool


def find(tx: Tx, *, environment_id: str, public_key: str, thread_id: str) -> ActivityState | None:
    row = tx.fetch_one(
        "SELECT state_json FROM relay_agent_activity_rows"
        " WHERE environment_id = ? AND environment_public_key = ? AND thread_id = ?",
        (environment_id, public_key, thread_id),
    )
    return None if row is None else _state(row[0])


def save(tx: Tx, state: ActivityState, *, public_key: str, is_terminal: bool, now: int) -> None:
    tx.execute(
        "INSERT INTO relay_agent_activity_rows (environment_id, environment_public_key, thread_id, state_json,"
        " is_terminal, updated_at, received_at) VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (environment_id, environment_public_key, thread_id) DO UPDATE SET"
        " state_json = excluded.state_json, is_terminal = excluded.is_terminal,"
        " updated_at = excluded.updated_at, received_at = excluded.received_at",
        (
            state.environment_id,
            public_key,
            state.thread_id,
            msgspec.json.encode(state).decode(),
            is_terminal,
            state.updated_at,
            now,
        ),
    )


def drop_oldest(tx: Tx, *, environment_id: str, public_key: str, keep: int) -> None:
    """Forget threads beyond the newest `keep`, as they were heard of."""
    tx.execute(
        "DELETE FROM relay_agent_activity_rows WHERE environment_id = ? AND environment_public_key = ?"
        " AND thread_id IN (SELECT thread_id FROM relay_agent_activity_rows WHERE environment_id = ?"
        "  AND environment_public_key = ? ORDER BY received_at DESC, thread_id LIMIT 1000 OFFSET ?)",
        (environment_id, public_key, environment_id, public_key, keep),
    )


def delete(tx: Tx, *, environment_id: str, public_key: str, thread_id: str) -> None:
    tx.execute(
        "DELETE FROM relay_agent_activity_rows"
        " WHERE environment_id = ? AND environment_public_key = ? AND thread_id = ?",
        (environment_id, public_key, thread_id),
    )


def list_of_user(
    tx: Tx, user_id: str, *, finished_after: int, without: Collection[str] = ()
) -> list[ActivityState]:
    """Threads of every environment the account is linked with now (by the same key) and shows live, newest first."""
    rows = tx.fetch_all(
        "SELECT a.environment_id, a.state_json FROM relay_agent_activity_rows a JOIN relay_environment_links l"
        " ON l.environment_id = a.environment_id AND l.environment_public_key = a.environment_public_key"
        " WHERE l.user_id = ? AND l.revoked_at IS NULL AND l.live_activities_enabled"
        " AND (NOT a.is_terminal OR a.received_at > ?) ORDER BY a.updated_at DESC, a.thread_id",
        (user_id, finished_after),
    )
    states = [_state(row[1]) for row in rows if row[0] not in without]
    return [state for state in states if state is not None]


def list_tellable(tx: Tx, *, environment_id: str, public_key: str) -> list[TellableLink]:
    rows = tx.fetch_all(
        "SELECT user_id, notifications_enabled, live_activities_enabled FROM relay_environment_links"
        " WHERE environment_id = ? AND environment_public_key = ? AND revoked_at IS NULL"
        " AND (notifications_enabled OR live_activities_enabled) ORDER BY user_id",
        (environment_id, public_key),
    )
    return [TellableLink(str(row[0]), bool(row[1]), bool(row[2])) for row in rows]


def prune(tx: Tx, *, finished_before: int) -> int:
    return tx.execute(
        "DELETE FROM relay_agent_activity_rows WHERE is_terminal AND received_at <= ?", (finished_before,)
    )


def _state(text: object) -> ActivityState | None:
    """None for a row that cannot be read: it is shown nowhere, and the next publication replaces it."""
    try:
        return msgspec.json.decode(str(text), type=ActivityState)
    except msgspec.DecodeError:
        return None
