"""The relay asks whether this machine is there (checklist 95-104)."""

import asyncio

import pytest

from doorward.environment.keys import names
from doorward.t3_connect import iso
from tests.environment.conftest import Machine, MakeMachine

pytestmark = pytest.mark.anyio

PATH = "/api/t3-connect/health"


async def ask(machine: Machine, **claims: object) -> tuple[int, dict[str, object]]:
    answer = await machine.public.post(PATH, json={"proof": machine.relay.health(machine.id, **claims)})
    return answer.status_code, answer.json()


@pytest.mark.conformance("connect-environment", 95)
async def test_a_signed_question_gets_a_signed_answer(machine: Machine) -> None:
    proof = machine.relay.health(machine.id, nonce="nonce-9")
    answer = await machine.public.post(PATH, json={"proof": proof})
    assert answer.status_code == 200
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    body = answer.json()
    claims = machine.claims(body["proof"], "t3-env-health+jwt")
    assert claims["requestNonce"] == "nonce-9"
    assert set(body) == {"descriptor", "checkedAt", "status", "environmentId", "proof"}
    for name in ("descriptor", "checkedAt", "status", "environmentId"):
        assert claims[name] == body[name]
    assert (body["status"], body["checkedAt"]) == ("online", iso(machine.clock()))
    assert claims["sub"] == machine.id
    assert claims["exp"] == claims["iat"] + 300
    assert body["descriptor"] == (await machine.public.get("/.well-known/t3/environment")).json()


@pytest.mark.conformance("connect-environment", 96, 97, 98)
@pytest.mark.parametrize(
    "change",
    [
        {"iss": "https://other.example.test"},
        {"aud": "t3-env:other"},
        {"sub": "user_other"},
        {"environmentId": "other"},
        {"scope": []},
        {"scope": ["environment:connect"]},
        {"scope": ["environment:status", "environment:connect"]},
    ],
    ids=str,
)
async def test_a_question_about_anything_else_is_refused(machine: Machine, change: dict[str, object]) -> None:
    status, body = await ask(machine, **change)
    assert (status, body["message"]) == (401, "Invalid cloud health request.")


@pytest.mark.conformance("connect-environment", 99)
async def test_a_question_counts_once_even_when_asked_many_times_at_once(machine: Machine) -> None:
    proof = machine.relay.health(machine.id)
    answers = await asyncio.gather(*(machine.public.post(PATH, json={"proof": proof}) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 5
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert refused.json()["message"] == "Cloud health request was already consumed."


@pytest.mark.conformance("connect-environment", 100)
async def test_a_used_nonce_or_a_used_id_is_enough_to_refuse(machine: Machine) -> None:
    assert (await ask(machine, jti="j1", nonce="n1"))[0] == 200
    assert (await ask(machine, jti="j2", nonce="n1"))[0] == 409
    assert (await ask(machine, jti="j1", nonce="n2"))[0] == 409
    assert (await ask(machine, jti="j2", nonce="n3"))[0] == 409


@pytest.mark.conformance("connect-environment", 101)
@pytest.mark.parametrize(
    ("age", "lifetime", "status"),
    [
        (0, 301, 401),
        (0, 300, 200),
        (-60, 120, 200),
        (-61, 120, 401),
        (359, 300, 200),
        (360, 300, 401),
        (0, 0, 401),
    ],
)
async def test_how_old_and_how_long_a_question_may_be(
    machine: Machine, age: int, lifetime: int, status: int
) -> None:
    issued = machine.clock() // 1000 - age
    assert (await ask(machine, iat=issued, exp=issued + lifetime))[0] == status


@pytest.mark.conformance("connect-environment", 102)
async def test_a_machine_that_is_not_linked_names_what_is_missing(make_machine: MakeMachine) -> None:
    machine = await make_machine(linked=False)

    async def missing() -> str:
        status, body = await ask(machine)
        mint = await machine.ask_mint(machine.device())
        assert (status, mint.status_code, mint.json()) == (500, 500, body)
        assert body["_tag"] == "EnvironmentHttpInternalServerError"
        return str(body["message"])

    assert await missing() == "Cloud mint public key is not installed for this environment."
    await machine.link()
    machine.environment.secrets.remove(names.RELAY_ISSUER)
    assert (await ask(machine))[0] == 200  # the relay's URL is its issuer, where none is stored
    machine.environment.secrets.remove(names.LINKED_USER)
    assert await missing() == "Cloud linked user is not installed for this environment."
    machine.environment.secrets.remove(names.RELAY_URL)
    assert await missing() == "Cloud relay issuer is not installed for this environment."


async def test_when_guards_cannot_be_stored_nothing_is_answered(machine: Machine) -> None:
    await machine.environment.database.write(lambda tx: tx.execute("DROP TABLE environment_replay_guards"))
    status, body = await ask(machine)
    assert (status, body["message"]) == (500, "Could not answer cloud health request.")


@pytest.mark.conformance("connect-environment", 103)
async def test_a_mint_request_is_no_health_request(machine: Machine) -> None:
    proof = machine.relay.request(machine.id, "t3-cloud-mint+jwt", scope=["environment:status"])
    answer = await machine.public.post(PATH, json={"proof": proof})
    assert (answer.status_code, answer.json()["message"]) == (401, "Invalid cloud health request.")


@pytest.mark.conformance("connect-environment", 104)
async def test_an_unreadable_mode_does_not_take_the_machine_offline(machine: Machine) -> None:
    machine.environment.secrets.set(names.SECURITY_MODE, b"x")
    assert (await ask(machine))[0] == 200
