"""The relay asks to let a device in (connect-environment §4.7, checklist 105-123)."""

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from doorward.environment.access import MACHINE
from doorward.environment.app import create_environment
from doorward.environment.approvals import Knock
from doorward.environment.approvals.service import Decision
from doorward.environment.environment import Environment
from doorward.environment.keys import names
from doorward.jose import b64url_encode, generate_key
from doorward.t3_connect import iso, parse_iso
from tests.environment.conftest import RELAY, Machine, MakeMachine
from tests.environment.engines import engine as engine
from tests.environment.test_approvals import events_of

pytestmark = pytest.mark.anyio
STANDARD = "orchestration:read orchestration:operate terminal:operate review:write relay:read"


async def rows(machine: Machine) -> int:
    found = await machine.environment.database.read(
        lambda tx: tx.fetch_one("SELECT COUNT(*) FROM auth_connect_clients")
    )
    assert found is not None
    return int(found[0])


async def links(machine: Machine) -> int:
    found = await machine.environment.database.read(
        lambda tx: tx.fetch_one("SELECT COUNT(*) FROM auth_pairing_links WHERE subject = 'cloud-connect'")
    )
    assert found is not None
    return int(found[0])


@pytest.mark.conformance("connect-environment", 105)
async def test_in_account_mode_every_device_of_the_account_gets_a_credential_and_no_row(
    make_machine: MakeMachine,
) -> None:
    machine = await make_machine(mode="account")
    device = machine.device()
    answer = await machine.ask_mint(device)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert set(body) == {"credential", "expiresAt", "proof"}
    assert len(body["credential"]) == 12
    assert parse_iso(body["expiresAt"]) == machine.clock() + 120_000
    claims = machine.claims(body["proof"], "t3-env-mint+jwt")
    assert claims["exp"] == parse_iso(body["expiresAt"]) // 1000
    assert claims["credential"] == body["credential"]
    assert claims["aud"] == RELAY
    assert claims["sub"] == claims["environmentId"] == machine.id
    assert claims["clientProofKeyThumbprint"] == device.thumbprint
    assert "status" not in claims
    assert await rows(machine) == 0


@pytest.mark.conformance("connect-environment", 137)
async def test_in_account_mode_the_table_of_devices_is_neither_read_nor_written(
    make_machine: MakeMachine,
) -> None:
    machine = await make_machine(mode="account")
    await machine.environment.database.write(
        lambda tx: tx.execute("ALTER TABLE auth_connect_clients RENAME TO gone")
    )

    async def minted() -> None:
        assert "credential" in (await machine.ask_mint(machine.device())).json()

    assert await events_of(machine, minted()) == []


@pytest.mark.conformance("connect-environment", 106)
async def test_the_older_mint_path_behaves_as_the_newer(machine: Machine) -> None:
    device = machine.device()
    proof = machine.relay.mint(machine.id, device.thumbprint)
    first = await machine.public.post("/api/connect/mint-credential", json={"proof": proof})
    assert first.json()["status"] == "pending_approval"
    again = await machine.public.post("/api/t3-connect/mint-credential", json={"proof": proof})
    assert again.status_code == 409


@pytest.mark.conformance("connect-environment", 107)
async def test_a_minted_credential_works_for_its_key_alone_and_carries_the_five_standard_scopes(
    make_machine: MakeMachine,
) -> None:
    machine = await make_machine(mode="account")
    device, thief = machine.device(), machine.device()
    credential = (await machine.ask_mint(device)).json()["credential"]
    assert (await machine.exchange(credential, thief)).status_code == 401
    assert (await machine.exchange(credential)).status_code == 401
    answer = await machine.exchange(credential, device)
    assert answer.status_code == 200
    assert answer.json()["scope"] == STANDARD


@pytest.mark.conformance("connect-environment", 105)
@pytest.mark.parametrize(("age", "status"), [(119_999, 200), (120_000, 401)])
async def test_a_minted_credential_ends_after_two_minutes(
    make_machine: MakeMachine, age: int, status: int
) -> None:
    machine = await make_machine(mode="account")
    device = machine.device()
    credential = (await machine.ask_mint(device)).json()["credential"]
    machine.clock.advance(age)
    assert (await machine.exchange(credential, device)).status_code == status


