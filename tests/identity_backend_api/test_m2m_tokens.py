"""Machines' tokens: who makes them, who may check, list and revoke them, and when they end."""

from __future__ import annotations

import asyncio
from typing import Any

import jwt
import pytest

from tests.identity.conftest import ORIGIN, claims_of, header_of
from tests.identity_backend_api.conftest import Backend
from tests.identity_backend_api.machine import FAMILIES, HeldMachine, make_machine, token_refused

pytestmark = pytest.mark.anyio

HOUR_MS = 3_600_000


async def pair(backend: Backend) -> tuple[HeldMachine, HeldMachine]:
    """A machine that may call another one, and that one."""
    server = await make_machine(backend, "server")
    return await make_machine(backend, "caller", scoped_machines=[server.id]), server


@pytest.mark.conformance("clerk-backend-traps", 2)
@pytest.mark.conformance("clerk-backend", 127, 128)
@pytest.mark.parametrize("family", FAMILIES)
async def test_a_machine_makes_a_token_for_the_machines_it_may_call(backend: Backend, family: str) -> None:
    caller, server = await pair(backend)
    response = await backend.http.post(f"{family}/m2m_tokens", json={}, headers=caller.headers)
    assert response.status_code == 201
    made, now = response.json(), backend.world.clock.now
    assert made["token"].startswith("mt_")
    assert made["id"].startswith("mt_")
    assert int(made["id"].removeprefix("mt_"), 16) >= 0
    assert len(made["id"]) == 35
    assert made == {
        "object": "machine_to_machine_token",
        "id": made["id"],
        "subject": caller.id,
        "claims": None,
        "scopes": [server.id],
        "revoked": False,
        "revocation_reason": None,
        "expired": False,
        "expiration": now + HOUR_MS,
        "last_used_at": None,
        "created_at": now,
        "updated_at": now,
        "token": made["token"],
    }


@pytest.mark.conformance("clerk-backend", 129)
async def test_an_instances_key_makes_no_tokens(backend: Backend) -> None:
    await token_refused(backend, "POST", "/m2m_tokens", 401, "machine_secret_key_invalid", json={})
    headers = {"authorization": "Bearer ak_" + "x" * 43}
    await token_refused(
        backend, "POST", "/m2m_tokens", 401, "machine_secret_key_invalid", json={}, headers=headers
    )
    await token_refused(
        backend, "POST", "/m2m_tokens/verify", 401, "clerk_key_invalid", json={"token": "x"}, headers=headers
    )


@pytest.mark.conformance("clerk-backend-traps", 9)
@pytest.mark.conformance("clerk-backend", 130)
async def test_a_lifetime_may_be_written_as_a_float_or_left_to_the_machine(backend: Backend) -> None:
    machine = await make_machine(backend, default_token_ttl=7)
    now = backend.world.clock.now
    assert (await machine.mint(seconds_until_expiration=3600.0))["expiration"] == now + HOUR_MS
    assert (await machine.mint(seconds_until_expiration=0.5))["expiration"] == now + 500
    assert (await machine.mint(seconds_until_expiration=None))["expiration"] == now + 7000
    assert (await machine.mint())["expiration"] == now + 7000


@pytest.mark.conformance("clerk-backend", 131)
@pytest.mark.parametrize(
    "body",
    [
        {"seconds_until_expiration": 0},
        {"seconds_until_expiration": -5},
        {"seconds_until_expiration": 315_360_001},
        {"seconds_until_expiration": True},
        {"token_format": "paseto"},
        {"claims": "x"},
        {"claims": ["x"]},
        {"claims": {"x": "y" * 5000}},
        {"claims": {"x": eval("[" * 40 + "]" * 40)}},
        {"scopes": ["mch_x"]},
        {"min_remaining_ttl_seconds": -1},
    ],
)
async def test_what_no_token_can_be_is_a_bad_request(backend: Backend, body: dict[str, Any]) -> None:
    machine = await make_machine(backend)
    error = await token_refused(
        backend, "POST", "/m2m_tokens", 400, "bad_request", json=body, headers=machine.headers
    )
    assert error["message"] == "Bad Request"
    listed = await machine.ask("GET", f"/m2m_tokens?subject={machine.id}")
    assert listed == {"m2m_tokens": [], "total_count": 0}


