"""Which days a report is about: whole days of the academy, by the moment that it is meant for alone."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.messages.exports import ExportFilters
from models.vocabulary import ExportReport
from rules.local_time import at_local
from rules.report_periods import Span, span_asked, span_of

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = st.sampled_from(["Europe/Berlin", "America/New_York", "Africa/Cairo", "Pacific/Kiritimati", "Asia/Kolkata"])
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
DATES = st.dates(date(2020, 1, 1), date(2035, 1, 1))


@pytest.mark.parametrize(
    ("report", "moment", "first", "end"),
    [
        (ExportReport.SALES, datetime(2026, 3, 12, 5, tzinfo=UTC), date(2026, 3, 11), date(2026, 3, 12)),
        # Eleven in the evening by UTC is the next day in Berlin.
        (ExportReport.SALES, datetime(2026, 3, 12, 23, tzinfo=UTC), date(2026, 3, 12), date(2026, 3, 13)),
        (ExportReport.SALES, datetime(2026, 1, 1, 5, tzinfo=UTC), date(2025, 12, 31), date(2026, 1, 1)),
        (ExportReport.FINANCE, datetime(2026, 3, 30, 4, 30, tzinfo=UTC), date(2026, 3, 23), date(2026, 3, 30)),
        # Two days late it is still about the last week.
        (ExportReport.FINANCE, datetime(2026, 4, 1, 4, 30, tzinfo=UTC), date(2026, 3, 23), date(2026, 3, 30)),
        (ExportReport.STATEMENT, datetime(2026, 3, 1, 6, tzinfo=UTC), date(2026, 2, 1), date(2026, 3, 1)),
        (ExportReport.STATEMENT, datetime(2026, 2, 28, 23, 30, tzinfo=UTC), date(2026, 2, 1), date(2026, 3, 1)),
        (ExportReport.STATEMENT, datetime(2024, 3, 31, 6, tzinfo=UTC), date(2024, 2, 1), date(2024, 3, 1)),
    ],
)
def test_a_schedules_report_is_about_the_days_that_are_over(
    report: ExportReport, moment: datetime, first: date, end: date
) -> None:
    assert span_of(report, moment, BERLIN) == Span(first, end)


def test_no_schedule_makes_a_list() -> None:
    with pytest.raises(ValueError, match="no schedule makes orders"):
        span_of(ExportReport.ORDERS, datetime(2026, 3, 1, tzinfo=UTC), BERLIN)


@given(MOMENTS, ZONES, st.sampled_from([ExportReport.SALES, ExportReport.FINANCE, ExportReport.STATEMENT]))
def test_spans_are_over_and_the_next_one_goes_on_where_they_end(
    moment: datetime, zone: str, report: ExportReport
) -> None:
    there = ZoneInfo(zone)
    span = span_of(report, moment, there)
    assert span.ends(there) <= moment
    next_end = {
        ExportReport.SALES: span.end + timedelta(days=1),
        ExportReport.FINANCE: span.end + timedelta(days=7),
        ExportReport.STATEMENT: (span.end + timedelta(days=31)).replace(day=1),
    }[report]
    assert span_of(report, at_local(next_end, time(7), there), there) == Span(span.end, next_end)


def test_the_night_in_which_clocks_are_put_forward_makes_a_day_of_23_hours() -> None:
    span = Span(date(2026, 3, 29), date(2026, 3, 30))
    assert span.ends(BERLIN) - span.begins(BERLIN) == timedelta(hours=23)
    back = Span(date(2026, 10, 25), date(2026, 10, 26))
    assert back.ends(BERLIN) - back.begins(BERLIN) == timedelta(hours=25)


def test_a_day_that_begins_later_since_midnight_is_skipped() -> None:
    cairo = ZoneInfo("Africa/Cairo")
    assert Span(date(2026, 4, 24), date(2026, 4, 25)).begins(cairo) == datetime(2026, 4, 23, 22, tzinfo=UTC)


@given(DATES, st.integers(1, 900))
def test_every_day_belongs_to_exactly_one_step(first: date, days: int) -> None:
    span = Span(first, first + timedelta(days=days))
    steps = list(span.steps())
    assert steps == sorted(set(steps))
    assert {span.step_of(first + timedelta(days=each)) for each in range(days)} == set(steps)
    assert len(steps) <= (62 if not span.is_by_month else days // 28 + 2)


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_the_longest_span_that_can_be_asked_for_has_moments_and_steps(zone: str) -> None:
    asked = ExportFilters(date_from=date(1900, 1, 1), date_until=date(2199, 12, 31))
    assert asked.date_from is not None
    assert asked.date_until is not None
    span, there = Span(asked.date_from, asked.date_until), ZoneInfo(zone)
    assert span.begins(there) < span.ends(there)
    assert len(list(span.steps())) == 12 * 300


def test_a_span_has_a_day() -> None:
    with pytest.raises(ValueError, match="a span has a day at least"):
        Span(date(2026, 3, 1), date(2026, 3, 1))


@given(st.none() | DATES, st.none() | DATES, DATES, DATES)
def test_what_is_not_said_reaches_from_the_first_known_day_to_today(
    first: date | None, end: date | None, known: date, today: date
) -> None:
    if first is not None and end is not None and first >= end:
        return
    span = span_asked(first, end, known, today)
    assert first in (None, span.first)
    assert end in (None, span.end)
    if first is None and end is None and known <= today:
        assert (span.first, span.last) == (known, today)
