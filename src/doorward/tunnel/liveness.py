"""Is the other end still there, and how far away is it? Pure: time comes in, advice goes out.

Silence for `interval` is answered with a PING; after two unanswered ones and `grace` more the tunnel is dead
(defaults: 15 + 15 + 10 = 40 s). When the wall clock ran ahead of the monotonic one the machine slept: probe at once.
"""

from __future__ import annotations

from enum import Enum, auto

import msgspec

_RTT_GAIN = 0.125
_JUMP_SECONDS = 20.0


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """In seconds."""

    interval: float = 15.0
    grace: float = 10.0
    probe: float = 3.0
    """How long an answer may take after a suspected sleep."""


class Advice(Enum):
    NOTHING = auto()
    PING = auto()
    DEAD = auto()


class Liveness:
    __slots__ = (
        "_clock_gap",
        "_heard_at",
        "_ping_sent_at",
        "_ping_token",
        "_probe_until",
        "_settings",
        "_unanswered",
        "rtt",
    )

    def __init__(self, settings: Heartbeat, now: float) -> None:
        self._settings = settings
        self._heard_at = now
        self._unanswered = 0
        self._ping_token = 0
        self._ping_sent_at: float | None = None
        self._probe_until: float | None = None
        self._clock_gap: float | None = None
        self.rtt: float | None = None
        """Smoothed round trip in seconds, once measured."""

    def heard(self, now: float) -> None:
        self._heard_at = now
        self._unanswered = 0
        self._probe_until = None

    def ping(self, now: float) -> bytes:
        """The payload of a PING to send now."""
        self._ping_token += 1
        self._ping_sent_at = now
        return self._ping_token.to_bytes(8, "big")

    def doubt(self, now: float) -> None:
        """There is a reason to think that the other end is gone: the next answer must come soon."""
        self._probe_until = now + self._settings.probe

    def may_measure(self, now: float) -> bool:
        """A round trip was not measured within the last second."""
        return self._ping_sent_at is None or now - self._ping_sent_at > 1.0

    def ponged(self, payload: bytes, now: float) -> None:
        if self._ping_sent_at is not None and payload == self._ping_token.to_bytes(8, "big"):
            sample = max(now - self._ping_sent_at, 1e-6)
            self.rtt = sample if self.rtt is None else self.rtt + _RTT_GAIN * (sample - self.rtt)

    def poll(self, now: float, wall: float) -> Advice:
        """`now` is monotonic, `wall` the Unix time, both in seconds. Call it about every second."""
        gap = wall - now
        slept = self._clock_gap is not None and gap - self._clock_gap > _JUMP_SECONDS
        self._clock_gap = gap
        if slept:
            self.doubt(now)
            return Advice.PING
        if self._probe_until is not None and now >= self._probe_until:
            return Advice.DEAD
        silence = now - self._heard_at
        if self._unanswered >= 2:
            return (
                Advice.DEAD
                if silence >= 2 * self._settings.interval + self._settings.grace
                else Advice.NOTHING
            )
        if silence >= self._settings.interval * (self._unanswered + 1):
            self._unanswered += 1
            return Advice.PING
        return Advice.NOTHING
