"""What Prometheus scrapes: the counts of `doorward.metering`, and what is open in this node now.

`prometheus_client` writes the format; it is imported with this module, which only a node with an admin listener loads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

from doorward import __version__
from doorward.metering import COUNTERS, HISTOGRAMS, SECONDS, Counter, Histogram
from doorward.server.metered import MeteredDatabase

__all__ = ["Metric", "Metrics", "machine_gauges", "node_gauges"]

if TYPE_CHECKING:
    from doorward.server.node import Node


class Metrics:
    """One process's page."""

    def __init__(self, roles: Sequence[str]) -> None:
        self._open_now: Sequence[Metric] = ()
        self._roles = roles
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def page(self, accept: str, open_now: Sequence[Metric]) -> tuple[str, bytes]:
        """Content type and body, in the newest format the scraper accepts. `open_now` goes with the counts."""
        self._open_now = open_now
        encode, content_type = choose_encoder(accept)
        return content_type, encode(self._registry)

    def describe(self) -> list[Metric]:
        """Nothing to check for clashes at registration: every name is ours and written once."""
        return []

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily(
            "doorward_build", "The program.", {"version": __version__, "roles": ",".join(self._roles)}
        )
        yield from (_counter(counter) for counter in COUNTERS)
        yield from (_histogram(histogram) for histogram in HISTOGRAMS)
        yield from self._open_now


def _counter(counter: Counter) -> Metric:
    family = CounterMetricFamily(counter.name, counter.meaning, labels=counter.labels)
    for labels, value in counter.values.items():
        family.add_metric(labels, value)
    return family


def _histogram(histogram: Histogram) -> Metric:
    family = HistogramMetricFamily(histogram.name, histogram.meaning, labels=histogram.labels)
    for labels, value in histogram.values.items():
        total, buckets = 0, []
        for bound, count in zip((*map(str, SECONDS), "+Inf"), value.counts, strict=True):
            total += count
            buckets.append((bound, float(total)))
        family.add_metric(labels, buckets, value.sum)
    return family


def node_gauges(node: Node) -> Iterator[Metric]:
    """What is open at a node now, and what its edge counted."""
    if isinstance(node.database, MeteredDatabase):
        waiting = GaugeMetricFamily(
            "doorward_database_in_progress", "Transactions that wait or run.", labels=("kind",)
        )
        for kind, count in node.database.in_progress.items():
            waiting.add_metric((kind,), count)
        yield waiting
    if node.identity is not None:
        yield GaugeMetricFamily(
            "doorward_mails_waiting",
            "Messages not yet handed to the mail server.",
            node.identity.mails.waiting,
        )
    if node.edge is not None:
        stats = node.edge.stats()
        yield GaugeMetricFamily("doorward_edge_connections", "Open connections.", stats.connections)
        yield GaugeMetricFamily("doorward_edge_tunnels", "Machines connected.", stats.tunnels)
        yield GaugeMetricFamily("doorward_edge_streams", "Open exchanges with machines.", stats.streams)
        yield CounterMetricFamily("doorward_edge_requests", "Requests handed to machines.", stats.requests)
        yield CounterMetricFamily(
            "doorward_edge_connections_refused",
            "Connections beyond an address's limit.",
            stats.connections_refused,
        )
        yield CounterMetricFamily(
            "doorward_edge_tunnels_opened", "Tunnels that were let in.", stats.tunnels_opened
        )
        yield CounterMetricFamily(
            "doorward_edge_tunnels_superseded",
            "Tunnels that a newer one of the same machine ended.",
            stats.tunnels_superseded,
        )
        moved = CounterMetricFamily(
            "doorward_edge_bytes", "Bytes of the tunnels, frames included.", labels=("direction",)
        )
        moved.add_metric(("from_machines",), stats.bytes_from_machines)
        moved.add_metric(("to_machines",), stats.bytes_to_machines)
        yield moved
        missed = CounterMetricFamily(
            "doorward_edge_requests_missed", "Requests that met no machine.", labels=("reason",)
        )
        missed.add_metric(("unknown_host",), stats.requests_unknown_host)
        missed.add_metric(("offline",), stats.requests_offline)
        yield missed


def machine_gauges(devices: Mapping[str, int], *, is_connected: bool) -> Iterator[Metric]:
    """`devices`: how many there are by status; `pending` ones wait for their owner."""
    known = GaugeMetricFamily(
        "doorward_machine_devices", "Devices that asked, by status.", labels=("status",)
    )
    for status in ("pending", "approved", "rejected"):
        known.add_metric((status,), devices.get(status, 0))
    yield known
    yield GaugeMetricFamily(
        "doorward_machine_connected", "Whether something comes through the tunnel.", int(is_connected)
    )
