"""The academy's working days: weekends and public holidays of its country do not count.

A working day counts in full, from midnight to midnight of the academy's wall clock, also where the clock changes.
"""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import holidays

from rules.local_time import at_local

_WEEKEND = 5
_DAY = timedelta(days=1)


def after_working_days(moment: datetime, days: int, zone: ZoneInfo, country: str) -> datetime:
    """The moment (UTC) this many working days later; on a working day that is the same time of day.

    For a country whose holidays are not known, only Saturdays and Sundays are free.
    """
    return after_working_time(moment, days * _DAY, zone, country)


def after_working_time(moment: datetime, span: timedelta, zone: ZoneInfo, country: str) -> datetime:
    """The moment (UTC) at which so much working time has passed."""
    calendar = _Calendar(country)
    wall, left = calendar.next_working(_wall_clock(moment, zone)), span
    while left >= (rest := _midnight_after(wall) - wall):
        left -= rest
        wall = calendar.next_working(_midnight_after(wall))
    wall += left
    return at_local(wall.date(), wall.time(), zone)


def working_time(since: datetime, until: datetime, zone: ZoneInfo, country: str) -> timedelta:
    """How much working time has passed; nothing if `until` is not later."""
    calendar = _Calendar(country)
    wall, end, passed = _wall_clock(since, zone), _wall_clock(until, zone), timedelta()
    while (wall := calendar.next_working(wall)) < end:
        stop = min(_midnight_after(wall), end)
        passed += stop - wall
        wall = stop
    return passed


class _Calendar:
    def __init__(self, country: str) -> None:
        try:
            self._holidays: holidays.HolidayBase | None = holidays.country_holidays(country)
        except NotImplementedError:
            self._holidays = None

    def next_working(self, wall: datetime) -> datetime:
        """The same moment of the wall clock on a working day, else the midnight at which the next one begins."""
        while not self._is_working(wall.date()):
            wall = _midnight_after(wall)
        return wall

    def _is_working(self, day: date) -> bool:
        return day.weekday() < _WEEKEND if self._holidays is None else self._holidays.is_working_day(day)


def _wall_clock(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


def _midnight_after(wall: datetime) -> datetime:
    return datetime.combine(wall.date() + _DAY, time())
