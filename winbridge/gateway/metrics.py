"""The gateway's figures, for Prometheus and for the status page."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from winbridge.core.wire import Status

BUCKETS = (50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 2e-3, 5e-3, 10e-3, 0.1, 1.0, 10.0)
"""Upper bounds of the latency's histogram, in seconds."""

_PAGE = os.sysconf("SC_PAGE_SIZE")


class Sample(NamedTuple):
    """One session, as it is now.

    Attributes:
        name: the beginning of its id; the whole of it would let a reader use it.
        arch: ``win64`` or ``win32``.
        calls: made so far.
        channels: open.
        users: requests under way.
        idle: seconds since the last request.
        dlls: that its client loaded.
        memory: bytes that its Windows process has in memory.
    """

    name: str
    arch: str
    calls: int
    channels: int
    users: int
    idle: float
    dlls: list[str]
    memory: int


class Metrics(Collector):
    """Counters of one gateway; those of the sessions are taken when somebody asks."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._samples: Callable[[], list[Sample]] = list
        self._requests = Counter("winbridge_requests", "Requests answered.", ["operation", "status"], registry=registry)
        self._received = Counter("winbridge_received_bytes", "Bytes of requests' bodies.", registry=registry)
        self._sent = Counter("winbridge_sent_bytes", "Bytes of answers' bodies.", registry=registry)
        self._seconds = Histogram(
            "winbridge_call_seconds", "Duration of exchanges and batches in the agent.", buckets=BUCKETS,
            registry=registry,
        )  # fmt: skip
        self._calls = Counter("winbridge_calls", "Exchanges made for clients.", registry=registry)
        self._faults = Counter("winbridge_faults", "Calls that ended with a Windows exception.", registry=registry)
        self._problems = Counter("winbridge_problems", "Requests refused or failed.", ["type"], registry=registry)
        self._opened = Counter("winbridge_sessions_opened", "Sessions opened.", ["arch"], registry=registry)
        self._ended = Counter("winbridge_sessions_ended", "Sessions ended.", ["reason"], registry=registry)
        ProcessCollector(registry=registry)
        registry.register(self)

    def watch(self, samples: Callable[[], list[Sample]]) -> None:
        """Say where the sessions' figures come from."""
        self._samples = samples

    def request(self, operation: str, status: int, received: int, sent: int) -> None:
        """A request was answered."""
        self._requests.labels(operation, status).inc()
        self._received.inc(received)
        self._sent.inc(sent)

    def calls(self, seconds: float, made: int, last: int) -> None:
        """The agent answered: one exchange, or those of a batch, the last of them with a given Status."""
        self._calls.inc(made)
        self._seconds.observe(seconds)
        if last == Status.FAULT:
            self._faults.inc()

    def problem(self, kind: str) -> None:
        """A request was refused, or failed."""
        self._problems.labels(kind.rpartition(":")[2]).inc()

    def opened(self, arch: str) -> None:
        """A session was opened."""
        self._opened.labels(arch).inc()

    def ended(self, reason: str) -> None:
        """A session ended: ``closed``, ``expired``, ``died`` or ``shutdown``."""
        self._ended.labels(reason).inc()

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self.registry)

    def totals(self) -> dict[str, float]:
        """The counters without labels, and the sums of the others, by name."""
        found: dict[str, float] = {}
        for counter in (self._requests, self._calls, self._faults, self._problems, self._received, self._sent):
            for metric in counter.collect():
                values = [sample.value for sample in metric.samples if sample.name.endswith("_total")]
                found[metric.name.removeprefix("winbridge_")] = sum(values)
        return found

    def problems(self) -> dict[str, float]:
        """How often each type of problem was answered."""
        samples = [sample for metric in self._problems.collect() for sample in metric.samples]
        return {sample.labels["type"]: sample.value for sample in samples if sample.name.endswith("_total")}

    def latencies(self) -> list[tuple[float, int]]:
        """Upper bounds in seconds, and how many calls were as long as that and longer than the bound before."""
        found, before = [], 0.0
        for metric in self._seconds.collect():
            for sample in metric.samples:
                if sample.name.endswith("_bucket"):
                    found.append((float(sample.labels["le"]), int(sample.value - before)))
                    before = sample.value
        return found

    def collect(self) -> Iterable[Metric]:
        """The sessions as they are now."""
        samples = self._samples()
        sessions = GaugeMetricFamily("winbridge_sessions", "Sessions open.", labels=["arch"])
        memory = GaugeMetricFamily("winbridge_agent_memory_bytes", "Memory of Windows processes.", labels=["arch"])
        for arch in ("win64", "win32"):
            here = [sample for sample in samples if sample.arch == arch]
            sessions.add_metric([arch], len(here))
            memory.add_metric([arch], sum(sample.memory for sample in here))
        under_way = GaugeMetricFamily("winbridge_calls_under_way", "Requests that use a session.")
        under_way.add_metric([], sum(sample.users for sample in samples))
        return [sessions, memory, under_way]


def memory_of(process: int) -> int:
    """Bytes of a process in memory; 0 where it has ended."""
    try:
        with open(f"/proc/{process}/statm") as file:
            return int(file.read().split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        return 0