async def test_a_bad_request_says_where_and_why(backend: Backend) -> None:
    machine = await make_machine(backend)
    error = await token_refused(
        backend, "POST", "/m2m_tokens", 400, "bad_request", json={"claims": []}, headers=machine.headers
    )
    assert error["long_message"] == "Invalid 'body.claims': expected `object | null`, got `array`."
    error = await token_refused(
        backend, "GET", f"/m2m_tokens?subject={machine.id}&limit=101", 400, "bad_request"
    )
    assert error["long_message"] == "Invalid 'query.limit': expected `int` <= 100."


async def test_a_body_that_is_no_json_is_a_bad_request(backend: Backend) -> None:
    machine = await make_machine(backend)
    headers = {**machine.headers, "content-type": "application/json"}
    await token_refused(
        backend, "POST", "/m2m_tokens", 400, "bad_request", content=b"{nonsense", headers=headers
    )


async def test_what_the_first_sdks_sent_is_taken(backend: Backend) -> None:
    machine = await make_machine(backend)
    await machine.mint(name="ci", created_by="user_x", creation_reason="deploys")


@pytest.mark.conformance("clerk-backend-traps", 12)
@pytest.mark.conformance("clerk-backend", 132)
async def test_claims_come_back_as_they_were_given(backend: Backend) -> None:
    caller, server = await pair(backend)
    claims = {"tenantId": "t_1", "deepThings": {"camelCase": [1, 2.5, None, "ö"], "snake_case": True}}
    made = await caller.mint(claims=claims)
    assert made["claims"] == claims
    assert (await server.verify(made["token"]))["claims"] == claims


@pytest.mark.conformance("clerk-backend", 133)
@pytest.mark.parametrize("name", ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "scopes"])
async def test_a_jwt_says_by_itself_what_it_is(backend: Backend, name: str) -> None:
    machine = await make_machine(backend)
    body = {"token_format": "jwt", "claims": {name: "x", "fine": 1}}
    await machine.refused("POST", "/m2m_tokens", 400, "machine_token_reserved_claim", json=body)
    await machine.mint(claims={name: "x"})  # an opaque token's claims stand apart


@pytest.mark.conformance("clerk-backend", 134)
async def test_a_token_may_be_a_jwt_that_anybody_verifies_by_the_key_set(backend: Backend) -> None:
    caller, server = await pair(backend)
    made = await caller.mint(token_format="jwt", claims={"role": "reader"}, seconds_until_expiration=60)
    keys = (await backend.http.get("/.well-known/jwks.json")).json()["keys"]
    key = jwt.PyJWK(next(key for key in keys if key["kid"] == header_of(made["token"])["kid"])).key
    options = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
    claims = jwt.decode(made["token"], key, algorithms=["RS256"], audience=server.id, options=options)
    now = backend.world.clock.now // 1000
    assert claims == {
        "iss": ORIGIN,
        "sub": caller.id,
        "aud": [server.id],
        "scopes": server.id,
        "iat": now,
        "nbf": now,
        "exp": now + 60,
        "jti": made["id"],
        "role": "reader",
    }
    header = header_of(made["token"])
    assert (header["alg"], header["typ"], header["cat"]) == ("RS256", "JWT", "cl_B7d4PD333AAA")
    assert (made["id"][:3], made["scopes"], made["expiration"]) == ("mt_", [server.id], (now + 60) * 1000)


@pytest.mark.conformance("clerk-backend", 149)
async def test_a_jwt_is_not_kept(backend: Backend) -> None:
    caller, server = await pair(backend)
    made = await caller.mint(token_format="jwt")
    assert (await caller.ask("GET", f"/m2m_tokens?subject={caller.id}"))["m2m_tokens"] == []
    await server.cannot_verify(made["token"])
    await caller.refused("POST", f"/m2m_tokens/{made['id']}/revoke", 404, "resource_not_found")


async def test_a_jwt_without_scopes_names_no_audience(backend: Backend) -> None:
    claims = claims_of((await (await make_machine(backend)).mint(token_format="jwt"))["token"])
    assert not {"aud", "scopes"} & claims.keys()


