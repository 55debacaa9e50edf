"""A proof's time, to the second, at every door of a machine that takes one; and a proof taken once, whichever door took it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from doorward.jose import PrivateKey, create_dpop_proof
from tests.conftest import ClockForTests
from tests.environment_gate.machine import Machine, running_machine

pytestmark = pytest.mark.anyio

EDGES = [(301, False), (300, True), (0, True), (-5, True), (-6, False)]


@pytest.fixture
async def machine(anyio_backend: str, tmp_path: Path, clock: ClockForTests) -> AsyncIterator[Machine]:
    async with running_machine(tmp_path / "home", clock) as running:
        yield running


def proof(machine: Machine, key: PrivateKey, token: str, url: str, *, age: int) -> str:
    return create_dpop_proof(
        key, method="GET", url=url, now=machine.clock() // 1000 - age, access_token=token
    )


async def at_the_gate(machine: Machine, token: str, shown: str) -> bool:
    answer = await machine.ask(
        "/", headers={"doorward-authorization": f"DPoP {token}", "doorward-dpop": shown}
    )
    assert answer.status_code in (200, 401), answer.text
    return answer.status_code == 200


async def at_the_wire(machine: Machine, token: str, shown: str) -> bool:
    host = httpx.URL(machine.api_origin).netloc.decode()
    answer = await machine.ask(
        "/api/auth/session", host=host, headers={"authorization": f"DPoP {token}", "dpop": shown}
    )
    return bool(answer.json()["authenticated"])


@pytest.mark.parametrize(("age", "is_taken"), EDGES)
async def test_a_proof_is_taken_300_seconds_back_and_5_ahead(machine: Machine, age: int, is_taken: bool):
    key, issued = await machine.session()
    at_gate = proof(machine, key, issued.token, f"{machine.origin}/", age=age)
    assert await at_the_gate(machine, issued.token, at_gate) is is_taken
    at_wire = proof(machine, key, issued.token, f"{machine.api_origin}/api/auth/session", age=age)
    assert await at_the_wire(machine, issued.token, at_wire) is is_taken


async def test_a_proof_taken_at_one_door_is_taken_at_none_again_while_its_time_lasts(
    machine: Machine, clock: ClockForTests
):
    key, issued = await machine.session()
    shown = proof(machine, key, issued.token, f"{machine.origin}/", age=-5)
    assert await at_the_gate(machine, issued.token, shown) is True
    for seconds in (0, 1, 59, 245):  # 305 s later it is too old besides
        clock.advance(seconds * 1000)
        assert await at_the_gate(machine, issued.token, shown) is False
        assert await at_the_wire(machine, issued.token, shown) is False
