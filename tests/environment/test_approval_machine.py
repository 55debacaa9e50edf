"""The approval state machine, by random operations from two connections, on SQLite and on PostgreSQL.

Every step is a request over the wire or an owner's decision, some of them several at once. What each is answered must be
what the table of the protocol says for *some* order of them, and whatever the order, nothing that works may be left in the
hands of a key that is not approved.
"""

import asyncio
import os
from collections.abc import Awaitable
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from doorward.environment.access import MACHINE
from doorward.environment.app import create_environment
from doorward.environment.approvals.rules import MAX_PENDING_PER_USER, Knock
from doorward.environment.environment import SCHEMA
from doorward.environment.settings import EnvironmentSettings
from doorward.outbound import Outbound
from doorward.store import Tx, open_database
from tests.conftest import ClockForTests, DatabaseUrl
from tests.environment.conftest import RELAY, USER, Device, Machine, Relay
from tests.environment.engines import engine as engine

#: A device's key as the owner sees it: None before it ever asked, and after it was revoked.
State = str | None

TABLES = ("auth_connect_clients", "auth_pairing_links", "auth_sessions", "environment_replay_guards")


def step(state: State, operation: str) -> tuple[State, object]:
    """The protocol's table (connect-environment §4.4): the next state, and what the operation is answered."""
    match operation, state:
        case "knock", None:
            return "pending", "pending"
        case "knock", _:
            return state, state
        case "approve", None:
            return None, None
        case "approve", _:
            return "approved", "approved"
        case "reject", None:
            return None, None
        case "reject", _:
            return "rejected", "rejected"
        case "revoke", _:
            return None, state is not None
    raise AssertionError(operation)


def is_explained(before: State, done: list[tuple[str, object]], after: State) -> bool:
    """Whether some order of the operations gives each of them its answer, and this state at the end."""
    for order in permutations(done):
        state = before
        for operation, answer in order:
            state, expected = step(state, operation)
            if answer != expected:
                break
        else:
            if state == after:
                return True
    return False


class World:
    """One machine as two processes see it: an agent and a command line beside it, each on connections of its own."""

    def __init__(self, loop: asyncio.Runner, machines: list[Machine], clock: ClockForTests) -> None:
        self.run = loop.run
        self.machines = machines
        self.clock = clock
        self.devices = [Device(clock) for _ in range(3)]

    async def wipe(self) -> None:
        def wipe(tx: Tx) -> None:
            for table in TABLES:
                tx.execute(f"DELETE FROM {table}")

        await self.machines[0].environment.database.write(wipe)

    async def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        return await self.machines[0].environment.database.read(lambda tx: tx.fetch_all(sql, parameters))


