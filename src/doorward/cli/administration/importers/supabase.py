"""Supabase: rows of `auth.users`, as CSV or JSON, with bcrypt in `encrypted_password`."""

from __future__ import annotations

from doorward.cli.administration.importers.rows import (
    BadRow,
    Row,
    Skipped,
    boolean,
    identified,
    instant,
    json_value,
    made,
    names_of,
    text_of,
)
from doorward.identity.backend_api.wire.user_imports import ImportUser

FOREVER = "infinity"


def user(row: Row) -> ImportUser:
    """Raises BadRow, Skipped."""
    if text_of(row.get("deleted_at")):
        raise Skipped("it is deleted there")
    if boolean("is_anonymous", row.get("is_anonymous")):
        raise Skipped("it is anonymous")
    address = text_of(row.get("email"))
    if address is None:
        raise Skipped("it has no e-mail address")
    confirmed = text_of(row.get("email_confirmed_at")) or text_of(row.get("confirmed_at"))
    phone = text_of(row.get("phone"))
    # Supabase leaves the sign out.
    number = None if phone is None else "+" + phone.lstrip("+")
    said = json_value("raw_user_meta_data", row.get("raw_user_meta_data")) or {}
    if not isinstance(said, dict):
        raise BadRow("raw_user_meta_data is no object.")
    names = {"first_name": text_of(said.get("first_name")), "last_name": text_of(said.get("last_name"))}
    if not any(names.values()):
        names = dict(names_of(said.get("full_name") or said.get("name")))
    digest = text_of(row.get("encrypted_password"))
    return made(
        {
            **identified("email_address", address, [address] if confirmed else []),
            **identified(
                "phone_number", number, [number] if number and text_of(row.get("phone_confirmed_at")) else []
            ),
            **names,
            "external_id": row.get("id"),
            "password_digest": digest,
            "password_hasher": "bcrypt" if digest else None,
            "banned": _is_banned(text_of(row.get("banned_until"))),
            "created_at": instant("created_at", row.get("created_at")),
            "unsafe_metadata": said,
            "private_metadata": json_value("raw_app_meta_data", row.get("raw_app_meta_data")),
        }
    )


def _is_banned(until: str | None) -> bool:
    """Bans that ended are over; for the others nobody here counts the days."""
    from datetime import UTC, datetime

    if until is None:
        return False
    if until == FOREVER:
        return True
    ends = instant("banned_until", until)
    return ends is not None and datetime.fromisoformat(ends) > datetime.now(UTC)
