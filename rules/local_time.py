"""Local wall-clock times as moments: one answer where clocks are turned (DESIGN §4)."""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo


@lru_cache(maxsize=4096)
def at_local(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """The moment (UTC) at which the zone's clocks show this.

    A time that is skipped in spring becomes the next valid minute, one that comes twice in autumn the first of the two.
    """
    local = datetime.combine(day, clock, tzinfo=zone).replace(fold=0)
    if not _exists(local, zone):
        local = local.replace(second=0, microsecond=0)
    while not _exists(local, zone):
        local += timedelta(minutes=1)
    return local.astimezone(UTC)


def _exists(local: datetime, zone: ZoneInfo) -> bool:
    return local.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None)
