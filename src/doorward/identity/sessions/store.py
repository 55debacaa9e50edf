"""Rows of `identity_sessions`."""

# ruff: noqa: S608  (only our own column lists are put into statements; every value is a parameter)

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from doorward.store import Tx

REVOKED_CHANNEL = "identity.sessions_revoked"


class SessionRecord(msgspec.Struct, frozen=True):
    """`expire_at` is the idle deadline, `abandon_at` the absolute one."""

    id: str
    client_id: str
    user_id: str
    status: str
    verified_at: int
    last_active_at: int
    expire_at: int
    abandon_at: int
    ip: str
    user_agent: str
    created_at: int
    updated_at: int
    actor: str | None = None
    """Who acts as the user, as JSON (RFC 8693's `act`): a session begun with an actor token."""
    active_organization_id: str | None = None
    """What the person chose last; only a membership of that organization makes it true."""


_COLUMNS = """id, client_id, user_id, status, verified_at, last_active_at, expire_at, abandon_at, ip, user_agent,
    created_at, updated_at, actor, active_organization_id"""


def insert(tx: Tx, session: SessionRecord) -> None:
    tx.execute(
        f"INSERT INTO identity_sessions ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            session.id,
            session.client_id,
            session.user_id,
            session.status,
            session.verified_at,
            session.last_active_at,
            session.expire_at,
            session.abandon_at,
            session.ip,
            session.user_agent,
            session.created_at,
            session.updated_at,
            session.actor,
            session.active_organization_id,
        ),
    )


def find(tx: Tx, session_id: str) -> SessionRecord | None:
    row = tx.fetch_one(f"SELECT {_COLUMNS} FROM identity_sessions WHERE id = ?", (session_id,))
    return None if row is None else SessionRecord(*row)


def page(
    tx: Tx,
    *,
    client_id: str | None,
    user_id: str | None,
    status: str | None,
    now: int,
    limit: int,
    offset: int,
) -> tuple[list[SessionRecord], int]:
    """Newest first, and how many there are. A status is the one a reader sees (`rules.status_of`)."""
    terms, values = ["1 = 1"], list[object]()
    for column, value in (("client_id", client_id), ("user_id", user_id)):
        if value is not None:
            terms.append(f"{column} = ?")
            values.append(value)
    if status in ("active", "expired", "abandoned"):
        # What time ended is stored as active.
        timely = {
            "active": "expire_at > ? AND abandon_at > ?",
            "expired": "expire_at <= ? AND abandon_at > ?",
            "abandoned": "abandon_at <= ?",
        }
        terms.append(f"status = 'active' AND {timely[status]}")
        values += [now] * timely[status].count("?")
    elif status is not None:
        terms.append("status = ?")
        values.append(status)
    where = " AND ".join(terms)
    rows = tx.fetch_all(
        f"SELECT {_COLUMNS} FROM identity_sessions WHERE {where} ORDER BY created_at DESC, id LIMIT ? OFFSET ?",
        (*values, limit, offset),
    )
    count = tx.fetch_one(f"SELECT count(*) FROM identity_sessions WHERE {where}", values)
    return [SessionRecord(*row) for row in rows], 0 if count is None else int(count[0])


def of_client(tx: Tx, client_id: str) -> list[SessionRecord]:
    """Every session of a client, over or not, oldest first."""
    rows = tx.fetch_all(
        f"SELECT {_COLUMNS} FROM identity_sessions WHERE client_id = ? ORDER BY created_at, id", (client_id,)
    )
    return [SessionRecord(*row) for row in rows]


def active_of_client(tx: Tx, client_id: str, now: int) -> list[SessionRecord]:
    rows = tx.fetch_all(
        f"""
        SELECT {_COLUMNS} FROM identity_sessions
        WHERE client_id = ? AND status = 'active' AND expire_at > ? AND abandon_at > ? ORDER BY created_at, id
        """,
        (client_id, now, now),
    )
    return [SessionRecord(*row) for row in rows]


def active_of_user(tx: Tx, user_id: str, now: int) -> list[SessionRecord]:
    rows = tx.fetch_all(
        f"""
        SELECT {_COLUMNS} FROM identity_sessions
        WHERE user_id = ? AND status = 'active' AND expire_at > ? AND abandon_at > ?
        ORDER BY last_active_at DESC, id
        """,
        (user_id, now, now),
    )
    return [SessionRecord(*row) for row in rows]


def touch(tx: Tx, session_id: str, *, last_active_at: int, expire_at: int) -> None:
    tx.execute(
        "UPDATE identity_sessions SET last_active_at = ?, expire_at = ? WHERE id = ? AND status = 'active'",
        (last_active_at, expire_at, session_id),
    )


def set_active_organization(tx: Tx, session_id: str, organization_id: str | None) -> None:
    tx.execute(
        "UPDATE identity_sessions SET active_organization_id = ? WHERE id = ?", (organization_id, session_id)
    )


def leave_organization(tx: Tx, organization_id: str, user_id: str | None = None) -> None:
    """No session of the user, or of anybody, acts in the organization any more."""
    condition, values = ("AND user_id = ?", (user_id,)) if user_id is not None else ("", ())
    tx.execute(
        f"UPDATE identity_sessions SET active_organization_id = NULL WHERE active_organization_id = ? {condition}",
        (organization_id, *values),
    )


def put_refresh_token(tx: Tx, token_hash: str, session_id: str, now: int) -> None:
    """A session is of one browser and has one: whoever asks again and again without keeping it fills no table."""
    tx.execute("DELETE FROM identity_refresh_tokens WHERE session_id = ?", (session_id,))
    tx.execute(
        "INSERT INTO identity_refresh_tokens (token_hash, session_id, created_at) VALUES (?, ?, ?)",
        (token_hash, session_id, now),
    )


def session_of_refresh_token(tx: Tx, token_hash: str) -> str | None:
    row = tx.fetch_one("SELECT session_id FROM identity_refresh_tokens WHERE token_hash = ?", (token_hash,))
    return None if row is None else str(row[0])


def set_verified(tx: Tx, session_id: str, now: int) -> None:
    tx.execute(
        "UPDATE identity_sessions SET verified_at = ?, updated_at = ? WHERE id = ?", (now, now, session_id)
    )


def finish(tx: Tx, sessions: Iterable[SessionRecord], status: str, now: int) -> None:
    """Give active sessions their last status and tell everyone who holds something open for them."""
    for session in sessions:
        changed = tx.execute(
            "UPDATE identity_sessions SET status = ?, updated_at = ? WHERE id = ? AND status = 'active'",
            (status, now, session.id),
        )
        if changed:
            tx.notify(REVOKED_CHANNEL, session.id)


def run_out(tx: Tx, now: int, limit: int) -> list[SessionRecord]:
    """Sessions that time has ended and nobody has written down."""
    rows = tx.fetch_all(
        f"""
        SELECT {_COLUMNS} FROM identity_sessions
        WHERE status = 'active' AND (expire_at <= ? OR abandon_at <= ?) ORDER BY expire_at, id LIMIT ?
        """,
        (now, now, limit),
    )
    return [SessionRecord(*row) for row in rows]


def delete_finished_before(tx: Tx, instant: int) -> int:
    return tx.execute("DELETE FROM identity_sessions WHERE abandon_at < ?", (instant,))
