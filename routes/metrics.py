"""What the API counts, for Prometheus. Labels come from closed lists: route templates, words, reasons."""

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

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

    def observe(self, *, route: str, method: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        known = known_method(method)
        self.requests.labels(route, known, str(status)).inc()
        self.latency.labels(route, known).observe(seconds)

    def exposition(self) -> bytes:
        """Everything counted so far, in the Prometheus text format."""
        return generate_latest(self._registry)


def known_method(method: str) -> str:
    """The method, or `other`: callers may send any word."""
    return method if method in _METHODS else "other"
