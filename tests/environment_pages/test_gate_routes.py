"""The gate page's two calls to the machine, and what an administrator device may do from outside."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from doorward.environment.access import MACHINE
from doorward.environment.approvals.rules import Knock
from doorward.environment.gate.rules import nonce_hash
from doorward.environment.sessions.service import Caller, Issued
from doorward.jose import WORDS, PrivateKey, generate_key
from tests.environment_gate.machine import ACCOUNT, NONCE, Machine
from tests.environment_pages.devices import knock

pytestmark = pytest.mark.anyio


def api(machine: Machine) -> str:
    return f"box-1.env.localhost:{machine.port}"


def proved(
    machine: Machine, key: PrivateKey, token: str | None, path: str, *, method: str = "POST"
) -> dict[str, str]:
    headers = {"dpop": machine.proof(key, token, path, method=method, origin=machine.api_origin)}
    return headers | ({"authorization": f"DPoP {token}"} if token else {})


async def code(machine: Machine, headers: dict[str, str], **changed: str) -> httpx.Response:
    body = {"service": machine.host, "nonce": nonce_hash(NONCE), "return": "/a?b"} | changed
    return await machine.ask("/gate/code", method="POST", host=api(machine), headers=headers, json=body)


async def wait(machine: Machine, key: PrivateKey, seen: str = "pending", **extra: str) -> httpx.Response:
    headers = proved(machine, key, None, "/gate/wait") | extra
    return await machine.ask(
        "/gate/wait", method="POST", host=api(machine), headers=headers, json={"seen": seen}
    )


async def test_a_proved_session_gets_a_code_that_opens_the_service(machine: Machine) -> None:
    key, issued = await machine.session()
    response = await code(machine, proved(machine, key, issued.token, "/gate/code"))
    assert response.status_code == 200
    callback = response.json()["callback"]
    assert callback == f"{machine.origin}/.doorward/callback?code={response.json()['code']}&return=%2Fa%3Fb"
    came = await machine.ask(
        callback.removeprefix(machine.origin), headers={"cookie": f"__Host-doorward-nonce={NONCE}"}
    )
    assert (came.status_code, came.headers["location"]) == (303, "/a?b")


async def test_a_code_needs_the_session_and_a_fresh_proof_of_its_key_for_this_very_call(
    machine: Machine,
) -> None:
    key, issued = await machine.session()
    stranger = generate_key("ES256")
    good = proved(machine, key, issued.token, "/gate/code")
    assert (await code(machine, good)).status_code == 200
    for headers in (
        good,
        {},
        {"authorization": f"Bearer {issued.token}"},
        {"authorization": f"DPoP {issued.token}"},
        proved(machine, stranger, issued.token, "/gate/code"),
        proved(machine, key, issued.token, "/gate/wait"),
        proved(machine, key, issued.token, "/gate/code", method="GET"),
        {
            "authorization": f"DPoP {issued.token}",
            "dpop": machine.proof(key, issued.token, "/gate/code", method="POST", origin=machine.origin),
        },
    ):
        assert (await code(machine, headers)).status_code == 401


@pytest.mark.parametrize("service", ["", "evil.test", "notes.env.localhost.evil.test", "box-1.env.localhost"])
async def test_a_code_is_for_a_service_of_this_machine_only(machine: Machine, service: str) -> None:
    key, issued = await machine.session()
    headers = proved(machine, key, issued.token, "/gate/code")
    assert (await code(machine, headers, service=service)).status_code == 404


async def test_the_callback_is_the_services_own_address_whatever_was_asked(machine: Machine) -> None:
    key, issued = await machine.session()
    odd = f"evil@notes.env.localhost:{machine.port}"
    response = await code(
        machine, proved(machine, key, issued.token, "/gate/code"), service=odd, **{"return": "//evil.test"}
    )
    assert response.status_code in (200, 404)
    if response.status_code == 200:
        assert response.json()["callback"].startswith(f"{machine.origin}/.doorward/callback?")
        assert response.json()["callback"].endswith("&return=%2F")


@pytest.mark.parametrize("nonce", ["", "short", "x" * 44, "x" * 42 + "="])
async def test_a_code_needs_a_nonce(machine: Machine, nonce: str) -> None:
    key, issued = await machine.session()
    assert (
        await code(machine, proved(machine, key, issued.token, "/gate/code"), nonce=nonce)
    ).status_code == 400


async def test_a_waiting_device_hears_of_the_decision_at_once(machine: Machine) -> None:
    key = await knock(machine)
    waiting = asyncio.create_task(wait(machine, key))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    await machine.environment.approvals.approve(MACHINE, key.public.thumbprint)
    async with asyncio.timeout(1):
        assert (await waiting).json() == {"status": "approved"}


async def test_a_decision_made_before_the_wait_is_not_slept_through(machine: Machine) -> None:
    key = await knock(machine)
    await machine.environment.approvals.reject(MACHINE, key.public.thumbprint)
    async with asyncio.timeout(1):
        assert (await wait(machine, key)).json() == {"status": "rejected"}
        assert (await wait(machine, generate_key("ES256"))).json() == {"status": "unknown"}


async def test_only_the_key_itself_hears_about_it(machine: Machine) -> None:
    key = await knock(machine)
    headers = proved(machine, key, None, "/gate/wait")
    body = {"seen": "rejected"}
    path = {"method": "POST", "host": api(machine), "json": body}
    assert (await machine.ask("/gate/wait", headers=headers, **path)).json() == {"status": "pending"}
    assert (await machine.ask("/gate/wait", headers=headers, **path)).status_code == 401
    assert (await machine.ask("/gate/wait", **path)).status_code == 401
    assert (await machine.ask("/gate/wait", headers={"dpop": "x" * 9000}, **path)).status_code == 401


async def test_waiting_is_limited_by_key_and_by_address(machine: Machine) -> None:
    key = await knock(machine)
    answers = [await wait(machine, key, seen="rejected") for _ in range(12)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert int(refused[0].headers["retry-after"]) >= 1
    floods = [
        await wait(machine, generate_key("ES256"), **{"x-forwarded-for": "203.0.113.7"}) for _ in range(40)
    ]
    assert floods[-1].status_code == 429
    assert (
        await wait(machine, generate_key("ES256"), **{"x-forwarded-for": "203.0.113.8"})
    ).status_code == 200


async def test_the_configuration_names_what_the_page_needs_and_the_words_are_the_phrases(
    machine: Machine,
) -> None:
    configuration = (await machine.ask("/gate/configuration.json", host=api(machine))).json()
    assert configuration == {
        "environmentId": machine.environment.environment_id,
        "label": "Study desk",
        "clientId": "doorward-gate",
        "accountsOrigin": "http://accounts.localhost:1",
        "relayOrigin": "http://relay.localhost:1",
        "services": [
            {
                "name": name,
                "host": f"{name}.env.localhost:{machine.port}",
                "url": f"http://{name}.env.localhost:{machine.port}",
            }
            for name in ("notes", "photos")
        ],
        "remoteAdministration": False,
    }
    words = (await machine.ask("/gate/words.txt", host=api(machine))).text
    assert tuple(words.split("\n")[:-1]) == WORDS


async def test_the_page_talks_to_itself_the_relay_and_the_accounts_only(machine: Machine) -> None:
    response = await machine.ask("/gate", host=api(machine))
    policy = dict(
        part.strip().partition(" ")[::2] for part in response.headers["content-security-policy"].split(";")
    )
    assert policy["connect-src"] == "'self' http://relay.localhost:1 http://accounts.localhost:1"
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in response.headers["content-security-policy"]


async def administrator(machine: Machine) -> tuple[PrivateKey, Issued]:
    """A device the owner approved as administrator, with its session."""
    key = generate_key("ES256")
    described = Knock(thumbprint=key.public.thumbprint, cloud_user_id=ACCOUNT, label="Phone")
    await machine.environment.approvals.decide(described)
    await machine.environment.approvals.approve(MACHINE, key.public.thumbprint, role="administrator")
    decision = await machine.environment.approvals.decide(described)
    assert decision.link is not None
    issued = await machine.environment.sessions.exchange(
        decision.link.credential,
        method="bearer-access-token",
        thumbprint=key.public.thumbprint,
        requested_scopes=None,
        caller=Caller(),
    )
    return key, issued


async def act(
    machine: Machine, key: PrivateKey, token: str, path: str, body: dict[str, str]
) -> httpx.Response:
    headers = proved(machine, key, token, path)
    return await machine.ask(path, method="POST", host=api(machine), headers=headers, json=body)


async def test_an_administrator_device_does_its_four_things_and_no_more(
    administered_machine: Machine,
) -> None:
    machine = administered_machine
    key, issued = await administrator(machine)
    waiting = (await knock(machine)).public.thumbprint
    token = issued.token
    for decision, status in (("approve", "approved"), ("reject", "rejected"), ("revoke", "unknown")):
        body = {"decision": decision, "thumbprint": waiting}
        assert (await act(machine, key, token, "/connections/decisions", body)).status_code == 200
        assert await machine.environment.approvals.status(waiting) == status
    other = (await knock(machine)).public.thumbprint
    for path, body in (
        ("/connections/decisions", {"decision": "approve-administrator", "thumbprint": other}),
        ("/connections/mode", {"mode": "account"}),
        ("/connections/mode", {"mode": "client-approval"}),
        ("/connections/sessions/end", {"sessionId": "any"}),
    ):
        refused = await act(machine, key, token, path, body)
        assert (refused.status_code, refused.json()["error"]) == (403, "not_allowed")
    assert await machine.environment.approvals.status(other) == "pending"
    assert machine.environment.approvals.mode() == "client-approval"


async def test_an_administrator_sees_devices_and_nothing_of_the_machine(
    administered_machine: Machine,
) -> None:
    machine = administered_machine
    key, issued = await administrator(machine)
    headers = proved(machine, key, issued.token, "/connections/events", method="GET")
    url = f"http://127.0.0.1:{machine.port}/connections/events"
    async with machine.client.stream("GET", url, headers=headers | {"host": api(machine)}) as stream:
        async for line in stream.aiter_lines():
            if line.startswith("data: "):
                state = json.loads(line.removeprefix("data: "))
                break
    assert [device["label"] for device in state["devices"]] == ["Phone"]
    assert state["rights"] == ["approve", "reject", "revoke"]
    assert [state[part] for part in ("link", "services", "sessions", "audit")] == [None] * 4


async def test_a_standard_device_can_neither_look_nor_decide_from_outside(
    administered_machine: Machine,
) -> None:
    machine = administered_machine
    key, issued = await machine.session()
    waiting = (await knock(machine)).public.thumbprint
    body = {"decision": "approve", "thumbprint": waiting}
    assert (await act(machine, key, issued.token, "/connections/decisions", body)).status_code == 403
    headers = proved(machine, key, issued.token, "/connections/events", method="GET")
    assert (await machine.ask("/connections/events", host=api(machine), headers=headers)).status_code == 403
    bearer = {"authorization": f"Bearer {issued.token}"}
    refused = await machine.ask(
        "/connections/decisions", method="POST", host=api(machine), headers=bearer, json=body
    )
    assert refused.status_code == 401
    assert await machine.environment.approvals.status(waiting) == "pending"


async def test_an_administrator_loses_its_rights_with_its_role(administered_machine: Machine) -> None:
    machine = administered_machine
    key, issued = await administrator(machine)
    waiting = (await knock(machine)).public.thumbprint
    await machine.environment.approvals.reject(MACHINE, key.public.thumbprint)
    body = {"decision": "approve", "thumbprint": waiting}
    assert (await act(machine, key, issued.token, "/connections/decisions", body)).status_code == 401
    assert await machine.environment.approvals.status(waiting) == "pending"


async def test_a_machine_that_stops_lets_go_of_who_waits_and_who_watches(
    administered_machine: Machine,
) -> None:
    machine = administered_machine
    key, issued = await administrator(machine)
    waiting = asyncio.create_task(wait(machine, await knock(machine)))
    headers = proved(machine, key, issued.token, "/connections/events", method="GET") | {"host": api(machine)}
    url = f"http://127.0.0.1:{machine.port}/connections/events"
    async with machine.client.stream("GET", url, headers=headers) as stream:
        lines = stream.aiter_lines()
        assert await anext(lines) == "event: state"
        machine.environment.is_stopping.set()
        async with asyncio.timeout(1):
            assert (await waiting).json() == {"status": "pending"}
            async for _ in lines:
                pass
