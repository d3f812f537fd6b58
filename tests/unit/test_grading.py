"""Which result of several attempts counts, and whether it is enough."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.vocabulary import GradeRule, LessonStatus
from rules.grading import Result, attempts_left, counting_result, result_of

SCORES = st.lists(st.decimals(0, 1000, places=2), min_size=1, max_size=8)
MARKS = st.decimals(0, 1000, places=2)


@pytest.mark.parametrize(
    ("rule", "score", "status"),
    [
        (GradeRule.HIGHEST, "80", LessonStatus.PASSED),
        (GradeRule.AVERAGE, "60", LessonStatus.PASSED),
        (GradeRule.FIRST, "40", LessonStatus.FAILED),
        (GradeRule.LAST, "60", LessonStatus.PASSED),
    ],
)
def test_the_rule_says_which_attempt_counts(rule: GradeRule, score: str, status: LessonStatus) -> None:
    scores = [Decimal(40), Decimal(80), Decimal(60)]
    assert counting_result(scores, rule, Decimal(60)) == Result(status, Decimal(score))


def test_an_average_is_rounded_half_up_and_counts_as_it_is_shown() -> None:
    scores = [Decimal("59.99"), Decimal("60.00")]
    assert counting_result(scores, GradeRule.AVERAGE, Decimal(60)) == Result(LessonStatus.PASSED, Decimal("60.00"))


def test_the_passing_marks_are_enough_and_none_are_needed_where_nothing_is_graded() -> None:
    assert result_of(Decimal(50), Decimal(50)).status is LessonStatus.PASSED
    assert result_of(Decimal("49.99"), Decimal(50)).status is LessonStatus.FAILED
    assert result_of(Decimal(0), Decimal(0)).status is LessonStatus.PASSED
    assert result_of(None, None) == Result(LessonStatus.COMPLETED)
    assert counting_result([None], GradeRule.HIGHEST, Decimal(50)) == Result(LessonStatus.COMPLETED)
    assert counting_result([Decimal(3)], GradeRule.HIGHEST, None) == Result(LessonStatus.COMPLETED)
    assert counting_result([], GradeRule.HIGHEST, None) is None


def test_attempts_run_out_unless_there_is_no_limit() -> None:
    assert [attempts_left(3, finished) for finished in range(5)] == [3, 2, 1, 0, 0]
    assert attempts_left(0, 1000) is None


@given(SCORES, MARKS)
def test_what_counts_is_within_what_was_reached(scores: list[Decimal], passing: Decimal) -> None:
    counted = {rule: counting_result(scores, rule, passing) for rule in GradeRule}
    for result in counted.values():
        assert result is not None
        assert result.score is not None
        assert min(scores) <= result.score <= max(scores)
        assert (result.status is LessonStatus.PASSED) == (result.score >= passing)


@given(SCORES, MARKS, MARKS)
def test_another_attempt_never_makes_the_highest_or_the_first_worse(
    scores: list[Decimal], more: Decimal, passing: Decimal
) -> None:
    for rule in (GradeRule.HIGHEST, GradeRule.FIRST):
        before, after = counting_result(scores, rule, passing), counting_result([*scores, more], rule, passing)
        assert before is not None
        assert after is not None
        assert before.score is not None
        assert after.score is not None
        assert after.score >= before.score
