"""Gauges that are read from somewhere else when they are asked for, and kept for a while."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from prometheus_client.core import GaugeMetricFamily
from sqlalchemy.exc import SQLAlchemyError
from temporalio.exceptions import TemporalError

Series = tuple[str, ...]

_PATIENCE_SECONDS = 5


@dataclass(frozen=True)
class Gauge:
    """One gauge: its name, what it says, its labels, and the series that are there even when nothing is to be counted.

    Other series than `known` are never shown, so that there is an end to how many there can be; with `open_ended` any
    are, up to a hundred, because only the server knows their names.
    """

    name: str
    says: str
    labels: tuple[str, ...] = ()
    known: tuple[Series, ...] = ((),)
    open_ended: bool = False

    def family(self, values: Mapping[Series, float]) -> GaugeMetricFamily:
        """As Prometheus takes it."""
        family = GaugeMetricFamily(self.name, self.says, labels=self.labels)
        for series in sorted(values)[:100] if self.open_ended else self.known:
            family.add_metric(series, values.get(series, 0))
        return family


Reading = Mapping[str, Mapping[Series, float]]
"""What was read: by the name of the gauge and the values of its labels."""


@dataclass
class Source:
    """Where some gauges are read. What was read is kept for `kept_seconds`, so that a scrape costs nothing."""

    gauges: tuple[Gauge, ...]
    kept_seconds: float
    clock: Callable[[], float] = time.monotonic
    _read: Reading | None = None
    _read_at: float | None = None
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def families(self, read: Callable[[], Awaitable[Reading]]) -> list[GaugeMetricFamily] | None:
        """The gauges; none if the source is away or took longer than five seconds, which is kept as well."""
        async with self._reading:
            if self._read_at is None or self.clock() - self._read_at >= self.kept_seconds:
                self._read = await _in_time(read)
                self._read_at = self.clock()
        if self._read is None:
            return None
        return [gauge.family(self._read.get(gauge.name, {})) for gauge in self.gauges]


async def _in_time(read: Callable[[], Awaitable[Reading]]) -> Reading | None:
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return await read()
    except (OSError, SQLAlchemyError, TemporalError):  # a time-out is an OSError
        return None
