"""Every counter, gauge and histogram of the hub, named and described once.

One `Metrics` belongs to one hub instance and has a registry of its own, so that two hubs in one process (tests) never share a
number. Labels have few, fixed values: never a path, an argument, a user or a session.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

disable_created_metrics()  # type: ignore[no-untyped-call]  # a `_created` line for each number says nothing anybody asks

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST

_LATENCY_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_BATCH = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Tally(Collector):
    """A counter that is a plain number until somebody looks: for what is counted once for each delivery."""

    def __init__(self, name: str, documentation: str, registry: CollectorRegistry) -> None:
        self.value = 0
        self._name = name
        self._documentation = documentation
        registry.register(self)

    def collect(self) -> Iterable[Metric]:
        yield CounterMetricFamily(self._name, self._documentation, self.value)


class Tallies(Collector):
    """The same by a label's value."""

    def __init__(self, name: str, documentation: str, label: str, registry: CollectorRegistry) -> None:
        self._values: dict[str, int] = {}
        self._name = name
        self._documentation = documentation
        self._label = label
        registry.register(self)

    def count(self, value: str) -> None:
        self._values[value] = self._values.get(value, 0) + 1

    def collect(self) -> Iterable[Metric]:
        family = CounterMetricFamily(self._name, self._documentation, labels=[self._label])
        for value, count in self._values.items():
            family.add_metric([value], count)
        yield family


class Metrics:
    """Call `.inc()`, `.set()`, `.observe()`, `.count()` on the attributes; `text()` is what `/metrics` answers."""

    def __init__(self, version: str = "", *, process: bool = True) -> None:
        registry = self.registry = CollectorRegistry()

        # change feed and commits
        self.commits = Counter("hub_commits", "Commits the change feed delivered, anybody's.", registry=registry)
        self.own_commits = Counter("hub_own_commits", "Commits of this process that the change feed delivered.", registry=registry)
        self.row_changes = Counter("hub_row_changes", "Row changes in those commits.", registry=registry)
        self.lag_seconds = Gauge("hub_feed_lag_seconds", "Seconds the change feed is behind the database.", registry=registry)
        self.feed_position_seconds = Gauge(
            "hub_feed_position_seconds", "Cluster time the feed has passed, in seconds since the epoch.", registry=registry
        )
        self.head_seconds = Gauge(
            "hub_head_seconds", "Cluster time that screens show, in seconds since the epoch.", registry=registry
        )
        self.resyncs = Counter(
            "hub_resyncs", "Times the feed could not be continued and every live query ran again.", registry=registry
        )
        self.ready = Gauge("hub_ready", "1 while this hub may take traffic.", registry=registry)

        # live queries
        self.live_queries = Gauge("hub_live_queries", "Live queries with a subscriber.", registry=registry)
        self.invalidations = Counter("hub_invalidations", "Live queries that a commit made stale.", registry=registry)
        self.reruns = Counter("hub_reruns", "Re-runs of live queries.", registry=registry)
        self.wasted_reruns = Counter("hub_wasted_reruns", "Re-runs whose result was the one before.", registry=registry)
        self.discarded_runs = Counter(
            "hub_discarded_runs", "Shared runs thrown away because the function looked at who asks.", registry=registry
        )
        self.run_seconds = Histogram(
            "hub_query_run_seconds", "Duration of one run of a query.", registry=registry, buckets=_LATENCY_S
        )
        self.round_seconds = Histogram("hub_round_seconds", "Duration of one round.", registry=registry, buckets=_LATENCY_S)

        # range cache
        self.cache_hits = Counter("hub_cache_hits", "Reads of live queries that were answered from memory.", registry=registry)
        self.cache_misses = Counter("hub_cache_misses", "Reads of live queries that the database answered.", registry=registry)
        self.cache_hydrations = Counter(
            "hub_cache_hydrations", "Reads of the database whose rows were taken into the cache.", registry=registry
        )
        self.cache_evictions = Counter(
            "hub_cache_evictions", "Ranges and rows given up: unused for long, or over the budget.", registry=registry
        )
        self.cache_bytes = Gauge("hub_cache_bytes", "Estimated size of the cache in memory.", registry=registry)
        self.cache_ranges = Gauge("hub_cache_ranges", "Ranges in the cache, and rows read by id.", registry=registry)

        # mutations
        self.mutations = Tallies("hub_mutations", "Mutations answered, by the code of their error, or ok.", "code", registry)
        self.mutation_seconds = Histogram(
            "hub_mutation_seconds", "From a mutation's arrival to its answer.", registry=registry, buckets=_LATENCY_S
        )
        self.batch_mutations = Histogram(
            "hub_batch_mutations", "Mutations committed in one transaction.", registry=registry, buckets=_BATCH
        )
        self.conflicts = Counter("hub_conflicts", "Transactions that lost and were run again.", registry=registry)
        self.unknown_outcomes = Counter(
            "hub_unknown_outcomes", "Commits whose outcome had to be found out afterwards.", registry=registry
        )

        # sessions
        self.sessions = Gauge("hub_sessions", "Open sockets.", registry=registry)
        self.sessions_opened = Counter("hub_sessions_opened", "Sockets accepted.", registry=registry)
        self.messages_received = Tallies("hub_messages_received", "Messages of clients, by type.", "type", registry)
        self.transitions = Tally("hub_transitions", "Transitions sent.", registry)
        self.sent_bytes = Tally("hub_sent_bytes", "Bytes of messages sent to clients, before compression.", registry)
        self.queue_length = Gauge("hub_queue_length", "What waits: mutations.", ["queue"], registry=registry)

        # edges
        self.http_requests = Counter("hub_http_requests", "HTTP calls answered.", ["route", "status"], registry=registry)
        self.http_seconds = Histogram(
            "hub_http_seconds", "Duration of an HTTP call.", ["route"], registry=registry, buckets=_LATENCY_S
        )
        self.refused_origins = Counter("hub_refused_origins", "Requests refused for their Host or Origin.", registry=registry)
        self.key_fetches = Counter("hub_auth_key_fetches", "Fetches of issuers' keys: ok, failed.", ["outcome"], registry=registry)
        self.errors = Counter("hub_errors", "Errors told to callers, by their stable code.", ["code"], registry=registry)

        Info("hub_build", "Version of this hub.", registry=registry).info({"version": version})
        if process:
            ProcessCollector(registry=registry)
            PlatformCollector(registry=registry)
            GCCollector(registry=registry)

    def text(self) -> bytes:
        """All numbers in Prometheus' text format."""
        return generate_latest(self.registry)
