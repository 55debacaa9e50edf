"""`Doorward-Assertion`: the service learns who visits, and can check it."""

from __future__ import annotations

import pytest

from doorward.environment.gate.assertion import REUSE_FOR, AssertionMint
from doorward.jose import generate_key
from doorward.verify import Assertion, JwksCache, verify_assertion
from tests.conftest import ClockForTests
from tests.environment_gate.machine import ACCOUNT, Machine, received

pytestmark = pytest.mark.anyio


async def test_the_service_checks_the_assertion_in_one_call_with_the_key_of_the_loopback_address(
    machine: Machine,
) -> None:
    key, issued = await machine.session()
    sent = dict(received(await machine.ask("/", headers=machine.program(key, issued.token))))
    cache = JwksCache(f"http://127.0.0.1:{machine.environment.port}/.well-known/doorward/jwks.json")
    visitor = verify_assertion(
        sent["doorward-assertion"],
        jwks=await cache.keys(),
        audience=machine.origin,
        now=machine.clock() // 1000,
    )
    assert visitor == Assertion(ACCOUNT, key.public.thumbprint, machine.environment.environment_id)


async def test_an_assertion_serves_for_half_a_minute_and_never_for_another_session_or_origin() -> None:
    mint = AssertionMint(environment_id="env-1")
    key = generate_key("EdDSA")

    def of(session: str, origin: str, now: int) -> str:
        return mint.assertion(key, session_id=session, origin=origin, account="a", thumbprint="t", now=now)

    now = 1_800_000_000_000
    first = of("s1", "https://a.test", now)
    assert of("s1", "https://a.test", now + REUSE_FOR - 1) == first
    assert of("s1", "https://a.test", now + REUSE_FOR) != first
    assert of("s2", "https://a.test", now + 1000) != first
    assert of("s1", "https://b.test", now) != first


async def test_what_is_kept_is_bounded(clock: ClockForTests) -> None:
    mint = AssertionMint(environment_id="env-1")
    key = generate_key("EdDSA")
    for number in range(1100):
        mint.assertion(key, session_id=str(number), origin="o", account="a", thumbprint="t", now=clock())
    assert len(mint._kept) <= 1024
