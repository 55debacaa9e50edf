"""The lists of an account's devices, and its browsers (extension X4)."""

from typing import Any

from doorward.push import SubscriptionInvalid, VapidKey
from doorward.relay.api.bodies import json_body
from doorward.relay.api.guards import Guards
from doorward.relay.devices.service import Devices
from doorward.relay.devices.store import ListedDevice
from doorward.relay.extension_errors import RateLimited
from doorward.relay.http.body import BodyRefused
from doorward.relay.http.responses import SCHEMA_MISMATCH
from doorward.relay.http.routing import Call, Route
from doorward.relay.limits.service import Limits
from doorward.relay.users.service import User
from doorward.t3_connect import iso
from doorward.t3_connect.messages import (
    BrowserEntry,
    BrowserList,
    BrowserRegistration,
    DeviceEntry,
    DeviceList,
    DeviceLiveActivities,
    DeviceNotifications,
    IosDeviceEntry,
    IosDeviceList,
    Ok,
)


class DevicesApi:
    """Each list holds what its readers can decode: the first version iOS alone, the second no browsers."""

    def __init__(self, *, guards: Guards, devices: Devices, limits: Limits, vapid: VapidKey) -> None:
        self._guards = guards
        self._devices = devices
        self._limits = limits
        self._vapid = vapid

    def routes(self) -> list[Route[Any, Any]]:
        account = self._guards.account
        browsers = "/v1/client/browsers"
        return [
            Route(
                "GET",
                "/v1/client/devices",
                self.list_ios,
                account,
                "The account's iOS devices",
                response=(IosDeviceList,),
                no_store=True,
            ),
            Route(
                "GET",
                "/v2/client/devices",
                self.list_mobile,
                account,
                "The account's mobile devices",
                response=(DeviceList,),
                no_store=True,
            ),
            Route(
                "GET",
                browsers,
                self.list_browsers,
                account,
                "The account's browsers that show notifications, and the key they subscribe with",
                response=(BrowserList,),
                no_store=True,
            ),
            Route(
                "POST",
                browsers,
                self.register_browser,
                account,
                "Register a browser for notifications",
                body=json_body(BrowserRegistration),
                response=(Ok,),
                refusals=(RateLimited,),
            ),
            Route(
                "DELETE",
                browsers + "/{deviceId}",
                self.unregister_browser,
                account,
                "Forget a browser",
                response=(Ok,),
            ),
        ]

    async def list_ios(self, call: Call[User, None]) -> IosDeviceList:
        devices = await self._devices.list(call.principal.user_id)
        return IosDeviceList(devices=tuple(_ios(row) for row in devices if row.platform == "ios"))

    async def list_mobile(self, call: Call[User, None]) -> DeviceList:
        devices = await self._devices.list(call.principal.user_id)
        return DeviceList(devices=tuple(_mobile(row) for row in devices if row.platform != "web"))

    async def list_browsers(self, call: Call[User, None]) -> BrowserList:
        devices = await self._devices.list(call.principal.user_id)
        return BrowserList(
            application_server_key=self._vapid.public,
            browsers=tuple(_browser(row) for row in devices if row.platform == "web"),
        )

    async def register_browser(self, call: Call[User, BrowserRegistration]) -> Ok:
        await self._limits.take(call.principal.user_id, "registrations")
        try:
            await self._devices.register_browser(call.principal.user_id, call.body, call.arrival.origin)
        except SubscriptionInvalid as error:
            raise BodyRefused(SCHEMA_MISMATCH) from error
        return Ok(ok=True)

    async def unregister_browser(self, call: Call[User, None]) -> Ok:
        await self._devices.unregister(
            call.principal.user_id, call.param("deviceId"), call.arrival.origin, only="web"
        )
        return Ok(ok=True)


def _notifications(row: ListedDevice) -> DeviceNotifications:
    preferences = row.preferences
    return DeviceNotifications(
        enabled=preferences.notifications_enabled,
        notify_on_approval=preferences.notify_on_approval,
        notify_on_input=preferences.notify_on_input,
        notify_on_completion=preferences.notify_on_completion,
        notify_on_failure=preferences.notify_on_failure,
    )


def _ios(row: ListedDevice) -> IosDeviceEntry:
    return IosDeviceEntry(
        device_id=row.device_id,
        label=row.label,
        platform="ios",
        ios_major_version=row.ios_major_version,
        app_version=row.app_version,
        notifications=_notifications(row),
        live_activities=DeviceLiveActivities(enabled=row.preferences.live_activities_enabled),
        updated_at=iso(row.updated_at),
    )


def _mobile(row: ListedDevice) -> DeviceEntry:
    return DeviceEntry(
        device_id=row.device_id,
        label=row.label,
        platform="ios" if row.platform == "ios" else "android",
        ios_major_version=row.ios_major_version,
        android_api_level=row.android_api_level,
        app_version=row.app_version,
        notifications=_notifications(row),
        live_activities=DeviceLiveActivities(enabled=row.preferences.live_activities_enabled),
        updated_at=iso(row.updated_at),
    )


def _browser(row: ListedDevice) -> BrowserEntry:
    return BrowserEntry(
        device_id=row.device_id,
        label=row.label,
        notifications=_notifications(row),
        updated_at=iso(row.updated_at),
    )