@pytest.mark.conformance("connect-environment", 108)
async def test_a_mint_request_counts_once_even_when_sent_many_times_at_once(
    make_machine: MakeMachine,
) -> None:
    machine = await make_machine(mode="account")
    proof = machine.relay.mint(machine.id, machine.device().thumbprint)

    async def ask() -> tuple[int, str]:
        answer = await machine.public.post("/api/t3-connect/mint-credential", json={"proof": proof})
        return answer.status_code, answer.json().get("message", "")

    answers = await asyncio.gather(*(ask() for _ in range(8)))
    assert sorted(status for status, _ in answers) == [200] + [409] * 7
    assert {text for status, text in answers if status == 409} == {"Cloud mint request was already consumed."}
    assert await links(machine) == 1


def everything_below(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


@pytest.mark.conformance("connect-environment", 16)
@pytest.mark.parametrize("name", ["../../x", "a/b", "/etc/passwd", ".", "x" * 300])
async def test_a_request_is_remembered_by_no_path_however_it_is_named(
    machine: Machine, tmp_path: Path, name: str
) -> None:
    await machine.ask_mint(machine.device())  # whatever a first request makes is there
    # `../../x` would be within: secrets lie two folders deeper than this machine's own.
    before = everything_below(tmp_path)
    assert (await machine.ask_mint(machine.device(), jti=name, nonce=name)).status_code == 200
    for used in ("jti", "nonce"):
        assert (await machine.ask_mint(machine.device(), **{used: name})).status_code == 409
    assert everything_below(tmp_path) == before


@pytest.mark.conformance("connect-environment", 109, 110)
@pytest.mark.parametrize(
    "change",
    [
        {"iss": "https://other.example.test"},
        {"aud": "t3-env:another"},
        {"sub": "user_other"},
        {"environmentId": "another"},
        {"scope": ["environment:connect", "environment:status"]},
        {"scope": []},
        {"scope": ["environment:status"]},
        {"cnf": {"jkt": "somebody-else"}},
        {"nonce": " "},
        {"jti": ""},
    ],
    ids=str,
)
async def test_a_mint_request_about_anything_else_is_refused_and_uses_nothing_up(
    machine: Machine, change: dict[str, object]
) -> None:
    device = machine.device()
    answer = await machine.ask_mint(device, **change)
    assert answer.status_code == 401
    assert answer.json() == {
        "_tag": "EnvironmentHttpUnauthorizedError",
        "message": "Invalid cloud mint request.",
    }
    assert await rows(machine) == 0


@pytest.mark.conformance("connect-environment", 109)
@pytest.mark.parametrize(
    ("age", "lifetime", "status"),
    [
        (0, 300, 200),
        (0, 301, 401),
        (-60, 120, 200),
        (-61, 120, 401),
        (359, 300, 200),
        (360, 300, 401),
        (0, 0, 401),
    ],
)
async def test_a_mint_request_is_as_old_and_lives_as_long_as_a_health_request(
    machine: Machine, age: int, lifetime: int, status: int
) -> None:
    issued = machine.clock() // 1000 - age
    answer = await machine.ask_mint(machine.device(), iat=issued, exp=issued + lifetime)
    assert answer.status_code == status


@pytest.mark.conformance("connect-environment", 111)
async def test_a_mint_request_signed_by_anybody_else_is_refused(machine: Machine) -> None:
    device = machine.device()
    forged = machine.relay.request(
        machine.id,
        "t3-cloud-mint+jwt",
        key=generate_key("EdDSA"),
        clientProofKeyThumbprint=device.thumbprint,
        cnf={"jkt": device.thumbprint},
        scope=["environment:connect"],
    )
    genuine = machine.relay.mint(machine.id, device.thumbprint)
    _, payload, _ = genuine.split(".")
    unsigned = b64url_encode(b'{"alg":"none","typ":"t3-cloud-mint+jwt"}')
    symmetric = b64url_encode(b'{"alg":"HS256","typ":"t3-cloud-mint+jwt"}') + f".{payload}"
    # What everybody knows of the relay's key, taken for a shared secret.
    public = machine.relay.key.public
    known = (public.to_pem(), public.to_pem().strip(), public.to_jwk()["x"])
    macs = [hmac.digest(str(secret).encode(), symmetric.encode(), "sha256") for secret in known]
    for proof in (forged, f"{unsigned}.{payload}.", *(f"{symmetric}.{b64url_encode(mac)}" for mac in macs)):
        answer = await machine.public.post("/api/t3-connect/mint-credential", json={"proof": proof})
        assert answer.status_code == 401
    assert await rows(machine) == 0
    answer = await machine.public.post("/api/t3-connect/mint-credential", json={"proof": genuine})
    assert answer.status_code == 200


@pytest.mark.conformance("connect-environment", 112, 113, 120)
async def test_an_unknown_device_gets_a_signed_pending_answer_and_no_credential(machine: Machine) -> None:
    device = machine.device()
    proof = machine.relay.mint(machine.id, device.thumbprint, nonce="nonce-7")
    answer = await machine.public.post("/api/t3-connect/mint-credential", json={"proof": proof})
    assert answer.status_code == 200
    body = answer.json()
    assert body["status"] == "pending_approval"
    assert body["approvalStatus"] == "pending"
    assert body["clientProofKeyThumbprint"] == device.thumbprint
    assert "credential" not in body
    claims = machine.claims(body["proof"], "t3-env-mint+jwt")
    for name in ("status", "approvalStatus", "requestedAt", "clientProofKeyThumbprint"):
        assert claims[name] == body[name]
    assert claims["requestNonce"] == "nonce-7"
    assert claims["exp"] == claims["iat"] + 300
    assert "credential" not in claims
    [client] = await machine.environment.approvals.list(MACHINE)
    assert iso(client.requested_at) == body["requestedAt"]
    assert await links(machine) == 0
    replayed = await machine.public.post("/api/t3-connect/mint-credential", json={"proof": proof})
    assert replayed.status_code == 409


@pytest.mark.conformance("connect-environment", 114)
async def test_a_rejected_device_stays_rejected_when_it_knocks_again(machine: Machine) -> None:
    device = machine.device()
    await machine.ask_mint(device)
    await machine.environment.approvals.reject(MACHINE, device.thumbprint)
    machine.clock.advance(5_000)
    answer = await machine.ask_mint(device)
    assert answer.json()["approvalStatus"] == "rejected"
    assert answer.json()["requestedAt"] == iso(machine.clock())
    [client] = await machine.environment.approvals.list(MACHINE)
    assert (client.status, client.requested_at) == ("rejected", machine.clock())
    assert await links(machine) == 0


@pytest.mark.conformance("connect-environment", 115)
async def test_an_approved_device_gets_a_credential_and_is_seen(machine: Machine) -> None:
    device = machine.device()
    await machine.ask_mint(device)
    await machine.environment.approvals.approve(MACHINE, device.thumbprint)
    machine.clock.advance(5_000)
    assert "credential" in (await machine.ask_mint(device)).json()
    [client] = await machine.environment.approvals.list(MACHINE)
    assert client.last_seen_at == machine.clock()


@pytest.mark.conformance("connect-environment", 116, 117)
@pytest.mark.parametrize("stored", [b"CLIENT-APPROVAL", b"", b"x", b"\xff\xfe"])
async def test_an_unreadable_mode_refuses_and_leaves_the_request_usable(
    machine: Machine, stored: bytes
) -> None:
    machine.environment.secrets.set(names.SECURITY_MODE, stored)
    device = machine.device()
    proof = machine.relay.mint(machine.id, device.thumbprint)

    async def refused() -> None:
        answer = await machine.public.post("/api/t3-connect/mint-credential", json={"proof": proof})
        assert answer.status_code == 500
        assert answer.json()["message"] == "Failed to read Connect security mode."

    assert await events_of(machine, refused()) == []
    assert await rows(machine) == 0
    assert await links(machine) == 0
    await machine.environment.approvals.set_mode(MACHINE, "client-approval")
    repaired = await machine.public.post("/api/t3-connect/mint-credential", json={"proof": proof})
    assert repaired.status_code == 200


async def test_a_mode_that_vanished_after_it_was_stored_lets_nobody_in(machine: Machine) -> None:
    machine.environment.secrets.remove(names.SECURITY_MODE)
    answer = await machine.ask_mint(machine.device())
    assert answer.status_code == 500
    assert await links(machine) == 0


@pytest.mark.conformance("connect-environment", 118)
async def test_when_guards_cannot_be_stored_nothing_is_minted(make_machine: MakeMachine) -> None:
    machine = await make_machine(mode="account")
    await machine.environment.database.write(lambda tx: tx.execute("DROP TABLE environment_replay_guards"))
    answer = await machine.ask_mint(machine.device())
    assert answer.status_code == 500
    assert answer.json()["message"] == "Could not issue cloud connection credential."
    assert await links(machine) == 0


@pytest.mark.conformance("connect-environment", 119)
async def test_a_request_that_does_not_hold_uses_no_guard_up(machine: Machine) -> None:
    device = machine.device()
    refused = await machine.ask_mint(device, sub="user_other", jti="the-jti", nonce="the-nonce")
    assert refused.status_code == 401
    answer = await machine.ask_mint(device, jti="the-jti", nonce="the-nonce")
    assert answer.status_code == 200


@pytest.mark.conformance("connect-environment", 121)
async def test_decisions_rest_while_the_account_is_trusted_and_count_again_afterwards(
    machine: Machine,
) -> None:
    device = machine.device()
    await machine.ask_mint(device)
    await machine.environment.approvals.reject(MACHINE, device.thumbprint)
    await machine.environment.approvals.set_mode(MACHINE, "account")
    assert "credential" in (await machine.ask_mint(device)).json()
    await machine.environment.approvals.set_mode(MACHINE, "client-approval")
    assert (await machine.ask_mint(device)).json()["approvalStatus"] == "rejected"


@pytest.mark.conformance("connect-environment", 122)
async def test_what_a_device_says_of_itself_is_kept_as_said_last(machine: Machine) -> None:
    device = machine.device()
    await machine.ask_mint(
        device, client={"label": " My phone ", "deviceType": "mobile", "os": "iOS"}, deviceId="d-1"
    )
    [client] = await machine.environment.approvals.list(MACHINE)
    assert (client.label, client.device_type, client.os, client.device_id) == (
        "My phone",
        "mobile",
        "iOS",
        "d-1",
    )
    await machine.ask_mint(device)
    [client] = await machine.environment.approvals.list(MACHINE)
    assert (client.label, client.device_type, client.os, client.device_id) == (None, "unknown", None, None)


@pytest.mark.conformance("connect-environment", 123)
@pytest.mark.parametrize("decision", ["revoke", "reject"])
async def test_whatever_the_order_no_credential_outlives_a_decision_against_its_key(
    machine: Machine, decision: str
) -> None:
    approvals = machine.environment.approvals
    for _ in range(10):
        device = machine.device()
        await machine.ask_mint(device)
        await approvals.approve(MACHINE, device.thumbprint)
        mints = [machine.ask_mint(device) for _ in range(3)]
        verdict = approvals.revoke if decision == "revoke" else approvals.reject
        answers = await asyncio.gather(mints[0], mints[1], verdict(MACHINE, device.thumbprint), mints[2])
        for answer in answers[:2] + answers[3:]:
            body = answer.json()  # type: ignore[union-attr]
            if "credential" in body:
                assert (await machine.exchange(body["credential"], device)).status_code == 401


async def test_one_account_has_at_most_fifty_requests_waiting_and_the_oldest_give_way(
    machine: Machine,
) -> None:
    devices = [machine.device() for _ in range(52)]
    for device in devices:
        machine.clock.advance(1)
        await machine.ask_mint(device)
    waiting = {client.thumbprint for client in await machine.environment.approvals.list(MACHINE)}
    assert waiting == {device.thumbprint for device in devices[2:]}


async def test_a_mint_beside_an_unlink_leaves_no_credential_that_works(make_machine: MakeMachine) -> None:
    machine = await make_machine(mode="account")
    for _ in range(6):
        devices = [machine.device() for _ in range(4)]
        *answers, _ = await asyncio.gather(
            *(machine.ask_mint(device) for device in devices), machine.environment.unlink(MACHINE)
        )
        await machine.link()
        for device, answer in zip(devices, answers, strict=True):
            if answer.status_code == 200:
                assert (await machine.exchange(answer.json()["credential"], device)).status_code == 401


async def unlinked(environment: Environment) -> None:
    await environment.unlink(MACHINE)


async def approval_required(environment: Environment) -> None:
    await environment.approvals.set_mode(MACHINE, "client-approval")


@pytest.mark.parametrize("is_decided_first", [False, True])
@pytest.mark.parametrize("change", [unlinked, approval_required])
async def test_what_another_process_changes_during_a_mint_counts_for_this_very_mint(
    make_machine: MakeMachine, change: Callable[[Environment], Awaitable[None]], is_decided_first: bool
) -> None:
    machine = await make_machine(mode="account")
    ours = machine.environment
    other = await create_environment(
        ours.settings, outbound=ours.outbound, clock=machine.clock, database=ours.database
    )
    decide = ours.approvals.decide

    async def interrupted(knock: Knock, **options: Any) -> Decision:
        if not is_decided_first:
            await change(other)
        decision = await decide(knock, **options)
        if is_decided_first:
            await change(other)
        return decision

    ours.approvals.decide = interrupted  # type: ignore[method-assign]
    assert "credential" not in (await machine.ask_mint(machine.device())).json()
