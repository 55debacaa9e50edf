"""Rows of devices and of their live activities. Times in milliseconds.

What a list shows is selected without push tokens: it cannot leak what it does not read.
"""

from typing import Any, Literal

import msgspec

from doorward.store import Row, Tx
from doorward.t3_connect.messages import Aggregate, ApsEnvironment, DeviceRegistration, Preferences

Platform = Literal["ios", "android", "web"]

MOST_DEVICES = 50
"""Of one account; every publication goes through all of them. The one not heard of for longest gives way."""

_TOLD = "device_id, label, platform, ios_major_version, android_api_level, app_version, preferences_json, updated_at"


class ListedDevice(msgspec.Struct, frozen=True):
    """A device as its owner sees it."""

    device_id: str
    label: str
    platform: Platform
    ios_major_version: int | None
    android_api_level: int | None
    app_version: str | None
    preferences: Preferences
    updated_at: int


class LiveActivityRow(msgspec.Struct, frozen=True, kw_only=True):
    """The live activity of one device, as far as the relay knows it."""

    push_token: str | None = None
    start_queued_at: int | None = None
    started_at: int | None = None
    ended_at: int | None = None
    last_aggregate: Aggregate | None = None
    last_delivery_at: int | None = None

    @property
    def is_active(self) -> bool:
        """Begun, or about to be, and not ended."""
        has_begun = self.start_queued_at is not None or self.started_at is not None
        return self.ended_at is None and (has_begun or self.push_token is not None)


class ReachableDevice(msgspec.Struct, frozen=True, kw_only=True):
    """A device with everything it takes to decide what to send it, and to send it. Holds push tokens."""

    device_id: str
    platform: Platform
    preferences: Preferences
    push_token: str | None
    push_to_start_token: str | None
    bundle_id: str | None
    aps_environment: ApsEnvironment | None
    live: LiveActivityRow

    def __repr__(self) -> str:
        return f"ReachableDevice(device_id={self.device_id!r}, platform={self.platform!r})"


def list_of_user(tx: Tx, user_id: str) -> list[ListedDevice]:
    """Raises `msgspec.ValidationError` for a stored value outside the known ones."""
    rows = tx.fetch_all(
        f"SELECT {_TOLD} FROM relay_mobile_devices WHERE user_id = ? ORDER BY created_at, device_id",  # noqa: S608
        (user_id,),
    )
    return [
        msgspec.convert(
            {**dict(zip(ListedDevice.__struct_fields__, row, strict=True)), "preferences": _json(row[6])},
            ListedDevice,
        )
        for row in rows
    ]


def list_reachable(tx: Tx, user_id: str, device_id: str | None = None) -> list[ReachableDevice]:
    """Every device of the account, or the one named."""
    rows = tx.fetch_all(
        "SELECT d.device_id, d.platform, d.preferences_json, d.push_token, d.push_to_start_token, d.bundle_id,"
        " d.aps_environment, l.activity_push_token, l.remote_start_queued_at, l.remote_started_at, l.ended_at,"
        " l.last_aggregate_json, l.last_live_activity_delivery_at"
        " FROM relay_mobile_devices d LEFT JOIN relay_live_activities l"
        " ON l.user_id = d.user_id AND l.device_id = d.device_id WHERE d.user_id = ? AND (? OR d.device_id = ?)"
        " ORDER BY d.created_at, d.device_id",
        (user_id, device_id is None, device_id or ""),
    )
    return [
        ReachableDevice(
            device_id=row[0],
            platform=row[1],
            preferences=msgspec.convert(_json(row[2]), Preferences),
            push_token=row[3],
            push_to_start_token=row[4],
            bundle_id=row[5],
            aps_environment=row[6],
            live=_live(row[7:]),
        )
        for row in rows
    ]


def _live(row: Row) -> LiveActivityRow:
    return LiveActivityRow(
        push_token=row[0],
        start_queued_at=row[1],
        started_at=row[2],
        ended_at=row[3],
        last_aggregate=None if row[4] is None else msgspec.json.decode(row[4], type=Aggregate),
        last_delivery_at=row[5],
    )


def _json(text: object) -> Any:
    return msgspec.json.decode(str(text))


