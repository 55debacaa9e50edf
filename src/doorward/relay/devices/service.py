"""Registering devices and browsers of an account. Each registration is told what there is to show by now."""

import logging

import msgspec

from doorward.push import Subscription
from doorward.relay.activity.publication import Publications
from doorward.relay.audit.store import Origin, record
from doorward.relay.devices import store
from doorward.store import Clock, Database, StoreError, Tx
from doorward.t3_connect.messages import (
    BrowserRegistration,
    DeviceRegistration,
    LiveActivityRegistration,
)

logger = logging.getLogger("doorward.relay")


class Devices:
    """Raises StoreError; SubscriptionInvalid for a browser's."""

    def __init__(self, database: Database, publications: Publications, clock: Clock) -> None:
        self._database = database
        self._publications = publications
        self._clock = clock

    async def list(self, user_id: str) -> list[store.ListedDevice]:
        return await self._database.read(lambda tx: store.list_of_user(tx, user_id))

    async def register(self, user_id: str, device: DeviceRegistration, origin: Origin) -> None:
        now = self._clock()

        def write(tx: Tx) -> None:
            store.register(tx, user_id, device, now=now)
            _audit(tx, user_id, "device.registered", device.device_id, origin, now, device.platform)

        await self._database.write(write)
        await self._replay(user_id, device.device_id)

    async def register_browser(self, user_id: str, browser: BrowserRegistration, origin: Origin) -> None:
        now = self._clock()
        keys = browser.subscription.keys
        subscription = Subscription.of(
            endpoint=browser.subscription.endpoint, p256dh=keys.p256dh, auth=keys.auth
        )

        def write(tx: Tx) -> None:
            store.register_browser(
                tx,
                user_id,
                browser.device_id,
                label=browser.label,
                subscription=subscription.to_text(),
                preferences=browser.preferences,
                now=now,
            )
            _audit(tx, user_id, "device.registered", browser.device_id, origin, now, "web")

        await self._database.write(write)

    async def register_live_activity(self, user_id: str, activity: LiveActivityRegistration) -> None:
        now = self._clock()
        await self._database.write(
            lambda tx: store.register_live_activity(
                tx,
                user_id=user_id,
                device_id=activity.device_id,
                token=activity.activity_push_token,
                now=now,
            )
        )
        await self._replay(user_id, activity.device_id)

    async def unregister(
        self, user_id: str, device_id: str, origin: Origin, *, only: store.Platform | None = None
    ) -> bool:
        """False when there was no such device."""
        now = self._clock()

        def write(tx: Tx) -> bool:
            is_removed = store.unregister(tx, user_id=user_id, device_id=device_id, only=only)
            if is_removed:
                _audit(tx, user_id, "device.unregistered", device_id, origin, now)
            return is_removed

        return await self._database.write(write)

    async def _replay(self, user_id: str, device_id: str) -> None:
        """Show the device what goes on already. It is registered whether or not this succeeds."""
        try:
            await self._publications.replay(user_id, device_id)
        except (StoreError, msgspec.MsgspecError) as error:
            logger.warning(
                "Nothing was replayed to a device: %s", getattr(error, "code", type(error).__name__)
            )


def _audit(
    tx: Tx, user_id: str, action: str, device_id: str, origin: Origin, now: int, platform: str = ""
) -> None:
    detail = {"platform": platform} if platform else None
    record(tx, at=now, actor=user_id, action=action, object_id=device_id, origin=origin, detail=detail)
