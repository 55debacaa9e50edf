"""Clerk: the CSV that the dashboard exports, with password hashes; or JSON, as its Backend API lists users or as its
migration script takes them. Users keep their ids, so what an application stored of them goes on to be right."""

from __future__ import annotations

from typing import Any

from doorward.cli.administration.importers.rows import (
    Row,
    boolean,
    identified,
    instant,
    json_value,
    made,
    several,
    text_of,
)
from doorward.identity.backend_api.wire.user_imports import ImportUser

METADATA = ("public_metadata", "private_metadata", "unsafe_metadata")


def user(row: Row) -> ImportUser:
    """Raises BadRow."""
    if "userId" in row or "firstName" in row:
        return _of_migration_script(row)
    members = _of_api(row) if isinstance(row.get("email_addresses"), list) else _of_csv(row)
    digest = text_of(row.get("password_digest"))
    return made(
        {
            **members,
            "id": row.get("id"),
            "external_id": row.get("external_id"),
            "username": row.get("username"),
            "first_name": row.get("first_name"),
            "last_name": row.get("last_name"),
            "locale": row.get("locale"),
            "timezone": row.get("timezone"),
            "password_digest": digest,
            "password_hasher": row.get("password_hasher") if digest else None,
            "banned": boolean("banned", row.get("banned")),
            "created_at": instant("created_at", row.get("created_at")),
            "legal_accepted_at": instant("legal_accepted_at", row.get("legal_accepted_at")),
            **{name: json_value(name, row.get(name)) for name in METADATA},
        }
    )


def _of_csv(row: Row) -> dict[str, Any]:
    return {
        **identified(
            "email_address",
            text_of(row.get("primary_email_address")),
            several(row.get("verified_email_addresses")),
            several(row.get("unverified_email_addresses")),
        ),
        **identified(
            "phone_number",
            text_of(row.get("primary_phone_number")),
            several(row.get("verified_phone_numbers")),
            several(row.get("unverified_phone_numbers")),
        ),
    }


def _of_api(row: Row) -> dict[str, Any]:
    return {
        **_owned(row, "email_addresses", "email_address", "primary_email_address_id"),
        **_owned(row, "phone_numbers", "phone_number", "primary_phone_number_id"),
    }


def _owned(row: Row, members: str, member: str, primary: str) -> dict[str, Any]:
    owned = row.get(members) or []
    proved = [one[member] for one in owned if (one.get("verification") or {}).get("status") == "verified"]
    first = next((one[member] for one in owned if one.get("id") == row.get(primary)), None)
    return identified(member, first, proved, [one[member] for one in owned])


def _of_migration_script(row: Row) -> ImportUser:
    digest = text_of(row.get("password"))
    addresses = several(row.get("email"))
    return made(
        {
            **identified("email_address", next(iter(addresses), None), addresses),
            "external_id": row.get("userId"),
            "first_name": row.get("firstName"),
            "last_name": row.get("lastName"),
            "password_digest": digest,
            "password_hasher": (row.get("passwordHasher") or "bcrypt") if digest else None,
        }
    )
