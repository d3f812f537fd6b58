"""Which requests came in, and how often each endpoint was called."""

from collections import Counter, deque

from pydantic import BaseModel


class LoggedRequest(BaseModel):
    """One request as it was answered."""

    request_id: str
    at: float
    method: str
    path: str
    route: str
    status: int
    """0 when the connection was cut."""
    idempotency_key: str | None = None
    replayed: bool = False
    faults: list[str] = []


class RequestCounts(BaseModel):
    """How many requests came in, by endpoint, and the newest of them."""

    total: int
    replayed: int
    by_route: dict[str, int]
    entries: list[LoggedRequest]


class RequestLog:
    """The requests of one run; counters are complete, entries are the newest 5,000."""

    def __init__(self) -> None:
        self._entries: deque[LoggedRequest] = deque(maxlen=5000)
        self._by_route: Counter[str] = Counter()
        self._replayed = 0

    def add(self, entry: LoggedRequest) -> None:
        """Note an answered request."""
        self._entries.append(entry)
        self._by_route[f"{entry.method} {entry.route}"] += 1
        self._replayed += entry.replayed

    def counts(self, prefix: str = "", limit: int = 100) -> RequestCounts:
        """The counters, and the newest entries whose path begins with ``prefix``."""
        found = [entry for entry in self._entries if entry.path.startswith(prefix)]
        return RequestCounts(
            total=self._by_route.total(),
            replayed=self._replayed,
            by_route=dict(self._by_route),
            entries=found[-limit:],
        )

    def clear(self) -> None:
        """Start counting again."""
        self._entries.clear()
        self._by_route.clear()
        self._replayed = 0