async def test_the_key_of_a_long_lived_jwt_stays_published_until_it_ends(backend: Backend) -> None:
    machine, keys = await make_machine(backend), backend.world.identity.signing_keys
    year = 365 * 86_400
    made = await machine.mint(token_format="jwt", seconds_until_expiration=year)
    kid = header_of(made["token"])["kid"]
    await keys.rotate(force=True)
    backend.world.clock.advance((year - 60) * 1000)
    await keys.forget_gone()
    assert kid in [key.kid for key in keys.key_set.keys]
    backend.world.clock.advance(3 * 86_400_000)
    await keys.forget_gone()
    assert kid not in [key.kid for key in keys.key_set.keys]


@pytest.mark.conformance("clerk-backend", 135)
async def test_a_living_token_that_says_the_same_is_given_again(backend: Backend) -> None:
    caller, server = await pair(backend)
    wish = {"min_remaining_ttl_seconds": 240, "claims": {"a": 1, "b": [2]}, "seconds_until_expiration": 600}
    first = await caller.mint(**wish)
    backend.world.clock.advance(359_000)
    again = await caller.mint(**{**wish, "claims": {"b": [2], "a": 1}})
    assert (again["id"], again["token"], again["expiration"]) == (
        first["id"],
        first["token"],
        first["expiration"],
    )
    assert (await server.verify(again["token"]))["id"] == first["id"]
    backend.world.clock.advance(2000)
    assert (await caller.mint(**wish))["id"] != first["id"]  # 239 seconds are left


async def test_a_token_that_would_mean_something_else_is_not_given_again(backend: Backend) -> None:
    caller, _ = await pair(backend)
    first = await caller.mint(min_remaining_ttl_seconds=0)
    assert (await caller.mint())["id"] != first["id"]  # not asked for
    assert (await (await make_machine(backend)).mint(min_remaining_ttl_seconds=0))["id"] != first["id"]
    other = await make_machine(backend, "other")
    await backend.ask("POST", f"/machines/{caller.id}/scopes", json={"to_machine_id": other.id})
    widened = await caller.mint(min_remaining_ttl_seconds=0)
    assert set(widened["scopes"]) > set(first["scopes"])
    await caller.ask("POST", f"/m2m_tokens/{widened['id']}/revoke")
    assert (await caller.mint(min_remaining_ttl_seconds=0))["id"] != widened["id"]
    jwts = [await caller.mint(min_remaining_ttl_seconds=0, token_format="jwt") for _ in range(2)]
    assert jwts[0]["id"] != jwts[1]["id"]


async def test_asking_for_one_token_many_times_at_once_gives_one(backend: Backend) -> None:
    caller, _ = await pair(backend)
    made = await asyncio.gather(*(caller.mint(min_remaining_ttl_seconds=60) for _ in range(8)))
    assert len({each["token"] for each in made}) == 1


@pytest.mark.conformance("clerk-backend", 136)
async def test_more_remaining_time_than_a_token_has_is_a_bad_request(backend: Backend) -> None:
    machine = await make_machine(backend, default_token_ttl=300)
    await machine.refused("POST", "/m2m_tokens", 400, "bad_request", json={"min_remaining_ttl_seconds": 300})
    await machine.mint(min_remaining_ttl_seconds=299)
    await machine.mint(min_remaining_ttl_seconds=300, token_format="jwt")  # means nothing there


@pytest.mark.conformance("clerk-backend", 137)
async def test_other_claims_make_another_token(backend: Backend) -> None:
    machine = await make_machine(backend)
    claims: list[dict[str, Any] | None] = [None, {}, {"a": 1}, {"a": 2}, {"a": "1"}]
    ids = {(await machine.mint(claims=each, min_remaining_ttl_seconds=60))["id"] for each in claims}
    assert len(ids) == len(claims)


@pytest.mark.conformance("clerk-backend", 138)
@pytest.mark.parametrize("family", FAMILIES)
async def test_a_machine_in_the_scope_verifies_the_token(backend: Backend, family: str) -> None:
    caller, server = await pair(backend)
    made = await caller.mint()
    body = {"token": made["token"]}
    response = await backend.http.post(f"{family}/m2m_tokens/verify", json=body, headers=server.headers)
    assert response.status_code == 200
    assert (response.json()["subject"], response.json()["scopes"]) == (caller.id, [server.id])
    assert "token" not in response.json()


