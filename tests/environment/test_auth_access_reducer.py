"""A client's picture, kept by the stream alone, is the machine's own picture (checklist 159-161).

The reducer is the least a client needs: a snapshot replaces everything, an upsert replaces by its key or appends, a
removal filters, a mode event sets the mode.
"""

from collections.abc import Callable
from typing import Any

import pytest

from doorward.environment.access import MACHINE
from doorward.t3_connect.scopes import STANDARD_SCOPES
from tests.environment.conftest import Machine
from tests.environment.test_auth_access_stream import Conversation, talking

pytestmark = pytest.mark.anyio

KEYS = {"connectClients": "clientProofKeyThumbprint", "pairingLinks": "id", "clientSessions": "sessionId"}
COLLECTIONS = {"connectClient": "connectClients", "pairingLink": "pairingLinks", "client": "clientSessions"}


def reduce(picture: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    """The next picture, after one value of the stream."""
    kind, payload = value["type"], value["payload"]
    if kind == "snapshot":
        return dict(payload)
    if kind == "connectSecurityModeUpdated":
        return {**picture, "connectSecurityMode": payload["mode"]}
    name, is_removal = kind.removesuffix("Upserted").removesuffix("Removed"), kind.endswith("Removed")
    collection = COLLECTIONS[name]
    key = KEYS[collection]
    others = [item for item in picture[collection] if item[key] != payload[key]]
    return {**picture, collection: others if is_removal else [*others, payload]}


def in_order(picture: dict[str, Any]) -> dict[str, Any]:
    """The order within a collection is the reader's own business."""
    return {
        name: sorted(value, key=lambda item: item[KEYS[name]]) if name in KEYS else value
        for name, value in picture.items()
    }


class Follower:
    """Someone who looks once and then only listens."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self.picture: dict[str, Any] = {}
        self.revision = 0

    async def hear(self, *, until: Callable[[dict[str, Any]], bool]) -> None:
        """Take in one value after another, each the next in number, until the picture is as wanted."""
        while True:
            value = await self._conversation.value()
            self.revision += 1
            assert value["revision"] == self.revision
            self.picture = reduce(self.picture, value)
            if until(self.picture):
                return


async def begin(conversation: Conversation) -> Follower:
    await conversation.call("subscribeAuthAccess")
    follower = Follower(conversation)
    await follower.hear(until=lambda picture: True)
    return follower


async def picture_of(machine: Machine) -> dict[str, Any]:
    async with talking(machine) as anew:
        return in_order((await begin(anew)).picture)


@pytest.mark.conformance("connect-environment", 159)
async def test_links_and_devices_that_come_in_quick_succession_all_arrive(machine: Machine) -> None:
    async with talking(machine) as me:
        follower = await begin(me)
        for number in range(4):
            await machine.environment.pairing.create(MACHINE, scopes=STANDARD_SCOPES, label=f"link {number}")
            await machine.ask_mint(machine.device())
        await follower.hear(
            until=lambda picture: len(picture["pairingLinks"]) == 4 and len(picture["connectClients"]) == 4
        )
        assert in_order(follower.picture) == await picture_of(machine)


@pytest.mark.conformance("connect-environment", 160)
async def test_a_removal_leaves_the_other_collections_alone(machine: Machine) -> None:
    device = machine.device()
    await machine.ask_mint(device)
    link = await machine.environment.pairing.create(MACHINE, scopes=STANDARD_SCOPES, label="kept")
    await machine.bearer()
    async with talking(machine) as me:
        follower = await begin(me)
        before = follower.picture
        await machine.environment.approvals.revoke(MACHINE, device.thumbprint)
        await follower.hear(until=lambda picture: not picture["connectClients"])
        assert follower.picture == {**before, "connectClients": []}
        await machine.environment.pairing.revoke(MACHINE, link.id)
        await follower.hear(until=lambda picture: not picture["pairingLinks"])
        assert follower.picture == {**before, "connectClients": [], "pairingLinks": []}
        assert in_order(follower.picture) == await picture_of(machine)


@pytest.mark.conformance("connect-environment", 161)
async def test_decisions_and_modes_are_taken_in(machine: Machine) -> None:
    devices = [machine.device() for _ in range(3)]
    approvals = machine.environment.approvals
    async with talking(machine) as me:
        follower = await begin(me)
        for device in devices:
            await machine.ask_mint(device)
        await approvals.approve(MACHINE, devices[0].thumbprint)
        await approvals.reject(MACHINE, devices[1].thumbprint)
        await machine.admit(devices[0])
        await approvals.revoke(MACHINE, devices[2].thumbprint)
        await approvals.set_mode(MACHINE, "account")
        await follower.hear(until=lambda picture: picture["connectSecurityMode"] == "account")
        statuses = {
            item["clientProofKeyThumbprint"]: item["status"] for item in follower.picture["connectClients"]
        }
        assert statuses == {devices[0].thumbprint: "approved", devices[1].thumbprint: "rejected"}
        assert in_order(follower.picture) == await picture_of(machine)
