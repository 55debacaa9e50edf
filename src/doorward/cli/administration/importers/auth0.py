"""Auth0: the export of password hashes (JSON lines, from their support), and the bulk export of users (JSON lines or CSV).

The first has hashes and hardly anything else, the second everything else; both name users alike, so the hashes are imported
first and the rest is for the application's own migration.
"""

from __future__ import annotations

from typing import Any

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


def user(row: Row) -> ImportUser:
    """Raises BadRow, Skipped."""
    address, is_proved = _address(row)
    if address is None:
        raise Skipped("it has no e-mail address")
    given, family = text_of(row.get("given_name")), text_of(row.get("family_name"))
    named = {"first_name": given, "last_name": family}
    if not given and not family and row.get("name") != address:
        named = dict(names_of(row.get("name")))
    digest = text_of(row.get("passwordHash")) or text_of(row.get("password_hash"))
    return made(
        {
            **identified("email_address", address, [address] if is_proved else []),
            **_number(row),
            **named,
            "external_id": _id(row),
            "password_digest": digest,
            "password_hasher": "bcrypt" if digest else None,
            "banned": boolean("blocked", row.get("blocked")),
            "created_at": instant("created_at", row.get("created_at")),
            "unsafe_metadata": json_value("user_metadata", row.get("user_metadata")),
            "private_metadata": json_value("app_metadata", row.get("app_metadata")),
        }
    )


def _address(row: Row) -> tuple[str | None, bool]:
    """Newer exports have it among the identifiers alone."""
    if address := text_of(row.get("email") or row.get("Email")):
        return address, boolean("email_verified", row.get("email_verified", row.get("Email Verified")))
    for one in row.get("identifiers") or []:
        if isinstance(one, dict) and one.get("type") == "email":
            return text_of(one.get("value")), boolean("verified", one.get("verified"))
    return None, False


def _number(row: Row) -> dict[str, Any]:
    number = text_of(row.get("phone_number"))
    proved = boolean("phone_verified", row.get("phone_verified"))
    return identified("phone_number", number, [number] if number and proved else [])


def _id(row: Row) -> str:
    """`auth0|…`, as tokens have it in `sub`. Raises BadRow."""
    if known := text_of(row.get("user_id")) or text_of(row.get("Id")):
        return known if "|" in known else f"auth0|{known}"
    raw = row.get("_id")
    local = text_of(row.get("alt_id")) or (
        text_of(raw.get("$oid")) if isinstance(raw, dict) else text_of(raw)
    )
    if local is None:
        raise BadRow("It has no user_id and no _id.")
    return f"auth0|{local}"
