"""Whether a course is completed, and how much of it is done (LMS Service R19-R23, Eduframe E15, TutorHub R70).

Only lessons that are considered count, and a course without any is never completed by itself. What was completed once
stays so, whatever is added later.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from models.vocabulary import CompletionRule, Judgement, LessonStatus

_DONE = (LessonStatus.COMPLETED, LessonStatus.PASSED, LessonStatus.FAILED)


@dataclass(frozen=True)
class LessonResult:
    """How one lesson (or hour, or meeting) went, as far as it is known."""

    status: LessonStatus | None
    is_considered: bool = True
    is_graded: bool = False


def is_completed(rule: CompletionRule, results: Sequence[LessonResult], judgement: Judgement | None) -> bool:
    """Whether the course is completed by its rule.

    `complete_all`: every lesson is done, a failed one too (R19). `pass_all`: every graded lesson is passed, those
    without a grade do not matter (R21). `judged`: staff said so. `na`: never.
    """
    match rule:
        case CompletionRule.NA:
            return False
        case CompletionRule.COMPLETE_ALL:
            considered = [each for each in results if each.is_considered]
            return bool(considered) and all(each.status in _DONE for each in considered)
        case CompletionRule.PASS_ALL:
            graded = [each for each in results if each.is_considered and each.is_graded]
            return bool(graded) and all(each.status is LessonStatus.PASSED for each in graded)
        case CompletionRule.JUDGED:
            return judgement is Judgement.PASSED


def wants_judgement(rule: CompletionRule, results: Sequence[LessonResult], judgement: Judgement | None) -> bool:
    """Whether everything is done and staff has to say how it was."""
    is_done = is_completed(CompletionRule.COMPLETE_ALL, results, None)
    return rule is CompletionRule.JUDGED and judgement is None and is_done


def percent_done(results: Sequence[LessonResult]) -> int:
    """How much of what is considered is done, rounded down: 100 is all of it."""
    considered = [each for each in results if each.is_considered]
    return 100 * sum(each.status in _DONE for each in considered) // len(considered) if considered else 0
