"""Recorded exchanges of the real relay with the real T3 Code server, replayed: our answers have the same form.

The recordings are of T3 Code 0.0.27 (commit 00ead3f), reduced to what they say: ids, keys and times are other ones each
time. `form` reduces our answers the same way; whatever is a word of the protocol must be the same word.
"""

import re
from typing import Any

import httpx
import pytest

from doorward.environment import EnvironmentSettings, Service
from doorward.environment.access import MACHINE
from doorward.environment.agent import running_agent
from doorward.jose import peek_claims, peek_header
from tests.environment.conftest import Device, Machine, MakeMachine
from tests.environment.scripted_relay import scripted_relay

pytestmark = pytest.mark.anyio

FORMS = {
    "uuid": r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
    "environment": r"t3-env:[0-9a-f-]{36}",
    "time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
    "jwt": r"ey[\w-]+\.[\w-]+\.[\w-]+",
    "credential": r"[23456789ABCDEFGHJKLMNPQRSTUVWXYZ]{12}",
    "thumbprint": r"[\w-]{43}",
    "version": r"\d+\.\d+\.\d+",
    "origin": r"(?:https?|ws)://(?:127\.0\.0\.1|localhost|[\w.-]+\.test)(?::\d+)?",
    "user": r"user_\w+",
    "pem": r"-----BEGIN PUBLIC KEY-----\n[A-Za-z0-9+/=]+\n-----END PUBLIC KEY-----",
    "system": r"linux|darwin|windows|unknown",
    "architecture": r"x64|arm64|other",
}


def form(value: Any) -> Any:
    """What is left when everything that differs from time to time is taken out."""
    match value:
        case dict():
            kept = {key: form(item) for key, item in value.items() if key not in ("iat", "exp")}
            if "iat" in value:
                kept["lifetime"] = value["exp"] - value["iat"]
            return kept
        case list():
            return [form(item) for item in value]
        case bool():
            return "bool"
        case int():
            return "int"
        case str():
            return next((name for name, pattern in FORMS.items() if re.fullmatch(pattern, value)), value)
    return value


DESCRIPTOR = {
    "environmentId": "uuid",
    "label": "vm",
    "platform": {"os": "system", "arch": "architecture"},
    "serverVersion": "version",
    "capabilities": {"repositoryIdentity": "bool"},
}
ANSWER_HEADERS = {
    "access-control-allow-origin": "*",
    "cache-control": "no-store",
    "content-type": "application/json",
    "pragma": "no-cache",
}
FROM_THE_RELAY = {
    "iss": "origin",
    "aud": "environment",
    "sub": "user",
    "jti": "uuid",
    "lifetime": 120,
    "environmentId": "uuid",
    "nonce": "uuid",
}
FROM_THE_ENVIRONMENT = {
    "iss": "environment",
    "aud": "origin",
    "sub": "uuid",
    "jti": "uuid",
    "environmentId": "uuid",
    "requestNonce": "uuid",
}
MINT_REQUEST = {
    **FROM_THE_RELAY,
    "clientProofKeyThumbprint": "thumbprint",
    "cnf": {"jkt": "thumbprint"},
    "client": {"label": "Driver", "deviceType": "desktop", "os": "Linux"},
    "scope": ["environment:connect"],
}
DRIVER = {"label": "Driver", "deviceType": "desktop", "os": "Linux"}


def jwt(token: str) -> tuple[Any, Any]:
    return peek_header(token), form(peek_claims(token, dict))


def said(answer: httpx.Response) -> tuple[int, dict[str, str], Any]:
    """Status, the headers that were recorded, and the form of the body."""
    named = {name: answer.headers[name] for name in ANSWER_HEADERS}
    return answer.status_code, named, form(answer.json())


@pytest.fixture
async def vm(make_machine: MakeMachine) -> Machine:
    return await make_machine(label="vm", mode="account")


async def mint(vm: Machine, device: Device) -> tuple[tuple[int, dict[str, str], Any], Any]:
    """The relay's recorded request, and what it is answered: the reply and the JWT inside it."""
    proof = vm.relay.mint(vm.id, device.thumbprint, client=DRIVER)
    assert jwt(proof) == ({"alg": "EdDSA", "typ": "t3-cloud-mint+jwt"}, MINT_REQUEST)
    answer = await vm.public.post("/api/t3-connect/mint-credential", json={"proof": proof})
    return said(answer), jwt(answer.json()["proof"])


