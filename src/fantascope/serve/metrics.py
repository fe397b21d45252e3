"""Counters for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily

from fantascope.engines.memory import resident

if TYPE_CHECKING:
    from fantascope.serve.desk import Desk

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Metrics:
    """What is counted of one server, in a registry of its own."""

    def __init__(self, desk: Desk) -> None:
        self.registry = CollectorRegistry()
        named: dict[str, Any] = {"registry": self.registry}
        self._requests = Counter("fantascope_requests", "HTTP requests", ["method", "route", "status"], **named)
        self._seconds = Histogram(
            "fantascope_request_seconds", "Time to answer a request", ["method", "route"], buckets=SECONDS, **named
        )
        self.jobs = Counter("fantascope_jobs", "Jobs that ended", ["task", "status"], **named)
        self.pictures = Counter("fantascope_pictures", "Pictures kept", **named)
        self.work = Histogram(
            "fantascope_job_seconds", "Time from accepted to ended", ["task"], buckets=SECONDS, **named
        )
        self.registry.register(_State(desk))
        desk.listen(self._ended)

    def asked(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)

    def _ended(self, task: str, status: str, pictures: int, seconds: float) -> None:
        self.jobs.labels(task, status).inc()
        self.pictures.inc(pictures)
        self.work.labels(task).observe(seconds)


class _State:
    """What is so at the moment it is asked for."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def collect(self) -> Iterator[GaugeMetricFamily]:
        waiting = GaugeMetricFamily("fantascope_jobs_live", "Jobs that wait or run", labels=["state"])
        for state, count in self._desk.counts().items():
            waiting.add_metric([state], count)
        yield waiting
        yield GaugeMetricFamily("fantascope_paused", "Whether the queue is paused", value=float(self._desk.paused))
        held = resident()
        if held is not None:
            yield GaugeMetricFamily("fantascope_resident_bytes", "Resident memory of the process", value=held)
