"""Local times where clocks are turned."""

from datetime import date, datetime, time
from zoneinfo import ZoneInfo

import pytest

from rules.local_time import at_local


@pytest.mark.parametrize(
    ("day", "clock", "zone", "shown"),
    [
        (date(2026, 7, 1), time(9), "Europe/Berlin", "2026-07-01T09:00:00+02:00"),
        (date(2026, 3, 29), time(2, 30), "Europe/Berlin", "2026-03-29T03:00:00+02:00"),
        (date(2026, 10, 25), time(2, 30), "Europe/Berlin", "2026-10-25T02:30:00+02:00"),
        (date(2026, 10, 4), time(2, 15), "Australia/Lord_Howe", "2026-10-04T02:30:00+11:00"),
        (date(2011, 12, 30), time(9), "Pacific/Apia", "2011-12-31T00:00:00+14:00"),
    ],
)
def test_a_local_time_has_one_moment(day: date, clock: time, zone: str, shown: str) -> None:
    place = ZoneInfo(zone)
    assert at_local(day, clock, place) == datetime.fromisoformat(shown)