@pytest.mark.conformance("clerk-backend", 139)
async def test_to_a_machine_outside_the_scope_a_token_is_none(backend: Backend) -> None:
    caller, server = await pair(backend)
    stranger = await make_machine(backend, "stranger", scoped_machines=[server.id])
    made = await caller.mint()
    refusals = [
        await token_refused(
            backend,
            "POST",
            "/m2m_tokens/verify",
            404,
            "resource_not_found",
            headers=machine.headers,
            json={"token": token},
        )
        for machine, token in (
            (stranger, made["token"]),
            (caller, made["token"]),  # its own, but not meant for it
            (server, "mt_" + "x" * 43),
            (server, "garbage"),
            (server, made["id"]),
        )
    ]
    assert all(refusal == refusals[0] for refusal in refusals)
    await server.verify(made["token"])


@pytest.mark.conformance("clerk-backend", 140)
async def test_the_instances_key_verifies_every_token(backend: Backend) -> None:
    made = await (await make_machine(backend)).mint()
    verified = await backend.ask("POST", "/m2m_tokens/verify", json={"token": made["token"]})
    assert verified["id"] == made["id"]


@pytest.mark.conformance("clerk-backend", 141)
async def test_a_scope_that_changed_later_leaves_tokens_as_they_are(backend: Backend) -> None:
    caller, server = await pair(backend)
    late = await make_machine(backend, "late")
    made = await caller.mint()
    await backend.ask("DELETE", f"/machines/{caller.id}/scopes/{server.id}")
    await backend.ask("POST", f"/machines/{caller.id}/scopes", json={"to_machine_id": late.id})
    assert (await server.verify(made["token"]))["scopes"] == [server.id]
    await late.cannot_verify(made["token"])


@pytest.mark.conformance("clerk-backend-traps", 4)
@pytest.mark.conformance("clerk-backend", 142, 147)
async def test_a_revoked_token_is_none_and_the_reason_is_kept(backend: Backend) -> None:
    caller, server = await pair(backend)
    made = await caller.mint()
    await server.verify(made["token"])
    path = f"/m2m_tokens/{made['id']}/revoke"
    revoked = await caller.ask("POST", path, json={"revocation_reason": "leaked in a log"})
    assert (revoked["revoked"], revoked["revocation_reason"]) == (True, "leaked in a log")
    await server.cannot_verify(made["token"])
    await token_refused(
        backend, "POST", "/m2m_tokens/verify", 404, "resource_not_found", json={"token": made["token"]}
    )
    again = await backend.ask("POST", path, json={"revocation_reason": None})
    assert again["revocation_reason"] == "leaked in a log"


@pytest.mark.conformance("clerk-backend-traps", 4)
@pytest.mark.conformance("clerk-backend", 143)
async def test_an_expired_token_is_none(backend: Backend) -> None:
    caller, server = await pair(backend)
    made = await caller.mint(seconds_until_expiration=10)
    backend.world.clock.advance(9_999)
    await server.verify(made["token"])
    backend.world.clock.advance(1)
    await server.cannot_verify(made["token"])


@pytest.mark.conformance("clerk-backend", 144)
async def test_the_tokens_older_name_is_understood(backend: Backend) -> None:
    made = await (await make_machine(backend)).mint()
    del backend.http.headers["clerk-api-version"]
    body = {"secret": made["token"]}
    assert (await backend.ask("POST", "/m2m_tokens/verify", json=body))["id"] == made["id"]
    await token_refused(backend, "POST", "/m2m_tokens/verify", 400, "bad_request", json={})


async def test_the_use_of_a_token_is_noted_once_a_minute(backend: Backend) -> None:
    caller, server = await pair(backend)
    made, clock = await caller.mint(), backend.world.clock
    clock.advance(5000)
    first = clock.now
    assert (await server.verify(made["token"]))["last_used_at"] == first
    clock.advance(59_999)
    used = await server.verify(made["token"])
    assert (used["last_used_at"], used["updated_at"]) == (first, first)
    clock.advance(1)
    assert (await server.verify(made["token"]))["last_used_at"] == clock.now
    (listed,) = (await caller.ask("GET", f"/m2m_tokens?subject={caller.id}"))["m2m_tokens"]
    assert listed["last_used_at"] == clock.now


