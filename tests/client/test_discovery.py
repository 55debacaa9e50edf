"""Which machines answer, as soon as it is known."""

import asyncio
from contextlib import aclosing

import pytest

from doorward.client.discovery import Discovered, discover
from doorward.t3_connect.messages import EnvironmentEntry
from tests.client.scripted import Device, Scripted, descriptor, json_answer

pytestmark = pytest.mark.anyio


def path(environment_id: str) -> str:
    return f"/v1/environments/{environment_id}/status"


def seen(found: Discovered) -> tuple[str, str]:
    return found.machine.environment_id, found.availability


def questions() -> list[asyncio.Task[object]]:
    """What discovery still asks."""
    return [task for task in asyncio.all_tasks() if getattr(task.get_coro(), "__name__", "") == "_ask"]


@pytest.mark.conformance("connect-environment", 219)
async def test_each_machine_is_told_as_soon_as_it_is_known_and_none_hides_another(
    device: Device, play: Scripted
):
    go = {name: asyncio.Event() for name in ("slow", "off", "broken", "box")}

    def after(name: str, answer):
        async def wait(request):
            await go[name].wait()
            return answer(request)

        return wait

    play.answers |= {
        path("box"): after("box", json_answer(**play.status("box"))),
        path("off"): after("off", json_answer(**play.status("off", status="offline", error="no tunnel"))),
        path("broken"): after("broken", json_answer(500, _tag="RelayInternalError")),
        path("slow"): after("slow", json_answer(**play.status("slow"))),
    }
    machines = [play.entry(name) for name in go]
    async with aclosing(discover(device.relay, machines, lambda _: device.key)) as answers:
        assert [seen(await anext(answers)) for _ in machines] == [(name, "checking") for name in go]
        for name, availability, reason in (
            ("box", "online", ""),
            ("broken", "error", "The relay could not ask for Box (status 500). Try again later."),
            ("off", "offline", "no tunnel"),
        ):
            go[name].set()
            found = await anext(answers)
            assert (*seen(found), found.reason) == (name, availability, reason)
        assert len(questions()) == 1
    assert questions() == []  # `slow` never answered: whoever stopped listening ended the question


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"environmentId": "other"}, "Relay returned status for a different environment."),
        ({"descriptor": descriptor("other")}, "Relay returned a descriptor for a different environment."),
        (
            {
                "endpoint": {
                    "httpBaseUrl": "https://other.example/",
                    "wsBaseUrl": "wss://other.example/",
                    "providerKind": "cloudflare_tunnel",
                }
            },
            "Relay returned status for a different environment endpoint.",
        ),
    ],
)
async def test_a_status_of_another_machine_is_an_error(device: Device, play: Scripted, changes, text):
    play.answers[path("box")] = json_answer(**play.status("box", **changes))
    answers = [found async for found in discover(device.relay, [play.machine], lambda _: device.key)]
    assert (answers[-1].availability, answers[-1].reason) == ("error", text)


async def test_without_machines_there_is_nothing_to_tell(device: Device):
    nothing: list[EnvironmentEntry] = []
    assert [found async for found in discover(device.relay, nothing, lambda _: device.key)] == []