def register(tx: Tx, user_id: str, device: DeviceRegistration, *, now: int) -> None:
    """Take the tokens from wherever they are, then write the row; absent tokens keep the stored ones."""
    for column, token in (
        ("push_token", device.push_token),
        ("push_to_start_token", device.push_to_start_token),
    ):
        _take_token(tx, column, token, user_id=user_id, device_id=device.device_id)
    _upsert(
        tx,
        user_id,
        device.device_id,
        now,
        label=device.label,
        platform=device.platform,
        ios_major_version=device.ios_major_version,
        android_api_level=device.android_api_level,
        app_version=device.app_version,
        bundle_id=device.bundle_id,
        aps_environment=device.aps_environment,
        push_token=device.push_token,
        push_to_start_token=device.push_to_start_token,
        preferences=device.preferences,
    )


def register_browser(
    tx: Tx, user_id: str, device_id: str, *, label: str, subscription: str, preferences: Preferences, now: int
) -> None:
    """`subscription` is the text a Web Push sender takes for a target."""
    _take_token(tx, "push_token", subscription, user_id=user_id, device_id=device_id)
    _upsert(
        tx,
        user_id,
        device_id,
        now,
        label=label,
        platform="web",
        ios_major_version=None,
        android_api_level=None,
        app_version=None,
        bundle_id=None,
        aps_environment=None,
        push_token=subscription,
        push_to_start_token=None,
        preferences=preferences,
    )


def _take_token(tx: Tx, column: str, token: str | None, *, user_id: str, device_id: str) -> None:
    if token is not None:
        tx.execute(
            f"UPDATE relay_mobile_devices SET {column} = NULL"  # noqa: S608 - a column of ours
            f" WHERE {column} = ? AND NOT (user_id = ? AND device_id = ?)",
            (token, user_id, device_id),
        )


def _upsert(
    tx: Tx,
    user_id: str,
    device_id: str,
    now: int,
    *,
    label: str,
    platform: Platform,
    ios_major_version: int | None,
    android_api_level: int | None,
    app_version: str | None,
    bundle_id: str | None,
    aps_environment: ApsEnvironment | None,
    push_token: str | None,
    push_to_start_token: str | None,
    preferences: Preferences,
) -> None:
    tx.execute(
        "INSERT INTO relay_mobile_devices (user_id, device_id, label, platform, ios_major_version, android_api_level,"
        " app_version, bundle_id, aps_environment, push_token, push_to_start_token, preferences_json, created_at,"
        " updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (user_id, device_id) DO UPDATE SET label = excluded.label, platform = excluded.platform,"
        " ios_major_version = excluded.ios_major_version, android_api_level = excluded.android_api_level,"
        " app_version = excluded.app_version, bundle_id = excluded.bundle_id,"
        " aps_environment = excluded.aps_environment,"
        # A token of another platform would reach nobody, so only the same platform's is kept.
        " push_token = COALESCE(excluded.push_token, CASE WHEN relay_mobile_devices.platform = excluded.platform"
        "  THEN relay_mobile_devices.push_token END),"
        " push_to_start_token = COALESCE(excluded.push_to_start_token, CASE WHEN relay_mobile_devices.platform ="
        "  excluded.platform THEN relay_mobile_devices.push_to_start_token END),"
        " preferences_json = excluded.preferences_json, updated_at = excluded.updated_at",
        (
            user_id,
            device_id,
            label,
            platform,
            ios_major_version,
            android_api_level,
            app_version,
            bundle_id,
            aps_environment,
            push_token,
            push_to_start_token,
            msgspec.json.encode(preferences).decode(),
            now,
            now,
        ),
    )
    tx.execute(
        "DELETE FROM relay_mobile_devices WHERE user_id = ? AND device_id <> ? AND device_id IN (SELECT device_id"
        " FROM relay_mobile_devices WHERE user_id = ? ORDER BY updated_at DESC, device_id LIMIT 1000 OFFSET ?)",
        (user_id, device_id, user_id, MOST_DEVICES),
    )


def unregister(tx: Tx, *, user_id: str, device_id: str, only: Platform | None = None) -> bool:
    """Forget the caller's device and its live activity; `only` spares devices of another platform."""
    removed = tx.execute(
        "DELETE FROM relay_mobile_devices WHERE user_id = ? AND device_id = ? AND (? OR platform = ?)",
        (user_id, device_id, only is None, only or ""),
    )
    if only is None or removed:
        tx.execute(
            "DELETE FROM relay_live_activities WHERE user_id = ? AND device_id = ?", (user_id, device_id)
        )
    return removed == 1


