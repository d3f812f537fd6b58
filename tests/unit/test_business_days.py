"""Working days: by example around holidays and clock changes, and what always holds."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.business_days import after_working_days, after_working_time, working_time

MINUTE = timedelta(minutes=1)
BERLIN = ZoneInfo("Europe/Berlin")


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("asked", "days", "country", "due"),
    [
        ("2026-11-17T10:30", 2, "DE", "2026-11-19T10:30"),
        ("2026-11-19T10:30", 2, "DE", "2026-11-23T10:30"),
        ("2026-12-23T10:30", 2, "DE", "2026-12-28T10:30"),
        ("2026-12-23T10:30", 2, "PL", "2026-12-29T10:30"),
        ("2026-11-21T23:59", 1, "DE", "2026-11-24T00:00"),
        ("2026-11-20T00:00", 1, "DE", "2026-11-23T00:00"),
        ("2026-11-19T10:30", 2, "AE", "2026-11-23T10:30"),
        ("2026-11-19T10:30", 2, "XX", "2026-11-23T10:30"),
    ],
)
def test_weekends_and_holidays_do_not_count(asked: str, days: int, country: str, due: str) -> None:
    found = after_working_days(berlin(asked), days, BERLIN, country)
    assert found == berlin(due)
    assert found.tzinfo is UTC


def test_a_clock_change_does_not_move_the_time_of_day() -> None:
    assert after_working_days(berlin("2026-10-23T10:30"), 1, BERLIN, "DE") == berlin("2026-10-26T10:30")


moments = st.integers(0, 11 * 365 * 24 * 60).map(lambda minutes: datetime(2024, 1, 1, tzinfo=UTC) + minutes * MINUTE)


@given(moments, st.integers(1, 15), st.sampled_from(["DE", "PL", "AE", "JP", "US", "XX"]))
def test_more_days_are_later_and_never_on_a_weekend_of_nowhere(moment: datetime, days: int, country: str) -> None:
    due = after_working_days(moment, days, BERLIN, country)
    assert due >= moment + timedelta(days=days) - timedelta(hours=1)
    assert due < after_working_days(moment, days + 1, BERLIN, country)


DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@pytest.mark.parametrize(
    ("since", "until", "country", "passed"),
    [
        ("2026-11-17T10:30", "2026-11-17T12:00", "DE", timedelta(hours=1, minutes=30)),
        ("2026-11-17T10:30", "2026-11-18T10:30", "DE", DAY),
        ("2026-11-20T22:00", "2026-11-23T01:00", "DE", 3 * HOUR),
        ("2026-11-21T10:30", "2026-11-22T10:30", "DE", timedelta()),
        ("2026-11-21T10:30", "2026-11-23T02:00", "DE", 2 * HOUR),
        ("2026-12-24T12:00", "2026-12-28T12:00", "DE", DAY),
        ("2026-12-24T12:00", "2026-12-28T12:00", "PL", 12 * HOUR),
        ("2026-04-02T10:00", "2026-04-07T10:00", "DE", DAY),
        ("2026-11-18T10:30", "2026-11-17T10:30", "DE", timedelta()),
        ("2026-11-17T10:30", "2026-11-17T10:30", "DE", timedelta()),
        ("2026-11-18T10:30", "2026-11-19T10:30", "XX", DAY),
    ],
)
def test_working_time_is_what_passes_on_working_days(since: str, until: str, country: str, passed: timedelta) -> None:
    assert working_time(berlin(since), berlin(until), BERLIN, country) == passed


def test_a_working_day_counts_in_full_where_the_clock_changes() -> None:
    """Amman turned its clock on Fridays, working days of an academy there whose country is not known."""
    amman = ZoneInfo("Asia/Amman")
    spring = [datetime(2022, 2, day, 12, tzinfo=amman) for day in (24, 25)]
    autumn = [datetime(2021, 10, day, 12, tzinfo=amman) for day in (28, 29)]
    for (since, until), hours in ((spring, 23), (autumn, 25)):
        assert until.astimezone(UTC) - since.astimezone(UTC) == hours * HOUR
        assert working_time(since, until, amman, "XX") == DAY
        assert after_working_time(since, DAY, amman, "XX") == until.astimezone(UTC)


def test_working_time_is_counted_across_a_clock_change_over_a_weekend() -> None:
    assert working_time(berlin("2026-10-23T10:30"), berlin("2026-10-26T10:30"), BERLIN, "DE") == DAY
    assert working_time(berlin("2026-03-27T10:30"), berlin("2026-03-30T12:30"), BERLIN, "DE") == DAY + 2 * HOUR
    assert after_working_time(berlin("2026-03-27T10:30"), DAY + 2 * HOUR, BERLIN, "DE") == berlin("2026-03-30T12:30")


def test_no_working_time_at_all_is_the_next_moment_that_counts() -> None:
    assert after_working_time(berlin("2026-11-17T10:30"), timedelta(), BERLIN, "DE") == berlin("2026-11-17T10:30")
    assert after_working_time(berlin("2026-11-21T10:30"), timedelta(), BERLIN, "DE") == berlin("2026-11-23T00:00")


spans = st.integers(0, 40 * 24 * 60).map(lambda minutes: minutes * MINUTE)
countries = st.sampled_from(["DE", "PL", "AE", "JP", "US", "XX"])


@given(moments, spans, countries)
def test_the_time_until_a_moment_is_the_time_it_was_made_of(moment: datetime, span: timedelta, country: str) -> None:
    """Berlin's clock changes on Sundays, which are free, so no working moment is skipped or comes twice."""
    until = after_working_time(moment, span, BERLIN, country)
    assert until >= moment
    assert working_time(moment, until, BERLIN, country) == span


@given(moments, spans, spans, countries)
def test_the_parts_of_a_time_add_up(moment: datetime, first: timedelta, second: timedelta, country: str) -> None:
    middle, end = moment + first, moment + first + second
    whole = working_time(moment, end, BERLIN, country)
    parts = working_time(moment, middle, BERLIN, country) + working_time(middle, end, BERLIN, country)
    assert whole == parts
    assert timedelta() <= whole <= end - moment + HOUR
