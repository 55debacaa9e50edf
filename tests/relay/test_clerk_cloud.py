"""Accounts at Clerk's cloud: its Backend API is asked about opaque OAuth tokens, by a fake of that one endpoint."""

import contextlib
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from doorward.relay import ClerkCloud
from tests.relay.conftest import OpenWorld
from tests.relay.servers import listen, serve
from tests.relay.world import World

pytestmark = pytest.mark.anyio

SECRET = "sk_live_not-for-anybody-elses-eyes"
CLIENT = "oauth-client-of-the-cli"


class BackendApi:
    """`POST /v1/oauth_applications/access_tokens/verify`. `tokens` maps a token to the members of its answer."""

    def __init__(self) -> None:
        self.tokens: dict[str, dict[str, Any]] = {}
        self.status = 200
        self.body: bytes | None = None
        self.received: list[tuple[str, str, str]] = []
        self.secret = SECRET

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        sent = json.loads((await receive())["body"])
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.received.append((scope["method"], scope["path"], headers["content-type"]))
        status, answer = self.status, self.tokens.get(sent["access_token"])
        if headers["authorization"] != f"Bearer {self.secret}":
            status = 401
        elif answer is None and status == 200:
            status = 404
        body = self.body if self.body is not None else json.dumps(answer or {"errors": []}).encode()
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": body})

    def knows(self, token: str, **changes: Any) -> str:
        self.tokens[token] = {
            "object": "clerk_idp_oauth_access_token",
            "id": "oat_" + "0" * 32,
            "client_id": CLIENT,
            "subject": "user_alice",
            "scopes": ["profile", "email"],
            "revoked": False,
            "revocation_reason": None,
            "expired": False,
            "expiration": 1_800_000_600_000,
            "created_at": 1_790_000_000_000,
            "updated_at": 1_790_000_000_000,
            **changes,
        }
        return token


@pytest.fixture
async def cloud(open_wire: OpenWorld) -> AsyncIterator[tuple[World, BackendApi]]:
    api = BackendApi()
    with contextlib.closing(listen()) as listener:
        async with serve((api.app, listener)):
            url = f"http://api.localhost:{listener.getsockname()[1]}"
            world = await open_wire(
                clerk=ClerkCloud(secret_key=SECRET, api_url=url), oauth_client_ids=(CLIENT,)
            )
            await world.link("user_alice")
            yield world, api


async def listing(world: World, token: str) -> tuple[int, Any]:
    answer = await world.http.get("/v1/environments", headers={"authorization": f"Bearer {token}"})
    return answer.status_code, answer.json()


@pytest.mark.conformance("connect-relay", 22)
async def test_an_opaque_token_speaks_for_whom_the_backend_api_names(cloud: tuple[World, BackendApi]) -> None:
    world, api = cloud
    status, answer = await listing(world, api.knows("oat_good"))
    assert (status, len(answer["environments"])) == (200, 1)
    assert api.received == [("POST", "/v1/oauth_applications/access_tokens/verify", "application/json")]


@pytest.mark.conformance("connect-relay", 21)
async def test_a_session_of_the_cloud_needs_no_question(cloud: tuple[World, BackendApi]) -> None:
    world, api = cloud
    assert (await listing(world, world.accounts.session()))[0] == 200
    assert (await listing(world, world.accounts.access_token(client_id=CLIENT)))[0] == 200
    assert api.received == []


@pytest.mark.parametrize(
    "changes",
    [
        {"revoked": True},
        {"expired": True},
        {"active": False},
        {"subject": ""},
        {"subject": "   "},
        {"client_id": "another-application"},
    ],
)
@pytest.mark.conformance("connect-relay", 25)
async def test_a_token_that_is_over_or_not_for_us_is_an_invalid_bearer(
    cloud: tuple[World, BackendApi], changes: dict[str, Any]
) -> None:
    world, api = cloud
    status, answer = await listing(world, api.knows("oat_bad", **changes))
    assert (status, answer["reason"]) == (401, "invalid_bearer")


@pytest.mark.parametrize("status", [400, 404, 422])
async def test_a_token_the_api_refuses_is_an_invalid_bearer(
    cloud: tuple[World, BackendApi], status: int
) -> None:
    world, api = cloud
    api.status = status
    assert (await listing(world, "oat_unknown"))[1]["reason"] == "invalid_bearer"


async def test_an_answer_that_names_nobody_opens_nothing(cloud: tuple[World, BackendApi]) -> None:
    world, api = cloud
    api.tokens["oat_inactive"] = {"active": False}
    assert (await listing(world, "oat_inactive"))[0] == 401


@pytest.mark.parametrize(
    "broken", [{"status": 500}, {"status": 429}, {"secret": "another"}, {"body": b"<html>"}]
)
async def test_an_api_that_does_not_tell_is_our_failure_and_no_reason_to_sign_in_again(
    cloud: tuple[World, BackendApi], broken: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    world, api = cloud
    token = api.knows("oat_good-but-untold")
    for name, value in broken.items():
        setattr(api, name, value)
    with caplog.at_level(logging.DEBUG):
        status, answer = await listing(world, token)
    assert (status, answer["reason"]) == (500, "upstream_unavailable")
    assert SECRET not in caplog.text
    assert token not in caplog.text


async def test_without_the_cloud_an_opaque_token_is_nothing(wire: World) -> None:
    assert (await listing(wire, "oat_good"))[0] == 401


def test_the_secret_key_is_not_shown() -> None:
    cloud = ClerkCloud(secret_key=SECRET)
    assert SECRET not in f"{cloud!r} {cloud}"
