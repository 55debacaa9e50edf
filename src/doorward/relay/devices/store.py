"""Rows of mobile devices. Push tokens are never read here: a list cannot leak what it does not select."""

from typing import Literal

import msgspec

from doorward.store import Tx


class Preferences(msgspec.Struct, frozen=True, rename="camel"):
    live_activities_enabled: bool
    notifications_enabled: bool
    notify_on_approval: bool
    notify_on_input: bool
    notify_on_completion: bool
    notify_on_failure: bool


class DeviceRow(msgspec.Struct, frozen=True):
    """`updated_at` in milliseconds."""

    device_id: str
    label: str
    platform: Literal["ios", "android"]
    ios_major_version: int | None
    app_version: str | None
    preferences: Preferences
    updated_at: int


def list_of_user(tx: Tx, user_id: str) -> list[DeviceRow]:
    """Raises `msgspec.ValidationError` for a stored value outside the known ones."""
    rows = tx.fetch_all(
        "SELECT device_id, label, platform, ios_major_version, app_version, preferences_json, updated_at"
        " FROM relay_mobile_devices WHERE user_id = ? ORDER BY created_at, device_id",
        (user_id,),
    )
    return [
        msgspec.convert(
            {
                **dict(zip(DeviceRow.__struct_fields__, row, strict=True)),
                "preferences": msgspec.json.decode(str(row[5])),
            },
            DeviceRow,
        )
        for row in rows
    ]
