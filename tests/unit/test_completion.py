"""When a course is completed by its rule."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.vocabulary import CompletionRule, Judgement, LessonStatus
from rules.completion import LessonResult, is_completed, percent_done, wants_judgement

DONE, PASSED = LessonResult(LessonStatus.COMPLETED), LessonResult(LessonStatus.PASSED)
FAILED = LessonResult(LessonStatus.FAILED)
OPEN, BEGUN = LessonResult(None), LessonResult(LessonStatus.IN_PROGRESS)
EXTRA = LessonResult(None, is_considered=False, is_graded=True)
GOOD, BAD = (LessonResult(status, is_graded=True) for status in (LessonStatus.PASSED, LessonStatus.FAILED))
RESULTS = st.lists(
    st.builds(LessonResult, st.none() | st.sampled_from(LessonStatus), st.booleans(), st.booleans()), max_size=8
)
ALL, PASS = CompletionRule.COMPLETE_ALL, CompletionRule.PASS_ALL


@pytest.mark.parametrize(
    ("rule", "results", "expected"),
    [
        (ALL, [], False),
        (ALL, [EXTRA], False),
        (ALL, [DONE, PASSED, FAILED], True),
        (ALL, [DONE, BEGUN], False),
        (ALL, [DONE, OPEN], False),
        (ALL, [DONE, EXTRA], True),
        (PASS, [], False),
        (PASS, [DONE, DONE], False),
        (PASS, [GOOD, OPEN], True),
        (PASS, [GOOD, EXTRA], True),
        (PASS, [GOOD, BAD], False),
        (PASS, [GOOD, LessonResult(LessonStatus.COMPLETED, is_graded=True)], False),
        (CompletionRule.NA, [DONE], False),
        (CompletionRule.JUDGED, [DONE], False),
    ],
)
def test_a_course_is_completed_by_its_rule(
    rule: CompletionRule, results: Sequence[LessonResult], expected: bool
) -> None:  # fmt: skip
    assert is_completed(rule, results, None) is expected


def test_staff_judges_once_everything_is_done() -> None:
    judged = CompletionRule.JUDGED
    assert is_completed(judged, [OPEN], Judgement.PASSED)
    assert not is_completed(judged, [DONE], Judgement.FAILED)
    assert wants_judgement(judged, [DONE, FAILED], None)
    assert not wants_judgement(judged, [DONE, OPEN], None)
    assert not wants_judgement(judged, [], None)
    assert not wants_judgement(judged, [DONE], Judgement.FAILED)
    assert not wants_judgement(ALL, [DONE], None)


@given(RESULTS)
def test_all_is_a_hundred_percent_and_nothing_else_is(results: list[LessonResult]) -> None:
    assert (percent_done(results) == 100) is is_completed(ALL, results, None)
    assert 0 <= percent_done(results) <= 100


@given(RESULTS, st.sampled_from(CompletionRule), st.integers(0, 7))
def test_what_goes_well_never_undoes_a_completion(
    results: list[LessonResult], rule: CompletionRule, place: int
) -> None:  # fmt: skip
    better = [
        LessonResult(LessonStatus.PASSED, each.is_considered, each.is_graded) if number == place else each
        for number, each in enumerate(results)
    ]
    assert is_completed(rule, better, None) >= is_completed(rule, results, None)
    assert percent_done(better) >= percent_done(results)


@given(RESULTS, st.none() | st.sampled_from(LessonStatus), st.sampled_from(CompletionRule))
def test_what_is_not_considered_changes_nothing(
    results: list[LessonResult], status: LessonStatus | None, rule: CompletionRule
) -> None:
    extra = LessonResult(status, is_considered=False, is_graded=True)
    assert is_completed(rule, [*results, extra], None) is is_completed(rule, results, None)
    assert percent_done([*results, extra]) == percent_done(results)
