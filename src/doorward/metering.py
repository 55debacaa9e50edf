"""Counting what happens inside a process. Rooms count here; `server.metrics` shows it to Prometheus.

A count is an addition in a dictionary: no lock, no dependency, no cost worth naming on a hot path. So everything is
counted on the event loop's thread. Label values are words of our own code (route templates, outcomes), never a caller's:
each combination stays for the life of the process.
"""

from __future__ import annotations

from bisect import bisect_left

#: Upper bounds in seconds, from a point read to a request that waits for a machine.
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Counter:
    """How often something happened, by labels. `name` without Prometheus's `_total`."""

    def __init__(self, name: str, meaning: str, labels: tuple[str, ...] = ()) -> None:
        self.name = name
        self.meaning = meaning
        self.labels = labels
        self.values: dict[tuple[str, ...], float] = {}

    def add(self, *labels: str, amount: float = 1) -> None:
        self.values[labels] = self.values.get(labels, 0) + amount

    def value(self, *labels: str) -> float:
        return self.values.get(labels, 0)


class Histogram:
    """How long something took, in seconds, by labels."""

    def __init__(self, name: str, meaning: str, labels: tuple[str, ...] = ()) -> None:
        self.name = name
        self.meaning = meaning
        self.labels = labels
        self.values: dict[tuple[str, ...], HistogramValue] = {}

    def observe(self, seconds: float, *labels: str) -> None:
        value = self.values.get(labels)
        if value is None:
            value = self.values[labels] = HistogramValue()
        value.counts[bisect_left(SECONDS, seconds)] += 1
        value.sum += seconds


class HistogramValue:
    """`counts[i]` fell at or below `SECONDS[i]` and above the bound before; the last one lies above all bounds."""

    __slots__ = ("counts", "sum")

    def __init__(self) -> None:
        self.counts = [0] * (len(SECONDS) + 1)
        self.sum = 0.0


# What rooms count, in one place: the page of metrics is this list.

RELAY_CONNECTS = Counter(
    "doorward_relay_connects", "Connect requests a machine was asked about, by outcome.", ("outcome",)
)
RELAY_DELIVERIES = Counter(
    "doorward_relay_deliveries",
    "Notifications that came to an end, by platform and result.",
    ("platform", "result"),
)
WEBHOOK_ATTEMPTS = Counter(
    "doorward_webhook_attempts", "Attempts to deliver an event, by result.", ("result",)
)
MACHINE_MINTS = Counter("doorward_machine_mints", "Mint requests at this machine, by outcome.", ("outcome",))
HTTP_REQUESTS = Counter(
    "doorward_http_requests",
    "Answered requests, by route template and status.",
    ("role", "method", "route", "status"),
)
HTTP_SECONDS = Histogram(
    "doorward_http_request_seconds", "From a request's head to the end of its answer.", ("role", "route")
)
DATABASE_SECONDS = Histogram(
    "doorward_database_seconds", "From asking for a transaction to its answer, waiting included.", ("kind",)
)
DATABASE_FAILURES = Counter(
    "doorward_database_failures", "Transactions that failed, by the store's code.", ("kind", "code")
)

COUNTERS = (
    RELAY_CONNECTS,
    RELAY_DELIVERIES,
    WEBHOOK_ATTEMPTS,
    MACHINE_MINTS,
    HTTP_REQUESTS,
    DATABASE_FAILURES,
)
HISTOGRAMS = (HTTP_SECONDS, DATABASE_SECONDS)
