"""The life of a signing key, as verifiers see it."""

from __future__ import annotations

import asyncio

import pytest

from doorward.identity import Identity, create_identity
from doorward.identity.signing_keys.store import everything
from tests.identity.conftest import SETTINGS, World, claims_of, header_of, quick_hasher

pytestmark = pytest.mark.anyio


async def published(world: World) -> list[str]:
    return [key["kid"] for key in (await world.browser().get("/.well-known/jwks.json"))["keys"]]


@pytest.mark.conformance("data-access", 22)
@pytest.mark.conformance("clerk-frontend", 48)
async def test_the_key_set_holds_rsa_2048_keys_in_clerks_shape_and_may_be_cached(world: World):
    response = await world.browser().http.get("/.well-known/jwks.json")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "public, max-age=300"
    assert response.headers["access-control-allow-origin"] == "*"
    for key in response.json()["keys"]:
        assert list(key) == ["use", "kty", "kid", "alg", "n", "e"]
        assert (key["use"], key["kty"], key["alg"], key["e"]) == ("sig", "RSA", "RS256", "AQAB")
        assert key["kid"].startswith("ins_")
        assert len(key["n"]) == 342


@pytest.mark.conformance("data-access", 23)
async def test_a_reader_that_keeps_no_copy_may_ask_hundreds_of_times(world: World):
    http = world.browser().http
    answers = await asyncio.gather(*(http.get("/.well-known/jwks.json") for _ in range(500)))
    assert {answer.status_code for answer in answers} == {200}


@pytest.mark.conformance("data-access", 24)
@pytest.mark.conformance("clerk-frontend", 49)
async def test_a_key_is_published_before_it_signs_and_after_it_stopped(world: World):
    browser = await world.signed_up()
    keys = world.identity.signing_keys
    (first,) = await published(world)
    await keys.prepare_next()
    waiting = (await published(world))[1]
    with pytest.raises(ValueError, match="verifiers cache"):
        await keys.rotate()
    old = (await browser.session())["last_active_token"]["jwt"]
    world.clock.advance(600_000)
    assert await keys.rotate() == waiting
    new = (await browser.session())["last_active_token"]["jwt"]
    assert (header_of(old)["kid"], header_of(new)["kid"]) == (first, waiting)
    now = await published(world)
    assert {first, waiting} < set(now)
    assert len(now) == 3
    world.clock.advance(24 * 3_600_000)
    await keys.forget_gone()
    assert first in await published(world)
    world.clock.advance(3_600_000 + 300_000)
    await keys.forget_gone()
    assert first not in await published(world)


async def test_a_retired_keys_private_half_is_erased_and_the_living_ones_are_sealed(world: World):
    await world.identity.signing_keys.rotate(force=True)
    records = await world.database.read(everything)
    by_state = {record.state: record for record in records}
    assert by_state["retired"].sealed_private_key is None
    for state in ("active", "next"):
        sealed = by_state[state].sealed_private_key
        assert sealed is not None
        assert b"PRIVATE KEY" not in sealed


async def until_it_signs_with(node: Identity, kid: str) -> None:
    while node.signing_keys.key_set.keys[0].kid != kid:  # noqa: ASYNC110  (it tells nobody that it followed)
        await asyncio.sleep(0.01)


async def test_a_restart_finds_the_same_key_and_the_same_cookie_works(world: World):
    browser = await world.signed_up()
    again = await create_identity(
        SETTINGS,
        world.database,
        sealer=world.sealer,
        mailer=world.inbox,
        clock=world.clock,
        hasher=quick_hasher(),
    )
    assert again.signing_keys.key_set == world.identity.signing_keys.key_set
    old = world.identity
    world.identity = again
    second = world.browser()
    second.http.cookies.update(browser.http.cookies)
    assert (await second.session())["user"]["id"] == await browser.user_id()
    world.identity = old
    await again.stop()


@pytest.mark.parametrize("when", ["while it starts", "while it runs"])
async def test_another_node_learns_of_a_rotation(world: World, when: str):
    browser = await world.signed_up()
    other = await create_identity(
        SETTINGS,
        world.database,
        sealer=world.sealer,
        mailer=world.inbox,
        clock=world.clock,
        hasher=quick_hasher(),
    )
    kid = await world.identity.signing_keys.rotate(force=True)
    async with other.running(), asyncio.timeout(60):
        if when == "while it runs":
            await until_it_signs_with(other, kid)
            kid = await world.identity.signing_keys.rotate(force=True)
        await until_it_signs_with(other, kid)
        session = (await other.sessions.of_client((await browser.get("/v1/client"))["response"]["id"]))[0]
        token = other.sessions.session_token(session, None)
        assert header_of(token)["kid"] == kid
        assert claims_of(token)["sid"] == session.session.id
