"""SQL of `auth_sessions`. A session is alive while it is neither revoked nor expired."""

from collections.abc import Sequence

import msgspec

from doorward.environment.access import Role
from doorward.environment.sessions.client_details import ClientDetails
from doorward.environment.sessions.tokens import SessionMethod
from doorward.store import Row, Tx


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One session. `thumbprint` is set exactly for sessions bound to a DPoP key. Times in ms."""

    id: str
    subject: str
    scopes: tuple[str, ...]
    method: SessionMethod
    thumbprint: str | None
    role: Role
    cloud_user_id: str | None
    client: ClientDetails
    issued_at: int
    expires_at: int
    last_connected_at: int | None = None

    @property
    def is_minted(self) -> bool:
        """Whether the linked relay asked for it, for an account and a device's key: through the tunnel no other counts.

        A pairing code redeemed on this machine makes a session bound to a key too, which no owner ever approved.
        """
        return self.thumbprint is not None and self.cloud_user_id is not None


_COLUMNS = (
    "session_id, subject, scopes, method, jkt, role, cloud_user_id, client_label, client_ip_address,"
    " client_user_agent, client_device_type, client_os, client_browser, issued_at, expires_at, last_connected_at"
)


def _session(row: Row) -> Session:
    return Session(
        id=row[0],
        subject=row[1],
        scopes=tuple(msgspec.json.decode(row[2], type=list[str])),
        method=row[3],
        thumbprint=row[4],
        role=row[5],
        cloud_user_id=row[6],
        client=ClientDetails(
            label=row[7],
            ip_address=row[8],
            user_agent=row[9],
            device_type=row[10],
            os=row[11],
            browser=row[12],
        ),
        issued_at=row[13],
        expires_at=row[14],
        last_connected_at=row[15],
    )


def insert(tx: Tx, session: Session) -> None:
    client = session.client
    tx.execute(
        f"INSERT INTO auth_sessions ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        (
            session.id,
            session.subject,
            msgspec.json.encode(session.scopes).decode(),
            session.method,
            session.thumbprint,
            session.role,
            session.cloud_user_id,
            client.label,
            client.ip_address,
            client.user_agent,
            client.device_type,
            client.os,
            client.browser,
            session.issued_at,
            session.expires_at,
            session.last_connected_at,
        ),
    )


def find_alive(tx: Tx, session_id: str, now: int) -> Session | None:
    row = tx.fetch_one(
        f"SELECT {_COLUMNS} FROM auth_sessions"  # noqa: S608
        " WHERE session_id = ? AND revoked_at IS NULL AND expires_at > ?",
        (session_id, now),
    )
    return None if row is None else _session(row)


def list_alive(tx: Tx, now: int) -> list[Session]:
    rows = tx.fetch_all(
        f"SELECT {_COLUMNS} FROM auth_sessions"  # noqa: S608
        " WHERE revoked_at IS NULL AND expires_at > ? ORDER BY issued_at DESC, session_id DESC",
        (now,),
    )
    return [_session(row) for row in rows]


def list_alive_of_key(tx: Tx, thumbprint: str, now: int) -> list[Session]:
    rows = tx.fetch_all(
        f"SELECT {_COLUMNS} FROM auth_sessions"  # noqa: S608
        " WHERE jkt = ? AND revoked_at IS NULL AND expires_at > ?",
        (thumbprint, now),
    )
    return [_session(row) for row in rows]


def list_alive_bound(tx: Tx, now: int) -> list[Session]:
    """Every live session that is bound to a device's key."""
    rows = tx.fetch_all(
        f"SELECT {_COLUMNS} FROM auth_sessions"  # noqa: S608
        " WHERE jkt IS NOT NULL AND revoked_at IS NULL AND expires_at > ?",
        (now,),
    )
    return [_session(row) for row in rows]


def mark_revoked(tx: Tx, session_ids: Sequence[str], now: int) -> list[str]:
    """The ids among these that were alive until now."""
    ended: list[str] = []
    for session_id in session_ids:
        row = tx.fetch_one(
            "UPDATE auth_sessions SET revoked_at = ?"
            " WHERE session_id = ? AND revoked_at IS NULL AND expires_at > ? RETURNING session_id",
            (now, session_id, now),
        )
        if row is not None:
            ended.append(row[0])
    return ended


def mark_connected(tx: Tx, session_id: str, now: int) -> None:
    tx.execute("UPDATE auth_sessions SET last_connected_at = ? WHERE session_id = ?", (now, session_id))


def prune(tx: Tx, before: int) -> None:
    """Forget sessions that ended before `before` (ms): nothing can be asked of them any more."""
    tx.execute("DELETE FROM auth_sessions WHERE expires_at < ? OR revoked_at < ?", (before, before))
