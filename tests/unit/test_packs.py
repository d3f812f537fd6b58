"""The pace at which a tutor's pack may be booked."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import Reason
from models.vocabulary import PeriodUnit, SchedulingType
from rules.decision import Refused
from rules.packs import PackRules, check_pack

BERLIN = ZoneInfo("Europe/Berlin")
FREE_PACE = PackRules(None, None, None, None, None)


def days(*texts: str) -> list[datetime]:
    """A lesson at nine in Berlin on each of these days."""
    return [datetime.combine(date.fromisoformat(text), time(9), BERLIN).astimezone(UTC) for text in texts]


def within(value: int, unit: PeriodUnit) -> PackRules:
    return replace(FREE_PACE, scheduling_type=SchedulingType.STRICT, max_period_value=value, max_period_unit=unit)


def why_not(rules: PackRules, starts: Sequence[datetime], zone: ZoneInfo = BERLIN) -> Reason | None:
    refused = check_pack(rules, starts, zone)
    return None if refused is None else refused.reason


def test_a_pack_without_limits_is_booked_as_one_likes() -> None:
    assert check_pack(FREE_PACE, days("2026-03-02", "2026-03-02", "2029-12-31"), BERLIN) is None
    assert (
        check_pack(replace(within(0, PeriodUnit.WEEKS), min_weekly_classes=9, max_daily_lessons=0), [], BERLIN) is None
    )


def test_a_day_holds_so_many_lessons_and_no_more() -> None:
    two_a_day = replace(FREE_PACE, max_daily_lessons=2)
    assert why_not(two_a_day, days("2026-03-02", "2026-03-02", "2026-03-03")) is None
    assert check_pack(two_a_day, days("2026-03-03", "2026-03-02", "2026-03-03", "2026-03-03"), BERLIN) == Refused(
        Reason.TOO_MANY_LESSONS_A_DAY, "3 lessons on 2026-03-03: this pack allows at most 2 a day."
    )


def test_days_are_those_of_the_zone() -> None:
    one_a_day = replace(FREE_PACE, max_daily_lessons=1)
    around_midnight = [datetime(2026, 3, 2, 22, 30, tzinfo=UTC), datetime(2026, 3, 2, 23, 30, tzinfo=UTC)]
    assert why_not(one_a_day, around_midnight) is None
    assert why_not(one_a_day, around_midnight, ZoneInfo("UTC")) is Reason.TOO_MANY_LESSONS_A_DAY
    assert why_not(one_a_day, around_midnight, ZoneInfo("Asia/Tokyo")) is Reason.TOO_MANY_LESSONS_A_DAY


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (datetime(2026, 3, 28, 23, tzinfo=UTC), datetime(2026, 3, 29, 21, 59, tzinfo=UTC)),  # a day of 23 hours
        (datetime(2026, 10, 24, 22, tzinfo=UTC), datetime(2026, 10, 25, 22, 59, tzinfo=UTC)),  # and one of 25
    ],
)
def test_a_day_on_which_clocks_are_turned_is_one_day(first: datetime, last: datetime) -> None:
    one_a_day = replace(FREE_PACE, max_daily_lessons=1)
    assert why_not(one_a_day, [first, last]) is Reason.TOO_MANY_LESSONS_A_DAY
    assert why_not(one_a_day, [first, last + timedelta(minutes=1)]) is None
    assert why_not(one_a_day, [first - timedelta(minutes=1), last]) is None


def test_weeks_are_counted_in_sevens_from_the_first_lesson() -> None:
    two_a_week = replace(FREE_PACE, min_weekly_classes=2)
    assert why_not(two_a_week, days("2026-03-05", "2026-03-11", "2026-03-12", "2026-03-18", "2026-03-19")) is None
    assert check_pack(two_a_week, days("2026-03-19", "2026-03-05", "2026-03-11", "2026-03-12"), BERLIN) == Refused(
        Reason.TOO_FEW_LESSONS_A_WEEK,
        "1 lesson in the week from 2026-03-12: this pack asks for at least 2 a week.",
    )


def test_the_last_week_need_not_be_full() -> None:
    three_a_week = replace(FREE_PACE, min_weekly_classes=3)
    assert why_not(three_a_week, days("2026-03-02")) is None
    assert why_not(three_a_week, days("2026-03-02", "2026-03-03", "2026-03-08", "2026-03-09")) is None
    assert why_not(three_a_week, days("2026-03-02", "2026-03-03", "2026-03-09")) is Reason.TOO_FEW_LESSONS_A_WEEK


def test_a_week_without_any_lesson_is_a_week() -> None:
    one_a_week = replace(FREE_PACE, min_weekly_classes=1)
    refused = check_pack(one_a_week, days("2026-03-02", "2026-03-16"), BERLIN)
    assert refused is not None
    assert refused.detail.startswith("0 lessons in the week from 2026-03-09")


def test_weeks_across_a_turned_clock_are_seven_days() -> None:
    one_a_week = replace(FREE_PACE, min_weekly_classes=1)
    just_before_midnight = datetime(2026, 3, 28, 22, 59, tzinfo=UTC)  # 23:59 in Berlin
    two_weeks_later = datetime(2026, 4, 10, 21, 59, tzinfo=UTC)  # 23:59 on the last day of the second week
    assert why_not(one_a_week, [just_before_midnight, two_weeks_later]) is None
    assert why_not(one_a_week, [just_before_midnight, two_weeks_later + timedelta(minutes=1)]) is (
        Reason.TOO_FEW_LESSONS_A_WEEK
    )


@pytest.mark.parametrize(
    ("value", "unit", "first", "last_good"),
    [
        (1, PeriodUnit.WEEKS, "2026-03-02", "2026-03-08"),
        (2, PeriodUnit.WEEKS, "2026-12-24", "2027-01-06"),
        (1, PeriodUnit.MONTHS, "2026-03-02", "2026-04-01"),
        (1, PeriodUnit.MONTHS, "2026-01-31", "2026-02-27"),
        (1, PeriodUnit.MONTHS, "2028-01-31", "2028-02-28"),
        (3, PeriodUnit.MONTHS, "2025-11-30", "2026-02-27"),
        (12, PeriodUnit.MONTHS, "2028-02-29", "2029-02-27"),
        (3, PeriodUnit.MONTHS, "2026-12-01", "2027-02-28"),
    ],
)
def test_a_strict_pack_is_taken_within_its_period(value: int, unit: PeriodUnit, first: str, last_good: str) -> None:
    too_late = (date.fromisoformat(last_good) + timedelta(days=1)).isoformat()
    assert why_not(within(value, unit), days(first, last_good)) is None
    assert check_pack(within(value, unit), days(first, too_late), BERLIN) == Refused(
        Reason.LESSONS_TOO_FAR_APART,
        f"The lesson on {too_late} comes too late: this pack is taken within {value} {unit.value} from {first}.",
    )


@pytest.mark.parametrize("scheduling", [None, SchedulingType.FLEXIBLE])
def test_only_a_strict_pack_has_a_period(scheduling: SchedulingType | None) -> None:
    rules = replace(within(1, PeriodUnit.WEEKS), scheduling_type=scheduling)
    assert why_not(rules, days("2026-03-02", "2027-03-02")) is None


def test_the_day_is_told_before_the_week_and_the_week_before_the_period() -> None:
    rules = replace(within(1, PeriodUnit.WEEKS), min_weekly_classes=2, max_daily_lessons=1)
    lessons = days("2026-03-02", "2026-03-16", "2026-03-16")
    assert why_not(rules, lessons) is Reason.TOO_MANY_LESSONS_A_DAY
    assert why_not(replace(rules, max_daily_lessons=2), lessons) is Reason.TOO_FEW_LESSONS_A_WEEK
    assert why_not(replace(rules, max_daily_lessons=2, min_weekly_classes=None), lessons) is (
        Reason.LESSONS_TOO_FAR_APART
    )


moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(ZoneInfo("UTC")))  # noqa: DTZ001
limits = st.none() | st.integers(1, 4)
paces = st.builds(
    PackRules,
    scheduling_type=st.none() | st.sampled_from(SchedulingType),
    min_weekly_classes=limits,
    max_daily_lessons=limits,
    max_period_value=limits,
    max_period_unit=st.sampled_from(PeriodUnit),
)


@given(paces, st.lists(moments, max_size=12), st.randoms(use_true_random=False))
def test_it_does_not_matter_in_which_order_lessons_are_chosen(
    rules: PackRules, starts: list[datetime], random: Random
) -> None:
    shuffled = list(starts)
    random.shuffle(shuffled)
    assert check_pack(rules, starts, BERLIN) == check_pack(rules, shuffled, BERLIN)


@given(st.integers(1, 5), st.integers(1, 10), st.dates(date(2026, 1, 1), date(2030, 1, 1)))
def test_lessons_on_the_same_weekday_keep_any_pace_they_make(a_day: int, weeks: int, first: date) -> None:
    lessons = [first + timedelta(weeks=week) for week in range(weeks) for _ in range(a_day)]
    starts = days(*(day.isoformat() for day in lessons))
    rules = replace(within(weeks, PeriodUnit.WEEKS), min_weekly_classes=a_day, max_daily_lessons=a_day)
    assert check_pack(rules, starts, BERLIN) is None
    assert why_not(replace(rules, max_daily_lessons=a_day - 1), starts) is Reason.TOO_MANY_LESSONS_A_DAY
    if weeks > 1:
        assert why_not(replace(rules, min_weekly_classes=a_day + 1), starts) is Reason.TOO_FEW_LESSONS_A_WEEK
        shorter = replace(rules, max_period_value=weeks - 1)
        assert why_not(shorter, starts) is Reason.LESSONS_TOO_FAR_APART
