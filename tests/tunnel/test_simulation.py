"""Two ends over a network that delays, stalls, dies and sleeps, on a clock of its own: a minute takes milliseconds.

Nothing here is random but what hypothesis draws, so that a failure is a schedule that can be run again.
"""

from collections import deque

from hypothesis import given, settings
from hypothesis import strategies as st

from doorward.tunnel import endpoint as core
from doorward.tunnel.endpoint import Endpoint, Event
from doorward.tunnel.frames import ProtocolError
from doorward.tunnel.liveness import Heartbeat
from doorward.tunnel.streams import Stream
from tests.tunnel.conversation import OK, VISITOR, Asked, asked, get

BEAT = Heartbeat()
DEAD_SECONDS = 2 * BEAT.interval + BEAT.grace
POLL = 0.25


class Pipe:
    """One direction: bytes arrive `delay` later, in order, none while it stalls, none ever after it died."""

    def __init__(self) -> None:
        self.delay = 0.05
        self.is_stalled = False
        self.is_dead = False
        self._flying: deque[tuple[float, bytes]] = deque()

    def push(self, data: bytes, now: float) -> None:
        if data and not self.is_dead:
            self._flying.append((now + self.delay, data))

    def arrived(self, now: float) -> bytes:
        data = b""
        while self._flying and self._flying[0][0] <= now and not (self.is_stalled or self.is_dead):
            data += self._flying.popleft()[1]
        return data


class End:
    """An endpoint with the least of a shell: it echoes on the machine, and remembers when it gave up."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.answers: dict[int, bytes] = {}
        self.gave_up_at: float | None = None
        self.error = ""

    def hear(self, data: bytes, now: float) -> None:
        if not data or self.gave_up_at is not None:
            return
        try:
            for event in self.endpoint.receive_data(data, now):
                self._heard(event, now)
        except ProtocolError as error:
            self.error = str(error)

    def _heard(self, event: Event, now: float) -> None:
        if isinstance(event, core.Opened) and isinstance(event.stream, Asked):
            self.endpoint.reply(event.stream, OK)
            self.endpoint.send(event.stream, event.stream.head.target, now)
            self.endpoint.end(event.stream, [], now)
        elif isinstance(event, core.DataReceived):
            self.endpoint.consumed(event.stream, len(event.data), now)
            self.answers[event.stream.id] = self.answers.get(event.stream.id, b"") + bytes(event.data)

    def tick(self, now: float, wall: float) -> bytes:
        if self.gave_up_at is not None:
            return b""
        if not self.endpoint.poll(now, wall):
            self.gave_up_at = now
            return b""
        return b"".join(self.endpoint.data_to_send(now, 1 << 20))


class Network:
    """`run` lets time pass. Each end has a wall clock that may jump; the monotonic one does not."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.edge = End(Endpoint(is_edge=True, now=self.now, heartbeat=BEAT))
        self.machine = End(Endpoint(is_edge=False, now=self.now, heartbeat=BEAT, new_stream=asked))
        self.edge.endpoint.unlock(self.now)
        self.machine.endpoint.unlock(self.now)
        self.down, self.up = Pipe(), Pipe()
        self.machine_slept = 0.0
        self.asked: dict[int, bytes] = {}

    @property
    def pipes(self) -> tuple[Pipe, Pipe]:
        return self.down, self.up

    def ask(self) -> None:
        target = b"/%d" % len(self.asked)
        stream = self.edge.endpoint.open(Stream(), get(target), VISITOR)
        self.asked[stream.id] = target

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            self.machine.hear(self.down.arrived(self.now), self.now)
            self.edge.hear(self.up.arrived(self.now), self.now)
            self.down.push(self.edge.tick(self.now, self.now), self.now)
            self.up.push(self.machine.tick(self.now, self.now + self.machine_slept), self.now)
            self.now += POLL
        assert not self.edge.error
        assert not self.machine.error


QUIET = st.floats(0.0, 200.0)
SHORT = st.floats(0.0, 10.0)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(QUIET, SHORT, st.integers(0, 2), st.integers(0, 5)), max_size=6))
def test_quiet_hours_and_short_stalls_cost_no_tunnel_and_no_answer(
    hours: list[tuple[float, float, int, int]],
) -> None:
    network = Network()
    for quiet, stall, which, questions in hours:
        network.run(quiet)
        for _ in range(questions):
            network.ask()
        stalled = network.pipes if which == 2 else (network.pipes[which],)
        for pipe in stalled:
            pipe.is_stalled = True
        network.run(stall)
        for pipe in stalled:
            pipe.is_stalled = False
    network.run(5)
    assert network.edge.gave_up_at is network.machine.gave_up_at is None
    assert network.edge.answers == network.asked
    assert not network.edge.endpoint.streams
    assert not network.machine.endpoint.streams


@settings(max_examples=60, deadline=None)
@given(QUIET, st.integers(0, 2), st.integers(0, 5))
def test_a_path_that_died_is_noticed_by_the_end_that_hears_nothing_within_forty_seconds(
    quiet: float, which: int, questions: int
) -> None:
    network = Network()
    network.run(quiet)
    for _ in range(questions):
        network.ask()
    died = network.pipes if which == 2 else (network.pipes[which],)
    for pipe in died:
        pipe.is_dead = True
    at = network.now
    network.run(DEAD_SECONDS + 2)
    for pipe, deaf in ((network.down, network.machine), (network.up, network.edge)):
        if pipe.is_dead:
            assert deaf.gave_up_at is not None
            assert deaf.gave_up_at - at <= DEAD_SECONDS + 1


@settings(max_examples=40, deadline=None)
@given(QUIET, st.floats(25.0, 100_000.0), st.booleans())
def test_a_machine_that_wakes_up_knows_within_seconds_whether_its_tunnel_lives(
    quiet: float, slept: float, is_dead: bool
) -> None:
    network = Network()
    network.run(max(quiet, 2))
    for pipe in network.pipes:
        pipe.is_dead = is_dead
    network.machine_slept += slept
    at = network.now
    network.run(BEAT.probe + 2)
    if is_dead:
        assert network.machine.gave_up_at is not None
        assert network.machine.gave_up_at - at <= BEAT.probe + 1
    else:
        network.ask()
        network.run(2)
        assert network.machine.gave_up_at is None
        assert network.edge.answers == network.asked
