"""Keeping one connection up (connect-environment §7.7): a state machine without I/O and without a clock of its own.

Signals and outcomes go in with the time (`now`, in seconds of any steady clock); what to do comes out as commands, and
`wake_at` says when to call `tick`. An outcome carries the number of the run it belongs to: what a run that was stopped
still has to say changes nothing, so an explicit disconnect cannot be undone by an attempt that was on its way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from doorward.client.errors import ClientError, Unavailable

Network = Literal["unknown", "offline", "online"]
Phase = Literal["available", "offline", "connecting", "backoff", "connected", "blocked"]
Stage = Literal["preparing", "opening", "synchronizing"]

SETUP_SECONDS = 15.0
PROBE_SECONDS = 15.0
STABLE_SECONDS = 30.0
DELAYS = (1.0, 2.0, 4.0, 8.0, 16.0)


@dataclass(frozen=True)
class State:
    """What a person may be shown. `retry_at` is a moment of the same clock as `now`."""

    desired: bool = False
    network: Network = "unknown"
    phase: Phase = "available"
    stage: Stage | None = None
    #: Which attempt in a row this is, from 1; 0 before the first.
    attempt: int = 0
    #: How many connections were established.
    generation: int = 0
    last_failure: ClientError | None = None
    retry_at: float | None = None


@dataclass(frozen=True)
class Start:
    """Make a new attempt: resolve, open, synchronise, and report under this number."""

    run: int


@dataclass(frozen=True)
class Stop:
    """Drop the attempt or connection of this number, whatever it is doing."""

    run: int


@dataclass(frozen=True)
class Probe:
    """Ask the connection of this number for a sign of life."""

    run: int


Command = Start | Stop | Probe
Commands = tuple[Command, ...]


def retry_delay(failures: int) -> float:
    """Seconds to wait after that many transient failures in a row, from 1."""
    return DELAYS[min(failures, len(DELAYS)) - 1]


class Supervisor:
    """`label` names the machine in failures; `is_relay`: its credentials are the account's at the relay."""

    def __init__(self, label: str, *, is_relay: bool = True) -> None:
        self._label = label
        self._is_relay = is_relay
        self._failures = 0
        self._run = 0
        self._connected_at = 0.0
        self._setup_ends: float | None = None
        self._probe_ends: float | None = None
        self.state = State()

    @property
    def wake_at(self) -> float | None:
        """When `tick` is due next; None: nothing is waited for but signals and outcomes."""
        due = (self._setup_ends, self._probe_ends, self.state.retry_at)
        return min((moment for moment in due if moment is not None), default=None)

    # -- signals

    def connect(self, now: float) -> Commands:
        """Somebody wants the connection, until they say otherwise."""
        if not self.state.desired:
            self.state = replace(self.state, desired=True)
        return self._try_now(now)

    def disconnect(self) -> Commands:
        """Nobody wants it any more. Only `connect` changes that."""
        stopped = self._stop()
        self._failures = 0
        self._show("available", desired=False, attempt=0, last_failure=None)
        return stopped

    def retry(self, now: float) -> Commands:
        """Somebody asks to try now: a wait ends, an attempt that hangs is begun anew."""
        if not self.state.desired or self.state.phase == "connected":
            return ()
        return self._stop() + self._try_now(now)

    def network_changed(self, now: float, *, is_online: bool) -> Commands:
        """The device lost or found its network."""
        self.state = replace(self.state, network="online" if is_online else "offline")
        if is_online:
            return self._try_now(now)
        self._forgive_if_stable(now)
        stopped = self._stop()
        self._show("offline" if self.state.desired else "available")
        return stopped

    def application_active(self, now: float) -> Commands:
        """The device woke up: a connection may be dead without anybody having been told."""
        if self.state.phase != "connected":
            return self._try_now(now)
        if self._probe_ends is not None:
            return ()
        self._probe_ends = now + PROBE_SECONDS
        return (Probe(self._run),)

    def credentials_changed(self, now: float) -> Commands:
        """Another account, or none, signed in. What does not depend on the account goes on undisturbed."""
        is_active = self.state.phase in ("connecting", "connected")
        if is_active and not self._is_relay:
            return ()
        return self._stop() + self._try_now(now)

    # -- outcomes

    def staged(self, run: int, stage: Stage) -> None:
        """The attempt has come so far."""
        if self._is_current(run, "connecting"):
            self.state = replace(self.state, stage=stage)

    def established(self, run: int, now: float) -> None:
        """The connection is open and answered."""
        if self._is_current(run, "connecting"):
            self._connected_at = now
            self._setup_ends = None
            self._show("connected", generation=self.state.generation + 1, last_failure=None)

    def failed(self, run: int, failure: ClientError, now: float) -> Commands:
        """The attempt failed, or the connection ended."""
        if not self._is_current(run, "connecting", "connected"):
            return ()
        return self._fail(failure, now)

    def probe_passed(self, run: int) -> None:
        """The connection answered."""
        if self._is_current(run, "connected"):
            self._probe_ends = None

    def tick(self, now: float) -> Commands:
        """Time has passed: what `wake_at` promised happens."""
        if self._setup_ends is not None and now >= self._setup_ends:
            return self._fail(
                Unavailable(f"{self._label} did not respond during connection setup.", reason="timeout"), now
            )
        if self._probe_ends is not None and now >= self._probe_ends:
            return self._fail(
                Unavailable(f"{self._label} did not respond to a connection health check.", reason="timeout"),
                now,
            )
        if self.state.retry_at is not None and now >= self.state.retry_at:
            return self._try_now(now)
        return ()

    # -- steps

    def _try_now(self, now: float) -> Commands:
        """Begin an attempt, unless one is under way, the connection stands, or nothing may be tried."""
        if not self.state.desired or self.state.phase in ("connecting", "connected"):
            return ()
        if self.state.network == "offline":
            self._show("offline")
            return ()
        self._run += 1
        self._setup_ends = now + SETUP_SECONDS
        self._show("connecting", stage="preparing", attempt=self.state.attempt + 1)
        return (Start(self._run),)

    def _stop(self) -> Commands:
        if self.state.phase not in ("connecting", "connected"):
            return ()
        stopped = self._run
        # A number nobody has: whatever that run still reports is late.
        self._run += 1
        self._setup_ends = self._probe_ends = None
        self._show("available")
        return (Stop(stopped),)

    def _fail(self, failure: ClientError, now: float) -> Commands:
        self._forgive_if_stable(now)
        stopped = self._stop()
        if failure.kind == "blocked":
            self._show("blocked", last_failure=failure)
            return stopped
        self._failures += 1
        self._show("backoff", last_failure=failure, retry_at=now + retry_delay(self._failures))
        return stopped

    def _forgive_if_stable(self, now: float) -> None:
        """A connection that lasted shows that the road is good: waits begin small again."""
        if self.state.phase == "connected" and now - self._connected_at >= STABLE_SECONDS:
            self._failures = 0
            self.state = replace(self.state, attempt=0)

    def _is_current(self, run: int, *phases: Phase) -> bool:
        return run == self._run and self.state.phase in phases

    def _show(
        self, phase: Phase, *, stage: Stage | None = None, retry_at: float | None = None, **changes: object
    ) -> None:
        self.state = replace(self.state, phase=phase, stage=stage, retry_at=retry_at, **changes)  # type: ignore[arg-type]


def sentence(state: State) -> str:
    """What T3's clients show of a state."""
    failure = state.last_failure
    match state.phase:
        case "available":
            return "Available"
        case "offline":
            return "Offline"
        case "connected":
            return "Connected"
        case "blocked":
            return f"Connection failed. Reason: {failure}" if failure else "Connection failed"
        case _ if failure is not None:
            return f"Failed to connect. Reconnecting... Reason: {failure}"
        case _ if state.attempt > 1 or state.generation:
            return "Reconnecting..."
        case _:
            return "Connecting..."
