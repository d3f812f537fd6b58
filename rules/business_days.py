"""The academy's working days: weekends and public holidays of its country do not count."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import holidays

from rules.local_time import at_local

_WEEKEND = 5


def after_working_days(moment: datetime, days: int, zone: ZoneInfo, country: str) -> datetime:
    """The moment (UTC) at the same time of day, this many working days later.

    For a country whose holidays are not known, only Saturdays and Sundays are free.
    """
    local = moment.astimezone(zone)
    try:
        day = holidays.country_holidays(country).get_nth_working_day(local.date(), days)
    except NotImplementedError:
        day, left = local.date(), days
        while left:
            day += timedelta(days=1)
            left -= day.weekday() < _WEEKEND
    return at_local(day, local.time(), zone)
