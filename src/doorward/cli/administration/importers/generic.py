"""Any other system: CSV or JSON whose columns have the names that `POST /users` takes, or are told with `--column`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from doorward.cli.administration.importers.rows import (
    BadRow,
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
TIMES = ("created_at", "legal_accepted_at")
BOOLEANS = (
    "banned",
    "locked",
    "delete_self_enabled",
    "create_organization_enabled",
    "bypass_client_trust",
)
#: Ours: whether the addresses of the row are proved, where no column says it of each.
VERIFIED = "email_verified"
COLUMNS = tuple(
    name
    for name in ImportUser.__struct_fields__
    if name not in ("password", "totp_secret", "backup_codes", "web3_wallet")
)


def reader(columns: Mapping[str, str], hasher: str | None) -> Callable[[Row], ImportUser]:
    """`columns`: from our names to the file's. `hasher` is what made digests where no column names one."""
    theirs = {name: columns.get(name, name) for name in (*COLUMNS, VERIFIED)}

    def user(row: Row) -> ImportUser:
        """Raises BadRow."""
        found = {
            name: value
            for name, column in theirs.items()
            if (value := row.get(column)) not in (None, "", [], {})
        }
        is_proved = boolean(VERIFIED, found.pop(VERIFIED, True))
        if "password_digest" in found:
            found.setdefault("password_hasher", hasher)
            if found["password_hasher"] is None:
                raise BadRow(
                    "Nothing says what made password_digest: name a column password_hasher, or use --hasher."
                )
        else:
            found.pop("password_hasher", None)
        for name in METADATA:
            if name in found:
                found[name] = json_value(name, found[name])
        for name in TIMES:
            if name in found:
                found[name] = instant(name, found[name])
        for name in BOOLEANS:
            if name in found:
                found[name] = boolean(name, found[name])
        if "create_organizations_limit" in found:
            found["create_organizations_limit"] = _number(found["create_organizations_limit"])
        for name in ("email_address", "phone_number"):
            found.update(_identified(found, name, is_proved or name == "phone_number"))
        return made(found)

    return user


def _identified(found: Mapping[str, Any], name: str, is_proved: bool) -> dict[str, Any]:
    values = several(found.get(name))
    statuses = several(found.get(f"{name}_identification_status"))
    if statuses and len(statuses) != len(values):
        raise BadRow(f"{name}_identification_status has {len(statuses)} members, {name} has {len(values)}.")
    if statuses:
        return {name: values, f"{name}_identification_status": statuses}
    return identified(name, next(iter(values), None), values if is_proved else [], values)


def _number(value: Any) -> Any:
    text = text_of(value)
    if text is None:
        return value
    if not text.isdecimal():
        raise BadRow(f"create_organizations_limit is no number: {text[:40]!r}.")
    return int(text)
