"""Kill -9 of each process in the middle of link, mint, approve, transfer and sign-in, then start it again.

The moments are drawn at random; a failing run prints its seed, and DOORWARD_TEST_SEED repeats it.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from doorward.client.authorization import Grant
from doorward.environment.local import open_machine
from doorward.outbound import Outbound
from doorward.t3_connect.messages import ConnectAuthorized, ConnectPending
from tests.e2e.accounts import Account, TooManyRequests, keep
from tests.e2e.installations import Part, ThreeProcesses
from tests.e2e.processes import Program, command
from tests.e2e.storm import LOST, Storm, World, until
from tests.e2e.visiting import Device

pytestmark = pytest.mark.anyio

PARTS: tuple[Part, ...] = ("identity", "relay", "agent")
DOWNLOAD = 200_000_000
"""More than all buffers of its way hold."""
FRESH = 20_000_000


@pytest.fixture
def topology() -> str:
    return "three processes"


@pytest.fixture
async def world(installation: ThreeProcesses) -> AsyncIterator[World]:
    seed = int(os.environ.get("DOORWARD_TEST_SEED") or random.randrange(2**32))
    print(f"DOORWARD_TEST_SEED={seed}")
    outbound = Outbound()
    try:
        linked = World(installation, outbound, Account(installation.accounts, outbound), random.Random(seed))
        await linked.link()
        yield linked
    finally:
        await outbound.close()


async def test_killed_while_linking_and_unlinking_the_machine_ends_up_linked_once(world: World):
    async def toggle(storm: Storm) -> None:
        while not storm.is_over:
            for verb in ("unlink", "link"):
                if (await world.run("connect", verb)).returncode == 0:
                    storm.succeeded()

    for part in world.chance.sample(PARTS, len(PARTS)):
        await world.cut(part, 2.0, toggle)
        # What the cut left can be read, whatever is missing of it.
        left = json.loads(await world.told("connect", "status", "--json"))
        assert left["connectSecurityMode"] == "client-approval", left
        await world.restart(part)
        await world.told("connect", "link")
        await is_linked(world)
        active = world.server_rows(
            "relay", "SELECT COUNT(*) FROM relay_environment_links WHERE revoked_at IS NULL"
        )
        assert active == [(1,)], "links"
        usable = world.server_rows(
            "relay", "SELECT COUNT(*) FROM relay_environment_credentials WHERE revoked_at IS NULL"
        )
        assert usable == [(1,)], "credentials"
        tunnels = world.server_rows(
            "relay",
            "SELECT COUNT(*) FROM relay_managed_endpoint_allocations"
            " WHERE (ready_at IS NULL) <> (tunnel_public_key IS NULL) OR generation < 1",
        )
        assert tunnels == [(0,)], "a tunnel that is half registered"
    await is_reachable_through_forward(world)
    world.installation.stop()


async def is_linked(world: World) -> None:
    """By the machine's own word and by the relay's."""
    async with open_machine(world.installation.machine_home) as machine:
        await until(
            "the machine is linked",
            machine.status,
            lambda seen: seen.linked and seen.tunnel == "connected" and seen.link_failure is None,
        )
    told = json.loads(await world.told("connect", "status", "--json", "--details"))
    assert (told["desired"], told["authenticated"], told["linked"]) == (True, True, True)
    assert [service["url"].rstrip("/") for service in told["services"]] == [world.service], told
    await world.connected_machine()


async def is_reachable_through_forward(world: World) -> None:
    """A new laptop forwards, waits, is approved and gets in."""
    laptop = world.installation.folder / "laptop"
    keep(await world.account.grant(), laptop, world.outbound, world.account)
    local = await approved_forward(world, laptop)
    async with httpx.AsyncClient(base_url=local) as client:
        answer = await client.get("/")
        assert "through the door" in answer.text, (answer.status_code, answer.text)


async def approved_forward(world: World, laptop: Path) -> str:
    """Start forwarding on a laptop and approve it on the machine; the local address."""
    forward = Program(["forward", "demo", "--json"], home=laptop, environ=world.installation.client_environ())
    world.installation.programs["forward"] = forward

    async def pending() -> list[dict[str, object]]:
        listed = json.loads(await world.told("connect", "security", "clients", "--json"))["clients"]
        return [client for client in listed if client["status"] == "pending"]

    (asking,) = await until("the laptop asks", pending, lambda clients: len(clients) == 1)
    await world.told("connect", "security", "approve", str(asking["clientProofKeyThumbprint"]))
    local = await asyncio.to_thread(forward.wait_for, r"(http://127\.0\.0\.1:\d+)")
    return local.group(1)


async def test_killed_while_devices_connect_no_credential_or_proof_counts_twice(world: World):
    device = await world.new_device()
    assert isinstance(await device.knock(), ConnectPending)
    await world.told("connect", "security", "approve", device.thumbprint)
    uses: dict[str, int] = {}
    proofs: list[str] = []

    async def connect(storm: Storm) -> None:
        # the relay lets an account connect 240 times a minute
        for _ in range(18):
            if storm.is_over:
                return
            try:
                answer = await device.knock()
                assert isinstance(answer, ConnectAuthorized)
                uses[answer.credential] = 0
                await asyncio.gather(*(redeem(answer.credential) for _ in range(2)))
                storm.succeeded()
            except LOST:
                await asyncio.sleep(0.02)

    async def redeem(credential: str) -> None:
        if (await device.redeem(credential)).status == 200:
            uses[credential] += 1

    async def prove(storm: Storm) -> None:
        for _ in range(20):
            if storm.is_over:
                return
            proof = device.proof(device.relay_token_url)
            try:
                if (await device.relay_token(proof)).status == 200:
                    proofs.append(proof)
                    storm.succeeded()
            except LOST:
                await asyncio.sleep(0.02)

    for part in world.chance.sample(PARTS, len(PARTS)):
        await world.cut(part, 0.6, connect, connect, connect, prove)
        await world.restart(part)
        # The machine comes back by itself, and the same key gets in without being asked about again.
        await world.connected_machine()
        device.connection.forget()
        await until("the device gets in again", device.connection.token, bool)
        for credential in list(uses):
            await redeem(credential)
        used_twice = [count for count in uses.values() if count > 1]
        assert not used_twice, f"{len(used_twice)} of {len(uses)} credentials counted more than once"
        answers = [(await device.relay_token(proof)).status for proof in proofs[-5:]]
        assert 200 not in answers, f"a proof was taken again: {answers}"
    assert sum(uses.values()) > 0
    world.installation.stop()


async def test_killed_while_the_owner_decides_every_answer_given_stands(world: World):
    devices = [await world.new_device() for _ in range(5)]
    for device in devices:
        assert isinstance(await device.knock(), ConnectPending)
    # What each device's row may be now: one word, or two where the last decision was cut off.
    known = {device.thumbprint: {"pending"} for device in devices}

    async def decide(storm: Storm, device: Device) -> None:
        # the relay lets an account connect 240 times a minute
        knocks = iter(range(9))
        async with open_machine(world.installation.machine_home) as machine:
            # let in, with a session, and out again
            for verb in itertools.cycle(
                ("knock", "approve", "knock", "revoke", "knock", "approve", "reject")
            ):
                if storm.is_over:
                    return
                if verb == "knock" and next(knocks, None) is None:
                    continue
                try:
                    await attempt(machine, device, verb)
                    storm.succeeded()
                except LOST:
                    # It may have been carried out before the answer was lost.
                    known[device.thumbprint] |= {
                        "approve": {"approved"},
                        "reject": {"rejected"},
                        "revoke": {"gone"},
                        "knock": {"pending"},
                    }[verb]
                    if verb == "knock":
                        await asyncio.sleep(0.02)

    async def attempt(machine, device: Device, verb: str) -> None:
        match verb:
            case "approve":
                found = await machine.approve(device.thumbprint)
                known[device.thumbprint] = {found.status if found else "gone"}
            case "reject":
                found = await machine.reject(device.thumbprint)
                known[device.thumbprint] = {found.status if found else "gone"}
            case "revoke":
                await machine.revoke(device.thumbprint)
                known[device.thumbprint] = {"gone"}
            case "knock":
                answer = await device.knock()
                known[device.thumbprint] = {status_of(answer)}
                if isinstance(answer, ConnectAuthorized):
                    await device.redeem(answer.credential)

    async def decide_by_command(storm: Storm) -> None:
        thumbprint = devices[-1].thumbprint
        while not storm.is_over:
            for verb, status in (("approve", "approved"), ("reject", "rejected")):
                known[thumbprint] |= {status}
                done = await world.run("connect", "security", verb, thumbprint)
                if done.returncode == 0 and verb.capitalize() in done.stdout:
                    known[thumbprint] = {status}
                    storm.succeeded()

    # the agent more often: the rows are its own
    for part in world.chance.sample((*PARTS, "agent", "agent"), 5):
        await world.cut(
            part,
            0.8,
            decide_by_command,
            *(lambda storm, device=device: decide(storm, device) for device in devices[:-1]),
        )
        rows_are_whole(world)
        await statuses_are(world, known)
        await world.restart(part)
        await statuses_are(world, known)
        await world.connected_machine()
        # And the machine obeys them: who is approved gets in, nobody else does.
        for device in devices[:2]:
            verdict = known[device.thumbprint]
            answer = await until("the relay reaches the machine", device.knock, lambda _: True)
            # a device that was revoked asks anew
            expected = {"pending" if status == "gone" else status for status in verdict}
            assert status_of(answer) in expected, (status_of(answer), verdict)
            known[device.thumbprint] = {status_of(answer)}
    world.installation.stop()


def status_of(answer: ConnectAuthorized | ConnectPending) -> str:
    """What the machine said of the device, in the words of its list."""
    return "approved" if isinstance(answer, ConnectAuthorized) else answer.approval_status


async def statuses_are(world: World, known: dict[str, set[str]]) -> None:
    listed = json.loads(await world.told("connect", "security", "clients", "--json"))["clients"]
    seen = {client["clientProofKeyThumbprint"]: client["status"] for client in listed}
    for thumbprint, allowed in known.items():
        assert seen.get(thumbprint, "gone") in allowed, (thumbprint, seen.get(thumbprint), allowed)


def rows_are_whole(world: World) -> None:
    """Checked in SQL, not through the agent: no contradiction, and no way in without an approval."""
    contradictions = world.machine_rows(
        "SELECT status, approved_at, rejected_at, last_seen_at, role FROM auth_connect_clients WHERE NOT ("
        " (status = 'approved') = (approved_at IS NOT NULL) AND (status = 'rejected') = (rejected_at IS NOT NULL)"
        " AND (status = 'approved' OR last_seen_at IS NULL) AND (status = 'approved' OR role = 'standard'))"
    )
    assert not contradictions
    ways_in = world.machine_rows(
        "SELECT link.id FROM auth_pairing_links link LEFT JOIN auth_connect_clients client"
        " ON client.client_proof_key_thumbprint = link.proof_key_thumbprint"
        " WHERE link.proof_key_thumbprint IS NOT NULL AND link.revoked_at IS NULL AND link.consumed_at IS NULL"
        " AND (client.status IS NOT 'approved' OR client.revoked_at IS NOT NULL)"
    )
    assert not ways_in
    sessions = world.machine_rows(
        "SELECT session.session_id FROM auth_sessions session LEFT JOIN auth_connect_clients client"
        " ON client.client_proof_key_thumbprint = session.jkt"
        " WHERE session.jkt IS NOT NULL AND session.revoked_at IS NULL"
        " AND (client.status IS NOT 'approved' OR client.revoked_at IS NOT NULL)"
    )
    assert not sessions


@pytest.mark.parametrize("part", ["relay", "agent", "demo"])
async def test_a_download_that_is_cut_fails_clearly_and_a_fresh_one_succeeds(world: World, part: Part):
    installation = world.installation
    laptop = installation.folder / "laptop"
    keep(await world.account.grant(), laptop, world.outbound, world.account)
    local = await approved_forward(world, laptop)
    device = await world.new_device()
    assert isinstance(await device.knock(), ConnectPending)
    await world.told("connect", "security", "approve", device.thumbprint)

    at = world.chance.randrange(1_000_000, DOWNLOAD // 3)
    print(f"{part} is killed after {at} bytes")
    arrived = {"forward": 0, "edge": 0, "events": 0}
    are_running = asyncio.Event()

    async def receive(name: str, response: httpx.Response) -> None:
        assert response.status_code == 200, await response.aread()
        async for block in response.aiter_raw():
            arrived[name] += len(block)
            if max(arrived["forward"], arrived["edge"]) >= at and all(arrived.values()):
                are_running.set()

    async def through_forward(size: int = DOWNLOAD) -> None:
        async with (
            httpx.AsyncClient(base_url=local, timeout=30) as client,
            client.stream("GET", f"/download?bytes={size}") as response,
        ):
            await receive("forward", response)

    async def through_edge(size: int = DOWNLOAD) -> None:
        async with device.opened(world.service, f"/download?bytes={size}") as response:
            await receive("edge", response)

    async def events() -> None:
        """Without a length: only the last chunk would say that it is complete."""
        async with device.opened(world.service, "/events") as response:
            assert response.headers["transfer-encoding"] == "chunked"
            await receive("events", response)

    transfers = [asyncio.ensure_future(work()) for work in (through_forward, through_edge, events)]
    running = asyncio.ensure_future(are_running.wait())
    await asyncio.wait([running, *transfers], timeout=60, return_when=asyncio.FIRST_COMPLETED)
    assert running.done(), (arrived, transfers)
    installation.cut(part)
    outcomes = await asyncio.wait_for(asyncio.gather(*transfers, return_exceptions=True), 60)
    for name, outcome in zip(arrived, outcomes, strict=True):
        assert isinstance(outcome, httpx.TransportError) and arrived[name] < DOWNLOAD, (
            f"{name}: {outcome!r} after {arrived[name]} bytes; what was cut must not look complete"
        )
        assert not isinstance(outcome, httpx.TimeoutException), f"{name}: the client was left waiting"

    await world.restart(part)
    await world.connected_machine()
    for name, fetch in (("forward", through_forward), ("edge", through_edge)):
        arrived[name] = 0
        await fetch(FRESH)
        assert arrived[name] == FRESH
    installation.stop()


async def test_killed_while_people_sign_in_and_programs_refresh_everyone_stays_signed_in(world: World):
    signed_in: list[tuple[Account, str]] = []
    grants: list[Grant] = [await world.account.grant() for _ in range(6)]

    async def sign_in(storm: Storm) -> None:
        while not storm.is_over:
            account = Account(world.account.origin, world.outbound)
            try:
                signed_in.append((account, await account.sign_in()))
                storm.succeeded()
            except TooManyRequests:
                await asyncio.sleep(0.2)
            except LOST:
                await asyncio.sleep(0.02)

    async def refresh(storm: Storm, chain: int) -> None:
        # an address may refresh 120 times at once
        for _ in range(5):
            if storm.is_over:
                return
            try:
                grants[chain] = await refreshed(grants[chain])
                storm.succeeded()
            except LOST:
                await asyncio.sleep(0.02)

    async def refreshed(grant: Grant) -> Grant:
        answer = await world.account.refresh(grant.refresh_token or "")
        assert answer.status == 200, (answer.status, answer.body)
        return answer.json(Grant)

    refreshing = [lambda storm, chain=chain: refresh(storm, chain) for chain in range(len(grants))]
    # Soon, while every chain waits for an answer; or later, in the middle of a slow password check.
    for longest, workers in ((0.1, refreshing), (0.1, refreshing), (0.1, refreshing), (0.8, [sign_in])):
        await world.cut("identity", longest, *workers)
        await world.restart("identity")
        # The refresh whose answer was lost is made good by asking with the same token again.
        for chain, grant in enumerate(grants):
            grants[chain] = await refreshed(grant)
        for account, session in signed_in:
            assert session in await account.sessions()
        orphans = world.server_rows(
            "identity",
            "SELECT COUNT(*) FROM identity_sessions session LEFT JOIN identity_clients client"
            " ON client.id = session.client_id WHERE client.id IS NULL",
        )
        assert orphans == [(0,)], "sessions of no browser"
    # The terminal with a token that has run out goes on by itself.
    laptop = world.installation.folder / "laptop"
    keep(grants[0], laptop, world.outbound, world.account, is_due=True)
    listed = await asyncio.to_thread(
        command, "list", home=laptop, environ=world.installation.client_environ()
    )
    assert "demo" in listed.stdout, listed.stderr
    world.installation.stop()
