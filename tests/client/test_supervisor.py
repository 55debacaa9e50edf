"""The supervisor, told what happens and when: a conversation in signals, outcomes and commands."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.client.errors import ApprovalPending, ClientError, Unavailable
from doorward.client.supervisor import Command, Commands, Probe, Start, Stop, Supervisor, sentence

LOST = Unavailable("Box disconnected.", reason="transport")
PENDING = ApprovalPending("Waiting for this client to be approved in the environment settings.")


class Play:
    """A supervisor and the clock it is told; `>>` would be cleverer than these few verbs."""

    def __init__(self, **options: bool) -> None:
        self.supervisor = Supervisor("Box", **options)
        self.now = 1000.0
        self.run = 0

    def did(self, commands: Commands) -> list[type[Command]]:
        for command in commands:
            if isinstance(command, Start):
                self.run = command.run
        return [type(command) for command in commands]

    def connect(self) -> list[type[Command]]:
        return self.did(self.supervisor.connect(self.now))

    def connected(self) -> "Play":
        self.connect()
        self.establish()
        return self

    def establish(self) -> None:
        self.supervisor.established(self.run, self.now)
        assert self.phase == "connected"

    def fail(self, failure: ClientError = LOST) -> list[type[Command]]:
        return self.did(self.supervisor.failed(self.run, failure, self.now))

    def wait(self, seconds: float) -> list[type[Command]]:
        self.now += seconds
        return self.did(self.supervisor.tick(self.now))

    def delay(self) -> float:
        assert self.supervisor.state.retry_at is not None
        return self.supervisor.state.retry_at - self.now

    @property
    def phase(self) -> str:
        return self.supervisor.state.phase


@pytest.mark.conformance("connect-environment", 208)
def test_waits_grow_to_sixteen_seconds_and_stay_there():
    play = Play()
    assert play.connect() == [Start]
    delays = []
    for _ in range(8):
        assert play.fail() == [Stop]
        assert play.phase == "backoff"
        delays.append(play.delay())
        assert play.wait(delays[-1] - 0.01) == []
        assert play.wait(0.01) == [Start]
    assert delays == [1, 2, 4, 8, 16, 16, 16, 16]
    assert play.supervisor.state.attempt == 9


@pytest.mark.conformance("connect-environment", 209)
@pytest.mark.parametrize(("lasted", "delay"), [(29.9, 4), (30.0, 1)])
def test_only_a_connection_of_thirty_seconds_makes_waits_small_again(lasted, delay):
    play = Play()
    play.connect()
    for _ in range(2):
        play.fail()
        play.wait(play.delay())
    play.establish()
    play.wait(lasted)
    play.fail()
    assert play.delay() == delay


def test_whoever_disconnects_begins_anew_with_small_waits():
    play = Play()
    play.connect()
    for _ in range(4):
        play.fail()
        play.wait(play.delay())
    play.did(play.supervisor.disconnect())
    play.connect()
    play.fail()
    assert play.delay() == 1


@pytest.mark.conformance("connect-environment", 210)
def test_without_a_network_nothing_is_tried_and_with_one_at_once():
    play = Play()
    assert play.did(play.supervisor.network_changed(play.now, is_online=False)) == []
    assert play.connect() == []
    assert play.phase == "offline"
    assert play.supervisor.wake_at is None
    assert play.did(play.supervisor.retry(play.now)) == []
    assert play.did(play.supervisor.network_changed(play.now, is_online=True)) == [Start]
    play.establish()
    assert play.did(play.supervisor.network_changed(play.now, is_online=False)) == [Stop]
    assert play.phase == "offline"


@pytest.mark.conformance("connect-environment", 211)
def test_an_attempt_that_hangs_is_given_up_after_fifteen_seconds_and_made_again():
    play = Play()
    play.connect()
    play.supervisor.staged(play.run, "synchronizing")
    assert play.wait(14.9) == []
    assert play.wait(0.1) == [Stop]
    failure = play.supervisor.state.last_failure
    assert failure is not None
    assert (failure.kind, failure.reason) == ("transient", "timeout")
    assert str(failure) == "Box did not respond during connection setup."
    assert play.wait(1) == [Start]


@pytest.mark.conformance("connect-environment", 212)
def test_what_is_blocked_waits_for_a_signal():
    play = Play()
    play.connect()
    assert play.fail(PENDING) == [Stop]
    assert play.phase == "blocked"
    assert play.supervisor.wake_at is None
    assert play.wait(10_000) == []
    assert play.did(play.supervisor.credentials_changed(play.now)) == [Start]
    play.fail(PENDING)
    assert play.did(play.supervisor.application_active(play.now)) == [Start]
    play.fail(PENDING)
    assert play.did(play.supervisor.retry(play.now)) == [Start]


@pytest.mark.conformance("connect-environment", 213)
def test_a_wake_up_probes_and_keeps_a_connection_that_answers():
    play = Play().connected()
    assert play.did(play.supervisor.application_active(play.now)) == [Probe]
    assert play.did(play.supervisor.application_active(play.now)) == []
    play.supervisor.probe_passed(play.run)
    assert play.wait(60) == []
    assert (play.phase, play.supervisor.state.generation) == ("connected", 1)


@pytest.mark.conformance("connect-environment", 213)
def test_a_probe_that_fails_or_stalls_leads_to_a_new_connection():
    play = Play().connected()
    play.supervisor.application_active(play.now)
    assert play.wait(14.9) == []
    assert play.wait(0.1) == [Stop]
    assert str(play.supervisor.state.last_failure) == "Box did not respond to a connection health check."
    assert play.wait(1) == [Start]
    play.establish()
    play.supervisor.application_active(play.now)
    assert play.fail() == [Stop]
    assert play.phase == "backoff"


@pytest.mark.conformance("connect-environment", 213)
def test_disconnecting_during_a_probe_wins():
    play = Play().connected()
    play.supervisor.application_active(play.now)
    assert play.did(play.supervisor.disconnect()) == [Stop]
    play.supervisor.probe_passed(play.run)
    assert play.fail() == []
    assert play.wait(60) == []
    assert play.phase == "available"


@pytest.mark.conformance("connect-environment", 214)
def test_changed_credentials_restart_what_depends_on_them_alone():
    relay, bearer = Play(is_relay=True).connected(), Play(is_relay=False).connected()
    assert relay.did(relay.supervisor.credentials_changed(relay.now)) == [Stop, Start]
    assert bearer.did(bearer.supervisor.credentials_changed(bearer.now)) == []
    assert bearer.phase == "connected"

    trying = Play(is_relay=False)
    trying.connect()
    trying.supervisor.staged(trying.run, "opening")
    assert trying.did(trying.supervisor.credentials_changed(trying.now)) == []
    assert trying.supervisor.state.stage == "opening"


def test_any_signal_ends_a_wait_but_only_some_interrupt_an_attempt():
    play = Play()
    play.connect()
    play.fail()
    assert play.connect() == [Start]
    assert play.connect() == []
    assert play.did(play.supervisor.application_active(play.now)) == []
    assert play.did(play.supervisor.network_changed(play.now, is_online=True)) == []
    assert play.did(play.supervisor.retry(play.now)) == [Stop, Start]
    assert play.did(play.supervisor.credentials_changed(play.now)) == [Stop, Start]


def test_what_a_stopped_run_reports_is_late():
    play = Play()
    play.connect()
    first = play.run
    play.did(play.supervisor.retry(play.now))
    play.supervisor.established(first, play.now)
    assert play.phase == "connecting"
    assert play.supervisor.failed(first, PENDING, play.now) == ()
    play.establish()


SIGNALS = st.sampled_from(
    ["retry", "online", "offline", "active", "credentials", "established", "failed", "blocked", "tick"]
)


@pytest.mark.conformance("connect-environment", 215)
@given(before=st.lists(SIGNALS | st.just("connect")), after=st.lists(SIGNALS))
def test_an_explicit_disconnect_is_never_lost_among_other_signals(before, after):
    play, running = Play(), set()

    def feed(signal: str) -> None:
        supervisor, now = play.supervisor, play.now
        play.now += 1
        commands: Commands = ()
        match signal:
            case "connect":
                commands = supervisor.connect(now)
            case "retry":
                commands = supervisor.retry(now)
            case "online" | "offline":
                commands = supervisor.network_changed(now, is_online=signal == "online")
            case "active":
                commands = supervisor.application_active(now)
            case "credentials":
                commands = supervisor.credentials_changed(now)
            case "established":
                supervisor.established(play.run, now)
            case "failed" | "blocked":
                commands = supervisor.failed(play.run, LOST if signal == "failed" else PENDING, now)
            case "tick":
                play.now += 100
                commands = supervisor.tick(play.now)
        obey(commands)

    def obey(commands: Commands) -> None:
        play.did(commands)
        for command in commands:
            if isinstance(command, Start):
                running.add(command.run)
            elif isinstance(command, Stop):
                running.remove(command.run)
        # Never two connections of one supervisor.
        assert len(running) == (play.phase in ("connecting", "connected"))

    for signal in before:
        feed(signal)
    obey(play.supervisor.disconnect())
    for signal in after:
        feed(signal)
        assert play.phase in ("available", "offline")
        assert not running
    assert not play.supervisor.state.desired


def test_a_person_reads_t3s_words():
    play = Play()
    shown = [sentence(play.supervisor.state)]

    def show() -> None:
        shown.append(sentence(play.supervisor.state))

    play.connect()
    show()
    play.fail()
    show()
    play.wait(1)
    play.establish()
    show()
    play.fail(PENDING)
    show()
    play.supervisor.network_changed(play.now, is_online=False)
    show()
    assert shown == [
        "Available",
        "Connecting...",
        "Failed to connect. Reconnecting... Reason: Box disconnected.",
        "Connected",
        "Connection failed. Reason: Waiting for this client to be approved in the environment settings.",
        "Offline",
    ]
