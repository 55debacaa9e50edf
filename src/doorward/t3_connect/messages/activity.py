"""Bodies about devices that can be told, and about what an environment's agents do."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from doorward.t3_connect.wire import Tstr, Wire

Phase = Literal[
    "starting", "running", "waiting_for_approval", "waiting_for_input", "completed", "failed", "stale"
]
DeliveryKind = Literal[
    "live_activity_start", "live_activity_update", "live_activity_end", "push_notification"
]
MobilePlatform = Literal["ios", "android"]
ApsEnvironment = Literal["sandbox", "production"]

IosVersion = Annotated[int, msgspec.Meta(ge=18)]
AndroidApiLevel = Annotated[int, msgspec.Meta(ge=24)]


class Preferences(Wire, frozen=True, kw_only=True):
    live_activities_enabled: bool
    notifications_enabled: bool
    notify_on_approval: bool
    notify_on_input: bool
    notify_on_completion: bool
    notify_on_failure: bool


class DeviceRegistration(Wire, frozen=True, kw_only=True):
    """A phone or tablet. Push tokens are capabilities of that device; absent ones keep what is stored."""

    device_id: Tstr
    label: Tstr
    platform: MobilePlatform
    ios_major_version: IosVersion | None = None
    android_api_level: AndroidApiLevel | None = None
    app_version: Tstr | None = None
    bundle_id: Tstr | None = None
    aps_environment: ApsEnvironment | None = None
    push_token: Tstr | None = None
    push_to_start_token: Tstr | None = None
    preferences: Preferences

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.platform == "ios" and self.ios_major_version is None:
            raise ValueError("an iOS device says its version")
        if self.platform == "android":
            if self.android_api_level is None:
                raise ValueError("an Android device says its API level")
            if self.ios_major_version or self.aps_environment or self.push_to_start_token:
                raise ValueError("an Android device has nothing of Apple's")

    def __repr__(self) -> str:
        return f"DeviceRegistration(device_id={self.device_id!r}, platform={self.platform!r})"


class LiveActivityRegistration(Wire, frozen=True, kw_only=True):
    device_id: Tstr
    activity_push_token: Tstr

    def __repr__(self) -> str:
        return f"LiveActivityRegistration(device_id={self.device_id!r})"


class PushSubscriptionKeys(Wire, frozen=True, kw_only=True):
    p256dh: Tstr
    auth: Tstr


class PushSubscription(Wire, frozen=True, kw_only=True):
    """`PushSubscription.toJSON()` of a browser."""

    endpoint: Tstr
    keys: PushSubscriptionKeys

    def __repr__(self) -> str:
        return "PushSubscription()"


class BrowserRegistration(Wire, frozen=True, kw_only=True):
    """A browser that shows notifications (an extension of ours)."""

    device_id: Tstr
    label: Tstr
    subscription: PushSubscription
    preferences: Preferences


class DeviceNotifications(Wire, frozen=True, kw_only=True):
    enabled: bool
    notify_on_approval: bool
    notify_on_input: bool
    notify_on_completion: bool
    notify_on_failure: bool


class DeviceLiveActivities(Wire, frozen=True, kw_only=True):
    enabled: bool


class IosDeviceEntry(Wire, frozen=True, kw_only=True):
    """One iOS device, as the list of the first version has it. No list shows a push token."""

    device_id: str
    label: str
    platform: Literal["ios"]
    ios_major_version: int | None
    app_version: str | None
    notifications: DeviceNotifications
    live_activities: DeviceLiveActivities
    updated_at: str


class IosDeviceList(Wire, frozen=True, kw_only=True):
    devices: tuple[IosDeviceEntry, ...]


class DeviceEntry(Wire, frozen=True, kw_only=True):
    """One device of the second version's list."""

    device_id: str
    label: str
    platform: MobilePlatform
    ios_major_version: int | None
    android_api_level: int | None
    app_version: str | None
    notifications: DeviceNotifications
    live_activities: DeviceLiveActivities
    updated_at: str


class DeviceList(Wire, frozen=True, kw_only=True):
    devices: tuple[DeviceEntry, ...]


class BrowserEntry(Wire, frozen=True, kw_only=True):
    """One browser that shows notifications (an extension of ours)."""

    device_id: str
    label: str
    notifications: DeviceNotifications
    updated_at: str


class BrowserList(Wire, frozen=True, kw_only=True):
    """With the key that browsers subscribe with."""

    application_server_key: str
    browsers: tuple[BrowserEntry, ...]


class ActivityState(Wire, frozen=True, kw_only=True):
    """What one thread of an environment does. `updated_at` is the environment's own time, not read by anybody."""

    environment_id: Tstr
    thread_id: Tstr
    project_title: Tstr
    thread_title: Tstr
    phase: Phase
    headline: Tstr
    detail: Tstr | None = None
    model_title: Tstr
    updated_at: Tstr
    deep_link: Tstr


class AggregateRow(Wire, frozen=True, kw_only=True):
    environment_id: Tstr
    thread_id: Tstr
    project_title: Tstr
    thread_title: Tstr
    model_title: Tstr
    phase: Phase
    status: Tstr
    updated_at: Tstr
    deep_link: Tstr


class Aggregate(Wire, frozen=True, kw_only=True):
    """What a live activity shows of all threads of an account. `active_count` may exceed the rows shown."""

    title: Tstr
    subtitle: Tstr
    active_count: Annotated[int, msgspec.Meta(ge=0)]
    updated_at: Tstr
    activities: tuple[AggregateRow, ...]


class PublishActivityRequest(Wire, frozen=True, kw_only=True):
    """`state` null: the thread shows nothing any more."""

    state: ActivityState | None
    proof: Tstr


class DeliveryResult(Wire, frozen=True, kw_only=True):
    """What became of a publication at one device: here always that it was queued."""

    device_id: Tstr
    kind: DeliveryKind
    ok: bool
    queued: bool | None = None
    apns_status: int | None
    apns_reason: str | None
    apns_id: str | None


class PublishActivityResponse(Wire, frozen=True, kw_only=True):
    ok: bool
    deliveries: tuple[DeliveryResult, ...]


class ActivitySnapshot(Wire, frozen=True, kw_only=True):
    aggregate: Aggregate | None
    excluded_environment_ids: tuple[str, ...] | None = None
