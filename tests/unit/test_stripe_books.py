"""Spans of time that are read side by side: together they are the whole, and none is read twice."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from activities.stripe_books import windows

MOMENT = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)


@given(st.integers(0, 8 * 86_400_000), st.integers(0, 999_999))
def test_windows_are_the_whole_span_each_second_once(length: int, offset: int) -> None:
    since = MOMENT + timedelta(microseconds=offset)
    until = since + timedelta(milliseconds=length)
    told = windows(since, until)
    assert (told[0][0], told[-1][1]) == (since, until)
    assert all(int(begun.timestamp()) <= int(ended.timestamp()) for begun, ended in told)
    assert all(int(ended.timestamp()) + 1 == int(begun.timestamp()) for (_, ended), (begun, _) in pairwise(told))
