"""Working days: by example around holidays and clock changes, and what always holds."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.business_days import after_working_days

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
