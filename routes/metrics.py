"""What the API counts and reads, for Prometheus. Labels come from closed lists: route templates, words, reasons."""

from collections.abc import Iterator
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from temporalio.client import Client

from activities.database import Sessions
from routes import job_gauges, record_gauges
from routes.gauges import Gauge, Source

SOURCE_UP = Gauge(
    "registrar_source_up", "0 while what is read there is missing here", ("source",), (("record",), ("temporal",))
)

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """The counters of one application, in a registry of its own so that two in a process never mix."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "registrar_http_requests_total",
            "Requests answered",
            ("route", "method", "status"),
            registry=self._registry,
        )
        self.latency = Histogram(
            "registrar_http_request_seconds",
            "Time from request to answer",
            ("route", "method"),
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20),
            registry=self._registry,
        )
        self.webhooks = Counter(
            "registrar_stripe_webhooks_total",
            "Webhooks of Stripe by what became of them",
            ("outcome",),
            registry=self._registry,
        )
        self.refusals = Counter(
            "registrar_refusals_total", "Problem documents sent, by reason", ("reason",), registry=self._registry
        )
        self._record = Source(record_gauges.GAUGES, record_gauges.KEPT_SECONDS)
        self._jobs = Source(job_gauges.GAUGES, job_gauges.KEPT_SECONDS)

    def observe(self, *, route: str, method: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        known = known_method(method)
        self.requests.labels(route, known, str(status)).inc()
        self.latency.labels(route, known).observe(seconds)

    async def exposition(self, sessions: Sessions, temporal: Client) -> bytes:
        """Everything counted so far and how the work goes, in the Prometheus text format.

        What cannot be read is left out, and `registrar_source_up` says so: a scrape never fails.
        """
        read = {
            "record": await self._record.families(partial(record_gauges.read_record, sessions)),
            "temporal": await self._jobs.families(partial(job_gauges.read_jobs, temporal)),
        }
        gauges = [family for families in read.values() for family in families or ()]
        gauges.append(SOURCE_UP.family({(name,): float(families is not None) for name, families in read.items()}))
        once = CollectorRegistry()
        once.register(_Read(gauges))
        return generate_latest(self._registry) + generate_latest(once)


class _Read(Collector):
    """Gauges with their values, as they were read."""

    def __init__(self, families: list[GaugeMetricFamily]) -> None:
        self._families = families

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The families themselves."""
        return iter(self._families)


def known_method(method: str) -> str:
    """The method, or `other`: callers may send any word."""
    return method if method in _METHODS else "other"
