"""How the lessons of a tutor's pack may be spread over days, weeks and months (TutorHub R10)."""

from calendar import monthrange
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from models.errors import Reason
from models.vocabulary import PeriodUnit, SchedulingType
from rules.decision import Refused


@dataclass(frozen=True)
class PackRules:
    """The pace a pack is booked at; what is none is not limited. The period binds `strict` packs only."""

    scheduling_type: SchedulingType | None
    min_weekly_classes: int | None
    max_daily_lessons: int | None
    max_period_value: int | None
    max_period_unit: PeriodUnit | None


def check_pack(rules: PackRules, starts: Sequence[datetime], zone: ZoneInfo) -> Refused | None:
    """Why lessons that start at these moments (aware, in any order) cannot be booked together, or none.

    Days are those of `zone`, where the lessons are taken; weeks are counted in sevens from the first lesson's day.
    The day is checked before the week and the week before the period.
    """
    if not starts:
        return None
    days = sorted(start.astimezone(zone).date() for start in starts)
    return _crowded_day(rules, days) or _thin_week(rules, days) or _too_long(rules, days[0], days[-1])


def _crowded_day(rules: PackRules, days: Sequence[date]) -> Refused | None:
    most = rules.max_daily_lessons
    for day, lessons in Counter(days).items():
        if most is not None and lessons > most:
            return Refused(
                Reason.TOO_MANY_LESSONS_A_DAY,
                f"{_lessons(lessons)} on {day}: this pack allows at most {most} a day.",
            )
    return None


def _thin_week(rules: PackRules, days: Sequence[date]) -> Refused | None:
    """The last week is left alone, since a pack rarely fills it."""
    least = rules.min_weekly_classes
    if least is None:
        return None
    by_week = Counter((day - days[0]).days // 7 for day in days)
    for week in range(max(by_week)):
        if by_week[week] < least:
            begins = days[0] + timedelta(weeks=week)
            return Refused(
                Reason.TOO_FEW_LESSONS_A_WEEK,
                f"{_lessons(by_week[week])} in the week from {begins}: this pack asks for at least {least} a week.",
            )
    return None


def _too_long(rules: PackRules, first: date, last: date) -> Refused | None:
    value, unit = rules.max_period_value, rules.max_period_unit
    if rules.scheduling_type is not SchedulingType.STRICT or value is None or unit is None:
        return None
    if _within(first, last, value, unit):
        return None
    return Refused(
        Reason.LESSONS_TOO_FAR_APART,
        f"The lesson on {last} comes too late: this pack is taken within {value} {unit.value} from {first}.",
    )


def _within(first: date, last: date, value: int, unit: PeriodUnit) -> bool:
    """Whether `last` lies before the day on which the period is over; a month ends on its last day at the latest."""
    if unit is PeriodUnit.WEEKS:
        return (last - first).days < 7 * value
    months = 12 * (last.year - first.year) + last.month - first.month
    day_over = min(first.day, monthrange(last.year, last.month)[1])
    return (months, last.day) < (value, day_over)


def _lessons(number: int) -> str:
    return f"{number} lesson{'' if number == 1 else 's'}"
