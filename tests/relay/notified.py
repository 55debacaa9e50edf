"""A relay with push services to send by, a machine that publishes, and people's devices."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec

from doorward.jose import PrivateKey
from doorward.push import Sender, VapidKey, WebPushSender
from doorward.push.apns import ApnsSender
from doorward.push.fcm import FcmSender, ServiceAccount
from doorward.relay import create_relay
from doorward.relay.devices.store import Platform
from doorward.t3_connect import iso
from tests.push.services import Browser, Services, running_services
from tests.relay.world import World

ALL_ON = {
    "liveActivitiesEnabled": True,
    "notificationsEnabled": True,
    "notifyOnApproval": True,
    "notifyOnInput": True,
    "notifyOnCompletion": True,
    "notifyOnFailure": True,
}
IOS = {"platform": "ios", "iosMajorVersion": 18}
ANDROID = {"platform": "android", "androidApiLevel": 34}
THREAD = "thread-1"


class Notified:
    def __init__(self, world: World, services: Services) -> None:
        self.world = world
        self.services = services
        self.credential = ""

    # --- the machine ------------------------------------------------------------------------------------------

    async def link(self, user_id: str = "user_alice", **flags: bool) -> None:
        linked = await self.world.link(user_id, managedTunnelsEnabled=False, **flags)
        self.credential = linked["environmentCredential"]

    def state(self, phase: str = "running", thread_id: str = THREAD, **changes: Any) -> dict[str, Any]:
        return {
            "environmentId": "env-1",
            "threadId": thread_id,
            "projectTitle": "Doorward",
            "threadTitle": "Mend the door",
            "phase": phase,
            "headline": "At work",
            "modelTitle": "A model",
            "updatedAt": iso(self.world.clock()),
            "deepLink": f"/threads/{thread_id}",
            **changes,
        }

    def proof(
        self, state: Any, thread_id: str = THREAD, key: PrivateKey | None = None, **changes: Any
    ) -> str:
        claims = self.world.environment.claims(threadId=thread_id, state=state)
        return self.world.environment.sign({**claims, **changes}, "t3-env-activity+jwt", key)

    async def post(
        self,
        state: Any,
        *,
        thread_id: str = THREAD,
        environment_id: str = "env-1",
        proof: str | None = None,
        credential: str | None = None,
    ) -> httpx.Response:
        return await self.world.http.post(
            f"/v1/environments/{environment_id}/threads/{thread_id}/agent-activity",
            json={"state": state, "proof": proof or self.proof(state, thread_id)},
            headers={"authorization": f"Bearer {credential or self.credential}"},
        )

    async def publish(
        self, phase: str | None = "running", thread_id: str = THREAD, **changes: Any
    ) -> list[tuple[str, str]]:
        """Publish, and give the (device, kind) of each delivery."""
        state = None if phase is None else self.state(phase, thread_id, **changes)
        answer = await self.post(state, thread_id=thread_id)
        assert answer.status_code == 200, answer.text
        return [(each["deviceId"], each["kind"]) for each in answer.json()["deliveries"]]

    # --- devices ----------------------------------------------------------------------------------------------

    async def mobile(
        self, method: str, path: str, body: Any = None, user_id: str = "user_alice", query: str = ""
    ) -> httpx.Response:
        token = await self.world.token(
            client_id="t3-mobile",
            scope="mobile:registration",
            subject_token=self.world.accounts.session(user_id),
        )
        headers = {
            "authorization": f"DPoP {token}",
            "dpop": self.world.proof(method, path, token=token),
        }
        return await self.world.http.request(method, path + query, json=body, headers=headers)

    async def register(
        self, device_id: str = "phone", user_id: str = "user_alice", **changes: Any
    ) -> httpx.Response:
        preferences = {**ALL_ON, **changes.pop("preferences", {})}
        body = {"deviceId": device_id, "label": "Phone", **IOS, "preferences": preferences, **changes}
        return await self.mobile("POST", "/v1/mobile/devices", body, user_id)

    async def phone(self, device_id: str = "phone", user_id: str = "user_alice", **changes: Any) -> None:
        """One that can be told everything: push, start of a live activity."""
        tokens = {"pushToken": f"push-{device_id}", "pushToStartToken": f"start-{device_id}"}
        answer = await self.register(device_id, user_id, **{**tokens, **changes})
        assert answer.json() == {"ok": True}

    async def begin_activity(
        self, device_id: str = "phone", token: str = "live", user_id: str = "user_alice"
    ) -> None:
        body = {"deviceId": device_id, "activityPushToken": token}
        assert (await self.mobile("POST", "/v1/mobile/live-activities", body, user_id)).json() == {"ok": True}

    async def browser(
        self, user_id: str = "user_alice", device_id: str = "laptop", **preferences: bool
    ) -> Browser:
        browser = self.services.push.subscribe()
        answer = await self.world.http.post(
            "/v1/client/browsers",
            json={
                "deviceId": device_id,
                "label": "Laptop",
                "subscription": browser.subscription,
                "preferences": {**ALL_ON, **preferences},
            },
            headers=self.world.bearer(user_id),
        )
        assert answer.json() == {"ok": True}, answer.text
        return browser

    # --- what came of it ----------------------------------------------------------------------------------------

    async def deliver(self) -> None:
        """Do everything that is due now."""
        while await self.world.relay.deliveries.work():
            pass

    def apple(self) -> list[tuple[str, Any]]:
        """(device token, payload) of everything Apple got."""
        return [
            (request.path.removeprefix("/3/device/"), msgspec.json.decode(request.body))
            for request in self.services.apple.server.received
        ]

    async def results(self) -> list[tuple[Any, ...]]:
        return await self.world.rows(
            "SELECT kind, result, status, reason FROM relay_deliveries ORDER BY created_at, kind"
        )


def senders_for(services: Services, outbound: Any) -> dict[Platform, Sender]:
    return {
        "web": WebPushSender(outbound, VapidKey.generate(), contact="https://relay.example.com"),
        "ios": ApnsSender(
            outbound,
            key=services.apple.key,
            key_id="KEY1234567",
            team_id="TEAM123456",
            bundle_id="com.example.app",
            environment="production",
            origins=services.apple.origins(),
        ),
        "android": FcmSender(
            outbound,
            msgspec.convert(services.google.account(), ServiceAccount),
            api=services.google.origin,
        ),
    }


@contextlib.asynccontextmanager
async def notifying(world: World, folder: Path) -> AsyncIterator[Notified]:
    """`world`, with a relay that sends by loopback services. Nothing is sent before `deliver`."""
    async with running_services(folder / secrets.token_hex(4), world.clock) as services:
        world.relay = await create_relay(
            world.relay.settings,
            world.database,
            sealer=world.sealer,
            outbound=world.outbound,
            clock=world.clock,
            senders=senders_for(services, services.outbound),
        )
        yield Notified(world, services)