# --- live activities ----------------------------------------------------------------------------------------


def register_live_activity(tx: Tx, *, user_id: str, device_id: str, token: str, now: int) -> None:
    """The device itself began one; an activity of the same token elsewhere is over."""
    tx.execute(
        "UPDATE relay_live_activities SET activity_push_token = NULL, remote_start_queued_at = NULL,"
        " remote_started_at = NULL, ended_at = ?, updated_at = ?"
        " WHERE activity_push_token = ? AND NOT (user_id = ? AND device_id = ?)",
        (now, now, token, user_id, device_id),
    )
    tx.execute(
        "INSERT INTO relay_live_activities (user_id, device_id, activity_push_token, remote_started_at, created_at,"
        " updated_at) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (user_id, device_id) DO UPDATE SET"
        " activity_push_token = excluded.activity_push_token, remote_start_queued_at = NULL,"
        " remote_started_at = excluded.remote_started_at, ended_at = NULL, last_aggregate_json = NULL,"
        " last_live_activity_delivery_at = NULL, updated_at = excluded.updated_at",
        (user_id, device_id, token, now, now, now),
    )


def mark_start_queued(tx: Tx, *, user_id: str, device_id: str, now: int) -> None:
    tx.execute(
        "INSERT INTO relay_live_activities (user_id, device_id, remote_start_queued_at, created_at, updated_at)"
        " VALUES (?, ?, ?, ?, ?) ON CONFLICT (user_id, device_id) DO UPDATE SET remote_start_queued_at ="
        " COALESCE(relay_live_activities.remote_start_queued_at, excluded.remote_start_queued_at),"
        " ended_at = NULL, updated_at = excluded.updated_at",
        (user_id, device_id, now, now, now),
    )


def clear_start_queued(tx: Tx, *, user_id: str, device_id: str, now: int) -> None:
    tx.execute(
        "UPDATE relay_live_activities SET remote_start_queued_at = NULL, updated_at = ?"
        " WHERE user_id = ? AND device_id = ?",
        (now, user_id, device_id),
    )


def mark_delivered(
    tx: Tx,
    *,
    user_id: str,
    device_id: str,
    event: Literal["start", "update", "end"],
    aggregate: Aggregate | None,
    now: int,
) -> None:
    """What the device shows now. A start revives an ended activity, an update that comes late does not."""
    tx.execute(
        "INSERT INTO relay_live_activities (user_id, device_id, remote_started_at, ended_at, last_aggregate_json,"
        " last_live_activity_delivery_at, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (user_id, device_id) DO UPDATE SET"
        " remote_started_at = COALESCE(relay_live_activities.remote_started_at, excluded.remote_started_at),"
        " remote_start_queued_at = NULL, ended_at = CASE ? WHEN 'start' THEN NULL WHEN 'end' THEN excluded.updated_at"
        "  ELSE relay_live_activities.ended_at END,"
        " last_aggregate_json = excluded.last_aggregate_json,"
        " last_live_activity_delivery_at = excluded.last_live_activity_delivery_at,"
        " updated_at = excluded.updated_at",
        (
            user_id,
            device_id,
            now,
            now if event == "end" else None,
            None if aggregate is None else msgspec.json.encode(aggregate).decode(),
            now,
            now,
            now,
            event,
        ),
    )


def forget_push_token(tx: Tx, *, user_id: str, device_id: str, now: int) -> None:
    tx.execute(
        "UPDATE relay_mobile_devices SET push_token = NULL, updated_at = ? WHERE user_id = ? AND device_id = ?",
        (now, user_id, device_id),
    )


def forget_start_token(tx: Tx, *, user_id: str, device_id: str, now: int) -> None:
    tx.execute(
        "UPDATE relay_mobile_devices SET push_to_start_token = NULL, updated_at = ? WHERE user_id = ? AND device_id = ?",
        (now, user_id, device_id),
    )
    clear_start_queued(tx, user_id=user_id, device_id=device_id, now=now)


def forget_activity_token(tx: Tx, *, user_id: str, device_id: str, now: int) -> None:
    tx.execute(
        "UPDATE relay_live_activities SET activity_push_token = NULL, remote_start_queued_at = NULL,"
        " remote_started_at = NULL, ended_at = ?, updated_at = ? WHERE user_id = ? AND device_id = ?",
        (now, now, user_id, device_id),
    )