@pytest.mark.conformance("clerk-backend", 145)
async def test_a_machine_lists_its_own_tokens_only(backend: Backend) -> None:
    caller, server = await pair(backend)
    await caller.mint()
    path = f"/m2m_tokens?subject={caller.id}"
    await server.refused("GET", path, 403, "authorization_invalid")
    assert (await caller.ask("GET", path))["total_count"] == 1
    assert (await backend.ask("GET", path))["total_count"] == 1
    await token_refused(backend, "GET", "/m2m_tokens", 400, "bad_request")
    await token_refused(backend, "GET", "/m2m_tokens?subject=mch_none", 404, "resource_not_found")


@pytest.mark.conformance("clerk-backend", 15, 146)
async def test_a_list_leaves_out_what_ended_and_every_value(backend: Backend) -> None:
    machine = await make_machine(backend)
    short = await machine.mint(seconds_until_expiration=1)
    backend.world.clock.advance(1000)
    revoked = await machine.mint()
    await machine.ask("POST", f"/m2m_tokens/{revoked['id']}/revoke")
    old = await machine.mint()
    backend.world.clock.advance(1000)
    new = await machine.mint()

    async def listed(query: str = "") -> list[str]:
        answer = await machine.ask("GET", f"/m2m_tokens?subject={machine.id}{query}")
        assert all("token" not in each for each in answer["m2m_tokens"])
        assert answer["total_count"] >= len(answer["m2m_tokens"])
        return [each["id"] for each in answer["m2m_tokens"]]

    assert await listed() == [new["id"], old["id"]]
    assert set(await listed("&revoked=true")) == {new["id"], old["id"], revoked["id"]}
    assert set(await listed("&expired=true")) == {new["id"], old["id"], short["id"]}
    assert len(await listed("&expired=true&revoked=true")) == 4
    assert await listed("&limit=1.0&offset=1.0") == [old["id"]]
    for query in ("limit=0", "limit=101", "offset=-1", "revoked=perhaps"):
        await machine.refused("GET", f"/m2m_tokens?subject={machine.id}&{query}", 400, "bad_request")


@pytest.mark.conformance("clerk-backend", 148)
async def test_another_machines_token_cannot_be_revoked(backend: Backend) -> None:
    caller, server = await pair(backend)
    made = await caller.mint()
    await server.refused("POST", f"/m2m_tokens/{made['id']}/revoke", 404, "resource_not_found")
    await server.verify(made["token"])
    await backend.ask("POST", f"/m2m_tokens/{made['id']}/revoke")  # the instance may


@pytest.mark.conformance("clerk-backend", 150)
async def test_a_deleted_machine_makes_nothing_and_nothing_of_it_verifies(backend: Backend) -> None:
    caller, server = await pair(backend)
    made = await caller.mint()
    await server.verify(made["token"])
    await backend.ask("DELETE", f"/machines/{caller.id}")
    await caller.refused("POST", "/m2m_tokens", 401, "machine_secret_key_invalid", json={})
    await server.cannot_verify(made["token"])


async def test_no_value_of_a_token_lies_in_the_database(backend: Backend) -> None:
    machine = await make_machine(backend)
    made = await machine.mint(claims={"visible": "yes"})
    rows = await backend.world.database.read(lambda tx: tx.fetch_all("SELECT * FROM identity_m2m_tokens"))
    assert "visible" in repr(rows)
    assert made["token"] not in repr(rows)
    assert made["token"].removeprefix("mt_") not in repr(rows)


async def test_tokens_that_ended_a_month_ago_are_forgotten(backend: Backend) -> None:
    machine = await make_machine(backend)
    await machine.mint(seconds_until_expiration=1)
    await machine.mint(seconds_until_expiration=86_400 * 40)
    backend.world.clock.advance(31 * 86_400_000)
    await backend.world.identity.forget_expired()
    listed = await machine.ask("GET", f"/m2m_tokens?subject={machine.id}&expired=true")
    assert listed["total_count"] == 1
