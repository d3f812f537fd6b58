"""When learners are told that their access ends: each once, the latest true one alone, anew for another end."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from models.messages.learning import LearningMail
from models.vocabulary import MailTemplate
from rules.access import due_notice, next_notice, notices
from tests.unit.test_drip import an_id

ENDS = datetime(2026, 6, 10, 12, tzinfo=UTC)
DAY = timedelta(days=1)
DAYS = st.lists(st.integers(-5, 400), max_size=5)
MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds


def occasions(ends_at: datetime, moment: datetime, since: datetime | None = None) -> str | None:
    told = due_notice(ends_at, [7, 1], moment, since)
    return None if told is None else told.occasion


def test_it_is_told_seven_days_and_one_day_before_and_when_it_is_over() -> None:
    told = [(each.template, each.due_at) for each in notices(ENDS, [1, 7, 7, 0, -3, 5000])]
    assert told == [
        (MailTemplate.ACCESS_ENDING, ENDS - 7 * DAY),
        (MailTemplate.ACCESS_ENDING, ENDS - DAY),
        (MailTemplate.ACCESS_ENDED, ENDS),
    ]


def test_only_the_latest_is_still_true() -> None:
    assert occasions(ENDS, ENDS - 8 * DAY) is None
    assert occasions(ENDS, ENDS - 7 * DAY) == "202606101200-7d"
    assert occasions(ENDS, ENDS - timedelta(hours=1)) == "202606101200-1d"
    assert occasions(ENDS, ENDS + 30 * DAY) == "202606101200"


def test_who_is_let_in_for_a_few_days_is_not_warned_at_once() -> None:
    since = ENDS - 3 * DAY
    assert occasions(ENDS, since, since) is None
    assert occasions(ENDS, ENDS - DAY, since) == "202606101200-1d"
    assert occasions(ENDS, ENDS, since) == "202606101200"


def test_an_end_that_is_moved_is_told_anew() -> None:
    assert occasions(ENDS + DAY, ENDS - 6 * DAY) != occasions(ENDS, ENDS - 6 * DAY)


@given(MOMENTS, DAYS, MOMENTS)
def test_none_is_told_early_and_none_twice(ends_at: datetime, days: list[int], moment: datetime) -> None:
    told = notices(ends_at, days)
    assert all(one.due_at < other.due_at for one, other in pairwise(told))
    assert len({each.occasion for each in told}) == len(told)
    due, following = due_notice(ends_at, days, moment), next_notice(ends_at, days, moment)
    assert due is None or due.due_at <= moment
    assert following is None or following > moment
    assert due is not None or following == told[0].due_at
    for each in told:
        LearningMail(template=each.template, subject_id=an_id(1), occasion=each.occasion)
