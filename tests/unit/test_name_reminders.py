"""When a learner is asked for the name on a certificate."""

from datetime import UTC, datetime, timedelta

import pytest

from rules.name_reminders import due_reminder, next_reminder_at

ASKED = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("after", "due", "following"),
    [
        (timedelta(), "ask", 3),
        (timedelta(days=3, seconds=-1), "ask", 3),
        (timedelta(days=3), "3d", 7),
        (timedelta(days=7), "7d", 14),
        (timedelta(days=13, hours=23), "7d", 14),
        (timedelta(days=14), "14d", None),
        (timedelta(days=400), "14d", None),
    ],
)
def test_it_is_asked_for_after_3_7_and_14_days(after: timedelta, due: str, following: int | None) -> None:
    moment = ASKED + after
    assert due_reminder(ASKED, moment) == f"{due}_20260301"
    assert next_reminder_at(ASKED, moment) == (None if following is None else ASKED + timedelta(days=following))
