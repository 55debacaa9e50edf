"""Probing: online, offline, and answers that are neither."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from doorward.relay import RelaySettings
from doorward.t3_connect import iso
from tests.relay.conftest import OpenWorld
from tests.relay.foreign import Answer, Environment
from tests.relay.world import World

pytestmark = pytest.mark.anyio

Tamper = Callable[[Environment, dict[str, Any]], Answer]


@pytest.fixture
async def linked(wire: World) -> World:
    await wire.link()
    return wire


def signed(**changes: Any) -> Tamper:
    """Body and claims changed alike: the environment itself says so."""
    return lambda environment, request: environment.health_answer(
        *environment.health_parts(request, **changes)
    )


def claims(**changes: Any) -> Tamper:
    def tamper(environment: Environment, request: dict[str, Any]) -> Answer:
        body, honest = environment.health_parts(request)
        return environment.health_answer(body, {**honest, **changes})

    return tamper


def body(**changes: Any) -> Tamper:
    def tamper(environment: Environment, request: dict[str, Any]) -> Answer:
        honest, signed_claims = environment.health_parts(request)
        return environment.health_answer({**honest, **changes}, signed_claims)

    return tamper


def relabelled(environment: Environment, request: dict[str, Any]) -> Answer:
    return body(descriptor={**environment.descriptor(), "label": "Altered"})(environment, request)


def more_capable(environment: Environment, request: dict[str, Any]) -> Answer:
    capabilities = {"repositoryIdentity": True, "somethingNew": {"depth": [2, 1]}}
    return body(descriptor={**environment.descriptor(), "capabilities": capabilities})(environment, request)


@pytest.mark.conformance("connect-relay", 82, 84, 85)
@pytest.mark.parametrize(
    "tamper",
    [
        pytest.param(signed(checkedAt="2027-01-14T08:00:00.000Z"), id="checked a day ago"),
        pytest.param(signed(checkedAt="2027-01-15T08:01:00.001Z"), id="checked in the future"),
        pytest.param(
            signed(checkedAt="2027-01-15T07:58:59.999Z"), id="checked over a minute before we asked"
        ),
        pytest.param(signed(checkedAt="today"), id="checked at no time"),
        pytest.param(body(environmentId="env-2"), id="body about another environment"),
        pytest.param(claims(environmentId="env-2"), id="proof about another environment"),
        pytest.param(body(checkedAt="2027-01-15T08:00:01.000Z"), id="time altered"),
        pytest.param(relabelled, id="descriptor altered"),
        pytest.param(more_capable, id="unknown capability altered"),
        pytest.param(claims(requestNonce="another"), id="answer to another request"),
        pytest.param(claims(status="offline"), id="another status"),
        pytest.param(claims(iss="t3-env:env-2"), id="another issuer"),
    ],
)
async def test_an_answer_that_does_not_hold_is_not_an_offline_machine(linked: World, tamper: Tamper) -> None:
    linked.environment.answer_health = lambda request: tamper(linked.environment, request)
    answer = await linked.status()
    assert (answer.status_code, answer.json()["reason"]) == (502, "endpoint_response_invalid")


@pytest.mark.parametrize("checked_at", ["2027-01-15T07:59:00.000Z", "2027-01-15T08:01:00.000Z"])
async def test_a_minute_of_clock_difference_is_forgiven(linked: World, checked_at: str) -> None:
    tamper = signed(checkedAt=checked_at)
    linked.environment.answer_health = lambda request: tamper(linked.environment, request)
    answer = await linked.status()
    assert (answer.status_code, answer.json()["checkedAt"]) == (200, checked_at)


@pytest.mark.conformance("connect-relay", 83)
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (
            (
                500,
                b'{"_tag":"EnvironmentHttpInternalServerError","message":"Environment is unavailable."}',
                [],
            ),
            "Managed endpoint health request failed: Environment is unavailable.",
        ),
        ((500, b"", []), "Managed endpoint health request failed."),
        (
            (302, b"", [(b"location", b"http://elsewhere.localhost/")]),
            "Managed endpoint health request failed.",
        ),
        ((200, b"{}", []), "Managed endpoint health request failed."),
        ((200, b"not json", []), "Managed endpoint health request failed."),
    ],
)
async def test_a_machine_that_does_not_answer_the_question_is_offline(
    linked: World, answer: Answer, error: str
) -> None:
    linked.environment.answer_health = lambda _: answer
    response = await linked.status()
    assert response.status_code == 200
    assert "cache-control" not in response.headers
    told = response.json()
    assert set(told) == {"environmentId", "endpoint", "status", "checkedAt", "error", "traceId"}
    assert (told["status"], told["error"]) == ("offline", error)
    assert told["checkedAt"] == iso(linked.clock())
    assert told["traceId"] == response.headers["traceparent"].split("-")[1]


@pytest.mark.conformance("connect-relay", 87)
async def test_a_machine_that_hangs_is_offline_by_timeout(open_wire: OpenWorld) -> None:
    world = await open_wire(environment_timeout=0.3)
    await world.link()
    world.environment.delay = 1.0
    answer = await world.status()
    assert answer.status_code == 200
    told = answer.json()
    assert (told["status"], told["error"]) == ("offline", "Managed endpoint health request timed out.")


@pytest.mark.conformance("connect-relay", 87, 97)
def test_the_environment_has_eight_seconds_and_a_whole_request_nine() -> None:
    """Below the ten after which clients give up; with the original's ten for the one, the other would hide its answer."""
    times = {field.name: field.default for field in msgspec.structs.fields(RelaySettings)}
    assert (times["environment_timeout"], times["request_deadline"]) == (8.0, 9.0)


async def test_any_body_of_a_status_request_is_ignored(linked: World) -> None:
    token = await linked.token()
    path = "/v1/environments/env-1/status"
    headers = {**linked.dpop_headers(token, path), "content-type": "text/plain"}
    answer = await linked.http.post(path, content=b"whatever", headers=headers)
    assert answer.json()["status"] == "online"
