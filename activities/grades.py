"""What counts of attempts once a lesson is graded in another way than when they were made."""

from datetime import datetime

from activities.learning_facts import Learning
from models.vocabulary import LessonStatus
from rules.grading import Result, result_of


def regrade(learning: Learning, moment: datetime) -> None:
    """Have the progress of lessons that were tried say what counts by their marks and grade rules of today. When they
    were done, and passed, for the first time stays.
    """
    for lesson in learning.lessons:
        progress = learning.progress.get(lesson.id)
        if progress is None or not progress.attempts:
            continue
        scores = learning.scores.get(lesson.id)
        counting = result_of(scores[-1][1], lesson.passing_marks) if scores else Result(LessonStatus.COMPLETED)
        if (progress.status, progress.score) == (counting.status, counting.score):
            continue
        progress.status, progress.score = counting.status, counting.score
        if counting.status is not LessonStatus.FAILED:
            progress.passed_at = progress.passed_at or moment
