"""Whose token speaks for an account, and whose does not."""

from typing import Any

import httpx
import pytest

from doorward.jose import generate_key, sign_jwt
from tests.relay.conftest import OpenWorld
from tests.relay.world import World

pytestmark = pytest.mark.anyio


async def listing(world: World, authorization: str | None) -> httpx.Response:
    headers = {} if authorization is None else {"authorization": authorization}
    return await world.http.get("/v1/environments", headers=headers)


@pytest.mark.conformance("connect-relay", 21)
async def test_a_session_with_our_audience_speaks_for_its_subject(wire: World) -> None:
    await wire.link("user_alice")
    mine = await listing(wire, f"Bearer {wire.accounts.session('user_alice')}")
    other = await listing(wire, f"Bearer {wire.accounts.session('user_bob')}")
    assert [entry["environmentId"] for entry in mine.json()["environments"]] == ["env-1"]
    assert other.json() == {"environments": []}


@pytest.mark.conformance("connect-relay", 22)
async def test_an_access_token_of_a_listed_client_speaks_for_its_subject(wire: World) -> None:
    await wire.link("user_alice")
    answer = await listing(wire, f"Bearer {wire.accounts.access_token('user_alice')}")
    assert [entry["environmentId"] for entry in answer.json()["environments"]] == ["env-1"]


@pytest.mark.conformance("connect-relay", 23, 25)
@pytest.mark.parametrize(
    "claims",
    [
        {"aud": None},
        {"aud": "another-audience"},
        {"aud": ["one", "two"]},
        {"iss": "http://other.localhost"},
        {"exp": 1_800_000_000 - 6},
        {"nbf": 1_800_000_000 + 60},
        {"sub": None},
        {"sub": ""},
        {"sub": "  "},
    ],
)
async def test_a_session_that_does_not_hold_is_an_invalid_bearer(wire: World, claims: dict[str, Any]) -> None:
    answer = await listing(
        wire, f"Bearer {wire.accounts.session(**{'user_id': 'user_alice', **_sub(claims)})}"
    )
    assert answer.status_code == 401
    assert answer.json()["reason"] == "invalid_bearer"
    assert "www-authenticate" not in answer.headers


def _sub(claims: dict[str, Any]) -> dict[str, Any]:
    return {"user_id" if name == "sub" else name: value for name, value in claims.items()}


@pytest.mark.conformance("connect-relay", 24)
async def test_an_audience_list_that_holds_ours_is_accepted(wire: World) -> None:
    token = wire.accounts.session(aud=["another", "t3-code-relay"])
    assert (await listing(wire, f"Bearer {token}")).status_code == 200


@pytest.mark.conformance("connect-relay", 25)
@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer x", "Bearer a.b.c"])
async def test_no_credential_and_a_nonsensical_one_are_the_same(
    wire: World, authorization: str | None
) -> None:
    answer = await listing(wire, authorization)
    assert answer.status_code == 401
    assert answer.json()["reason"] == "invalid_bearer"
    assert "www-authenticate" not in answer.headers


@pytest.mark.parametrize("scheme", ["bearer ", "Bearer  ", "BEARER\t", "xxxxxx "])
async def test_the_scheme_of_a_bearer_route_is_not_read(wire: World, scheme: str) -> None:
    assert (await listing(wire, scheme + wire.accounts.session())).status_code == 200


@pytest.mark.parametrize(
    "token",
    [
        {"client_id": "someone-elses-client"},
        {"client_id": "doorward-gate"},
        {"typ": "JWT"},
        {"aud": "https://another-service.example"},
        {"aud": []},
        {"cnf": {"jkt": "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"}},
        {"iss": "http://other.localhost"},
        {"sub": " "},
    ],
)
async def test_an_access_token_meant_for_something_else_is_refused(
    wire: World, token: dict[str, Any]
) -> None:
    changes = _sub(token)
    assert (await listing(wire, f"Bearer {wire.accounts.access_token(**changes)}")).status_code == 401


async def test_an_access_token_with_our_audience_is_accepted(wire: World) -> None:
    token = wire.accounts.access_token(aud=[wire.origin, "https://other.example"])
    assert (await listing(wire, f"Bearer {token}")).status_code == 200


async def test_an_empty_list_of_clients_accepts_no_access_token(open_wire: OpenWorld) -> None:
    world = await open_wire(oauth_client_ids=())
    assert (await listing(world, f"Bearer {world.accounts.access_token()}")).status_code == 401
    assert (await listing(world, f"Bearer {world.accounts.session()}")).status_code == 200


async def test_a_session_signed_by_a_stranger_is_refused(wire: World) -> None:
    forged = wire.accounts.session(key=generate_key("RS256", kid="ins_test"))
    assert (await listing(wire, f"Bearer {forged}")).status_code == 401
    unsigned = forged.rsplit(".", 1)[0] + "."
    assert (await listing(wire, f"Bearer {unsigned}")).status_code == 401


async def test_a_machine_token_of_the_same_keys_is_no_session(wire: World) -> None:
    now = wire.clock() // 1000
    claims = {
        "iss": wire.accounts.origin,
        "sub": "mch_1",
        "sid": "s",
        "aud": "t3-code-relay",
        "exp": now + 60,
    }
    token = sign_jwt(claims, wire.accounts.key, typ="JWT", header={"cat": "m2m"})
    assert (await listing(wire, f"Bearer {token}")).status_code == 401


async def test_an_unreachable_accounts_server_is_our_failure_not_the_tokens(open_wire: OpenWorld) -> None:
    world = await open_wire(jwks_url="http://nobody.localhost:9/jwks.json")
    answer = await listing(world, f"Bearer {world.accounts.session()}")
    assert answer.status_code == 500
    assert answer.json()["reason"] == "upstream_unavailable"