class Approvals(RuleBasedStateMachine):
    world: World

    @initialize()
    def begin(self) -> None:
        self.world.run(self.world.wipe())
        self.world.machines[0].environment.modes.write("client-approval")
        self.mode = "client-approval"
        self.states: dict[str, State] = {device.thumbprint: None for device in self.world.devices}
        self.credentials: list[tuple[Device, str]] = []

    # What devices and the owner do.

    @rule(
        who=st.integers(0, 2),
        done=st.lists(
            st.tuples(st.sampled_from(["knock", "knock", "approve", "reject", "revoke"]), st.integers(0, 1)),
            min_size=1,
            max_size=4,
        ),
    )
    def at_once(self, who: int, done: list[tuple[str, int]]) -> None:
        device = self.world.devices[who]
        answers = self.world.run(self._all([self._do(operation, place, device) for operation, place in done]))
        if self.mode == "account":
            assert all(
                answer == "approved"
                for (operation, _), answer in zip(done, answers, strict=True)
                if operation == "knock"
            )
            done_here = [pair for pair in zip(done, answers, strict=True) if pair[0][0] != "knock"]
            decisions = [(operation, answer) for (operation, _), answer in done_here]
        else:
            decisions = [(operation, answer) for (operation, _), answer in zip(done, answers, strict=True)]
        after = self.world.run(self._state(device))
        assert is_explained(self.states[device.thumbprint], decisions, after), (
            self.states[device.thumbprint],
            decisions,
            after,
        )
        self.states[device.thumbprint] = after

    @rule(
        who=st.integers(0, 2),
        place=st.integers(0, 1),
        is_used=st.booleans(),
        verdict=st.sampled_from(["none", "reject", "revoke"]),
    )
    def be_let_in(self, who: int, place: int, is_used: bool, verdict: str) -> None:
        """The whole way, so that there is something to take away; perhaps it is, at once."""
        for operation in ("knock", "approve", "knock"):
            self.at_once(who, [(operation, place)])
        if is_used:
            self.use_a_credential(len(self.credentials) - 1, place)
        if verdict != "none":
            self.at_once(who, [(verdict, 1 - place), ("knock", place)])

    @rule(who=st.integers(0, 2), place=st.integers(0, 1))
    def come_while_the_account_is_trusted(self, who: int, place: int) -> None:
        self.set_the_mode("account", place)
        self.at_once(who, [("knock", place)])
        self.set_the_mode("client-approval", 1 - place)

    @rule(which=st.integers(0, 9), place=st.integers(0, 1))
    def use_a_credential(self, which: int, place: int) -> None:
        if which < len(self.credentials):
            device, credential = self.credentials.pop(which)
            answer = self.world.run(self.world.machines[place].exchange(credential, device))
            assert answer.status_code in (200, 401)
            if answer.status_code == 200 and self.mode == "client-approval":
                assert self.states[device.thumbprint] == "approved"

    @rule(mode=st.sampled_from(["account", "client-approval"]), place=st.integers(0, 1))
    def set_the_mode(self, mode: str, place: int) -> None:
        self.world.run(self.world.machines[place].environment.approvals.set_mode(MACHINE, mode))  # type: ignore[arg-type]
        self.mode = mode

    @rule()
    def lose_the_mode(self) -> None:
        """A corrupt file: nobody gets in, no guard is used up, and storing a mode repairs it."""
        environment = self.world.machines[0].environment
        environment.secrets.set("connect-security-mode", b"x")
        device = self.world.devices[0]
        proof = self.world.machines[1].relay.mint(self.world.machines[1].id, device.thumbprint)
        answers = [self.world.run(self._post(proof)) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [500, 500]
        self.set_the_mode("client-approval", 1)
        assert self.world.run(self._post(proof)).status_code == 200
        self.states[device.thumbprint] = step(self.states[device.thumbprint], "knock")[0]

    @rule(count=st.integers(1, 8))
    def strangers_knock(self, count: int) -> None:
        """A signed-in account with a new key for each request: past its share, the oldest give way."""
        waiting = self.world.run(self._waiting())
        self.world.run(self._flood(MAX_PENDING_PER_USER - waiting + count if count == 8 else count))

    @rule(seconds=st.sampled_from([1, 60, 121, 3601]))
    def time_passes(self, seconds: int) -> None:
        self.world.clock.advance(seconds * 1000)

    # What holds after every step.

    @invariant()
    def nothing_that_works_is_in_the_hands_of_a_key_that_is_not_approved(self) -> None:
        if self.mode != "client-approval":
            return
        now = self.world.clock()
        loose = self.world.run(
            self.world.rows(
                "SELECT k.thumbprint FROM ("
                " SELECT proof_key_thumbprint AS thumbprint FROM auth_pairing_links"
                "  WHERE revoked_at IS NULL AND consumed_at IS NULL AND expires_at > ? AND proof_key_thumbprint IS NOT NULL"
                " UNION SELECT jkt FROM auth_sessions WHERE revoked_at IS NULL AND expires_at > ? AND jkt IS NOT NULL) k"
                " WHERE NOT EXISTS (SELECT 1 FROM auth_connect_clients c WHERE c.client_proof_key_thumbprint = k.thumbprint"
                "  AND c.status = 'approved' AND c.revoked_at IS NULL)",
                now,
                now,
            )
        )
        assert loose == []

    @invariant()
    def the_times_of_a_row_say_what_its_status_says(self) -> None:
        for status, approved, rejected, seen, requested, updated in self.world.run(
            self.world.rows(
                "SELECT status, approved_at, rejected_at, last_seen_at, requested_at, updated_at FROM auth_connect_clients"
            )
        ):
            assert (approved is not None) == (status == "approved")
            assert (rejected is not None) == (status == "rejected")
            assert seen is None or status == "approved"
            assert requested <= updated

    @invariant()
    def no_more_wait_than_an_owner_can_look_through(self) -> None:
        assert self.world.run(self._waiting()) <= MAX_PENDING_PER_USER

    # Inside.

    async def _all(self, work: list[Awaitable[object]]) -> list[object]:
        return await asyncio.gather(*work)

    async def _do(self, operation: str, place: int, device: Device) -> object:
        machine = self.world.machines[place]
        approvals = machine.environment.approvals
        match operation:
            case "knock":
                answer = (await machine.ask_mint(device)).json()
                assert ("credential" in answer) != ("approvalStatus" in answer)
                if "credential" not in answer:
                    return answer["approvalStatus"]
                self.credentials.append((device, answer["credential"]))
                return "approved"
            case "approve":
                client = await approvals.approve(MACHINE, device.thumbprint)
                return None if client is None else client.status
            case "reject":
                client = await approvals.reject(MACHINE, device.thumbprint)
                return None if client is None else client.status
            case _:
                return await approvals.revoke(MACHINE, device.thumbprint)

    async def _state(self, device: Device) -> State:
        found = await self.world.rows(
            "SELECT status FROM auth_connect_clients WHERE client_proof_key_thumbprint = ? AND revoked_at IS NULL",
            device.thumbprint,
        )
        return found[0][0] if found else None

    async def _post(self, proof: str) -> Any:
        return await self.world.machines[0].public.post(
            "/api/t3-connect/mint-credential", json={"proof": proof}
        )

    async def _waiting(self) -> int:
        [(count,)] = await self.world.rows(
            "SELECT count(*) FROM auth_connect_clients WHERE status = 'pending' AND revoked_at IS NULL"
        )
        return int(count)

    async def _flood(self, count: int) -> None:
        approvals = [machine.environment.approvals for machine in self.world.machines]
        if self.mode == "client-approval":
            await asyncio.gather(
                *(
                    approvals[number % 2].decide(
                        Knock(thumbprint=Device(self.world.clock).thumbprint, cloud_user_id=USER)
                    )
                    for number in range(count)
                )
            )
        for device in self.world.devices:
            # The oldest gave way; which those were, only the table knows.
            if self.states[device.thumbprint] == "pending":
                self.states[device.thumbprint] = await self._state(device)


def test_whatever_happens_no_key_holds_what_its_owner_did_not_allow(
    database_url: DatabaseUrl, tmp_path: Path, clock: ClockForTests
) -> None:
    url = database_url(SCHEMA)

    async def open_machine(relay: Relay) -> Machine:
        environment = await create_environment(
            EnvironmentSettings(home=tmp_path / "home", label="Box", relay_url=RELAY),
            outbound=Outbound(),
            clock=clock,
            database=await open_database(url, schemas=(SCHEMA,)),
        )
        return Machine(environment, relay, clock)

    with asyncio.Runner() as loop:
        relay = Relay(clock)
        machines = [loop.run(open_machine(relay)) for _ in range(2)]
        loop.run(machines[0].link())
        world = World(loop, machines, clock)
        try:
            run_state_machine_as_test(
                type("ApprovalsOfOneMachine", (Approvals,), {"world": world}),
                settings=settings(
                    # Some seconds on each engine; DOORWARD_EXAMPLES=500 looks longer.
                    max_examples=int(os.environ.get("DOORWARD_EXAMPLES", "6")),
                    stateful_step_count=15,
                    deadline=None,
                    phases=[Phase.generate],  # a failure names its steps; looking for fewer takes minutes
                    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
                ),
            )
        finally:
            for machine in machines:
                loop.run(machine.close())


@pytest.mark.parametrize(
    ("before", "done", "after", "is_possible"),
    [
        ("approved", [("knock", "approved"), ("revoke", True)], None, True),
        ("approved", [("knock", "pending"), ("revoke", True)], "pending", True),
        ("approved", [("knock", "approved"), ("revoke", True)], "pending", False),
        ("approved", [("knock", "rejected"), ("revoke", True)], None, False),
        (None, [("knock", "approved"), ("approve", "approved")], "approved", False),
        (None, [("approve", "approved")], "approved", False),
    ],
)
def test_the_judge_tells_what_can_happen_from_what_cannot(
    before: State, done: list[tuple[str, object]], after: State, is_possible: bool
) -> None:
    assert is_explained(before, done, after) is is_possible