async def test_12_health(vm: Machine) -> None:
    proof = vm.relay.health(vm.id)
    assert jwt(proof) == (
        {"alg": "EdDSA", "typ": "t3-cloud-health+jwt"},
        {**FROM_THE_RELAY, "scope": ["environment:status"]},
    )
    answer = await vm.public.post("/api/t3-connect/health", json={"proof": proof})
    assert said(answer) == (
        200,
        ANSWER_HEADERS,
        {
            "environmentId": "uuid",
            "status": "online",
            "descriptor": DESCRIPTOR,
            "checkedAt": "time",
            "proof": "jwt",
        },
    )
    assert jwt(answer.json()["proof"]) == (
        {"alg": "EdDSA", "typ": "t3-env-health+jwt"},
        {
            **FROM_THE_ENVIRONMENT,
            "lifetime": 300,
            "status": "online",
            "descriptor": DESCRIPTOR,
            "checkedAt": "time",
        },
    )


MINTED = (
    (200, ANSWER_HEADERS, {"credential": "credential", "expiresAt": "time", "proof": "jwt"}),
    (
        {"alg": "EdDSA", "typ": "t3-env-mint+jwt"},
        {
            **FROM_THE_ENVIRONMENT,
            "lifetime": 120,
            "clientProofKeyThumbprint": "thumbprint",
            "credential": "credential",
        },
    ),
)


def waiting(status: str) -> tuple[Any, Any]:
    told = {
        "status": "pending_approval",
        "clientProofKeyThumbprint": "thumbprint",
        "approvalStatus": status,
        "requestedAt": "time",
    }
    return (
        (200, ANSWER_HEADERS, {**told, "proof": "jwt"}),
        ({"alg": "EdDSA", "typ": "t3-env-mint+jwt"}, {**FROM_THE_ENVIRONMENT, **told, "lifetime": 300}),
    )


async def test_16_mint_while_the_account_is_trusted(vm: Machine) -> None:
    assert await mint(vm, vm.device()) == MINTED


async def test_21_to_33_mint_while_devices_need_approval(vm: Machine) -> None:
    device, approvals = vm.device(), vm.environment.approvals
    await approvals.set_mode(MACHINE, "client-approval")
    assert await mint(vm, device) == waiting("pending")
    await approvals.approve(MACHINE, device.thumbprint)
    assert await mint(vm, device) == MINTED
    await approvals.reject(MACHINE, device.thumbprint)
    assert await mint(vm, device) == waiting("rejected")
    await approvals.revoke(MACHINE, device.thumbprint)
    assert await mint(vm, device) == waiting("pending")


async def test_4_and_6_what_a_starting_server_asks_of_the_relay(tmp_path: Any) -> None:
    settings = {"home": tmp_path, "label": "vm", "port": 0, "services": (Service(name="demo", port=9000),)}
    async with (
        scripted_relay() as relay,
        running_agent(EnvironmentSettings(**settings, relay_url=relay.url)) as agent,
    ):
        await agent.link_with(("oat_token", "rt_token", agent.environment.clock() + 3_600_000))
        await agent.settled()
        challenge, link = relay.asked[:2]
    features = {"notificationsEnabled": True, "liveActivitiesEnabled": True, "managedTunnelsEnabled": True}
    for request in (challenge, link):
        assert request.headers["authorization"] == "Bearer oat_token"
        assert request.headers["content-type"] == "application/json"
    assert challenge.body == features
    assert {**link.body, "proof": "jwt"} == {**features, "proof": "jwt"}
    assert jwt(link.body["proof"]) == (
        {"alg": "EdDSA", "typ": "t3-env-link+jwt"},
        {
            "iss": "environment",
            "aud": "origin",
            "sub": "uuid",
            "jti": "uuid",
            "lifetime": 300,
            "challenge": "challenge-1",
            "descriptor": DESCRIPTOR,
            "environmentId": "uuid",
            "environmentPublicKey": "pem",
            "endpoint": {"httpBaseUrl": "origin", "wsBaseUrl": "origin", "providerKind": "cloudflare_tunnel"},
            "origin": {"localHttpHost": "127.0.0.1", "localHttpPort": "int"},
            "scopes": ["agent_activity_notifications", "managed_tunnels"],
        },
    )


def test_the_form_keeps_every_word_of_the_protocol() -> None:
    assert form({"status": "pending_approval", "n": None}) == {"status": "pending_approval", "n": None}
    assert form({"iat": 1, "exp": 121}) == {"lifetime": 120}
