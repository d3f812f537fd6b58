"""Which result of several attempts at a lesson counts (LMS Service R13, R15, R16)."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from models.vocabulary import GradeRule, LessonStatus

_CENT = Decimal("0.01")


@dataclass(frozen=True)
class Result:
    """What an attempt came to, or what counts of several; without a score where the lesson has no grade."""

    status: LessonStatus
    score: Decimal | None = None


def result_of(score: Decimal | None, passing_marks: Decimal | None) -> Result:
    """What one finished attempt comes to. A lesson without passing marks is simply completed."""
    if passing_marks is None or score is None:
        return Result(LessonStatus.COMPLETED, score)
    return Result(LessonStatus.PASSED if score >= passing_marks else LessonStatus.FAILED, score)


def counting_result(scores: Sequence[Decimal | None], rule: GradeRule, passing_marks: Decimal | None) -> Result | None:
    """What counts of all finished attempts, the oldest first; none without any. An average is rounded half up."""
    if not scores:
        return None
    known = [score for score in scores if score is not None]
    if passing_marks is None or not known:
        return Result(LessonStatus.COMPLETED)
    match rule:
        case GradeRule.HIGHEST:
            counting = max(known)
        case GradeRule.AVERAGE:
            counting = (sum(known, Decimal()) / len(known)).quantize(_CENT, ROUND_HALF_UP)
        case GradeRule.FIRST:
            counting = known[0]
        case GradeRule.LAST:
            counting = known[-1]
    return result_of(counting, passing_marks)


def attempts_left(max_attempts: int, finished: int) -> int | None:
    """How many more attempts there may be; none: without limit (0 attempts are meant as no limit)."""
    return None if max_attempts == 0 else max(0, max_attempts - finished)
