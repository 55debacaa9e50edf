"""How often one account may ask in a minute, at every door that signs, stores or sends something."""

from collections.abc import Awaitable, Callable

import httpx
import pytest

from doorward.jose import generate_key
from doorward.relay import RateLimits
from tests.relay.conftest import OpenWorld
from tests.relay.notified import ALL_ON, IOS
from tests.relay.world import ALL, World

pytestmark = pytest.mark.anyio

Door = Callable[[World], Awaitable[httpx.Response]]
STATUS = "/v1/environments/env-1/status"


async def challenge(world: World) -> httpx.Response:
    path = "/v1/client/environment-link-challenges"
    return await world.http.post(path, json=ALL, headers=world.bearer())


async def link(world: World) -> httpx.Response:
    return await world.post_link("a proof that nobody looks at")


async def release(world: World) -> httpx.Response:
    return await world.release()


async def recover(world: World) -> httpx.Response:
    return await world.recover({"environmentCredential": world.saved_credential})


async def register_tunnel(world: World) -> httpx.Response:
    return await world.recover({"environmentCredential": world.saved_credential}, tunnel_id="t")


async def connect(world: World) -> httpx.Response:
    return await world.connect(world.saved_token)


async def status(world: World) -> httpx.Response:
    return await world.status(world.saved_token)


def mobile(method: str, path: str, body: object = None) -> Door:
    async def door(world: World) -> httpx.Response:
        token = await world.token(client_id="t3-mobile", scope="mobile:registration")
        proof = world.proof(method, path, token=token)
        headers = {"authorization": f"DPoP {token}", "dpop": proof}
        return await world.http.request(method, path, json=body, headers=headers)

    return door


PHONE = {"deviceId": "d", "label": "l", **IOS, "preferences": ALL_ON}
DOORS: dict[str, tuple[Door, ...]] = {
    "link_challenges": (challenge,),
    "links": (link, release, recover, register_tunnel),
    "connects": (connect, status),
    "registrations": (
        mobile("POST", "/v1/mobile/devices", PHONE),
        mobile("POST", "/v1/mobile/live-activities", {"deviceId": "d", "activityPushToken": "t"}),
        mobile("DELETE", "/v1/mobile/devices/d"),
        mobile("GET", "/v1/mobile/agent-activity"),
    ),
}


@pytest.mark.parametrize("bucket", DOORS)
async def test_every_door_counts_in_its_bucket(open_wire: OpenWorld, bucket: str) -> None:
    """One request is allowed: whichever door it came through, the others are shut for the rest of the minute."""
    world = await open_wire()
    world.saved_credential = (await world.link())["environmentCredential"]
    await world.restart(rate_limits=RateLimits(**{bucket: 1}))
    for first in DOORS[bucket]:
        world.clock.advance(60_000)
        world.saved_token = await world.token()
        world.environment.received.clear()
        assert (await first(world)).status_code != 429
        asked = len(world.environment.received)
        for door in DOORS[bucket]:
            refused = await door(world)
            assert (refused.status_code, refused.json()["_tag"]) == (429, "RelayRateLimitedError")
            assert refused.headers["retry-after"] == "60"
        assert len(world.environment.received) == asked


async def test_one_request_too_many_does_not_use_its_proof_up(open_wire: OpenWorld) -> None:
    world = await open_wire(rate_limits=RateLimits(connects=1))
    await world.link()
    token = await world.token()
    strangers = world.dpop_headers(token, STATUS, key=generate_key("ES256"))
    assert (await world.http.post(STATUS, headers=strangers)).status_code == 401  # and yet it counts
    mine = world.dpop_headers(token, STATUS)
    assert (await world.http.post(STATUS, headers=mine)).status_code == 429
    world.clock.advance(60_000)
    assert (await world.http.post(STATUS, headers=mine)).json()["status"] == "online"
    assert (await world.http.post(STATUS, headers=mine)).status_code == 429
    world.clock.advance(60_000)
    assert (await world.http.post(STATUS, headers=mine)).json()["dpopFailureReason"] == "replay"
