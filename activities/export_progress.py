"""How far each enrollment is, as part of a statement: what `rules/completion.py` says of one, said of all at once."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, FromClause, Integer, and_, case, cast, exists, func, or_, select
from sqlmodel import col

from activities.learning_facts import NOT_HELD
from models.tables import (
    ClassSession,
    Course,
    Enrollment,
    EnrollmentPause,
    Lesson,
    LessonProgress,
    LessonRecord,
    LessonSlot,
)
from models.vocabulary import CourseKind, LessonOutcome, LessonStatus, SlotStatus

_DONE = (LessonStatus.COMPLETED, LessonStatus.PASSED, LessonStatus.FAILED)
# As in Learning.results: who did not come to an hour has not passed it, but it is done.
_HAD = (LessonOutcome.COMPLETED, LessonOutcome.STUDENT_NO_SHOW)


@dataclass(frozen=True)
class Progress:
    """Parts of a statement about `Enrollment` joined with its `Course`: one row each to join, and what they come to."""

    parts: Sequence[FromClause]
    percent_done: ColumnElement[int]
    percent_achieved: ColumnElement[int]
    attempts: ColumnElement[int]
    time_spent_minutes: ColumnElement[int]
    last_accessed_at: ColumnElement[object]


def progress() -> Progress:
    """Percentages are rounded down, as `percent_done` of rules/completion.py rounds."""
    lessons, meetings, hours, worked = _lessons(), _meetings(), _hours(), _worked()
    booked = func.greatest(hours.c.had, func.coalesce(col(Course.lessons_included), 0))
    percent = case(
        (col(Course.kind) == CourseKind.TUTOR_PACK, _percent(hours.c.had, booked)),
        (lessons.c.counting > 0, _percent(lessons.c.done, lessons.c.considered)),
        else_=_percent(meetings.c.done, meetings.c.held),
    )
    return Progress(
        parts=(lessons, meetings, hours, worked),
        percent_done=percent,
        percent_achieved=cast(func.floor(100 * lessons.c.score / func.nullif(lessons.c.marks, 0)), Integer),
        attempts=func.coalesce(worked.c.attempts, 0),
        time_spent_minutes=cast(func.div(func.coalesce(worked.c.seconds, 0), 60), Integer),
        last_accessed_at=worked.c.last_accessed_at,
    )


def _percent(done: ColumnElement[int], of: ColumnElement[int]) -> ColumnElement[int]:
    return cast(func.coalesce(func.div(100 * done, func.nullif(of, 0)), 0), Integer)


def _lessons() -> FromClause:
    """The lessons that the course has for them, but for free previews, and the marks of those that have a result."""
    is_later = col(Lesson.applies_from).is_not(None) & (col(Enrollment.enrolled_at) < col(Lesson.applies_from))
    is_marked = and_(col(Lesson.is_considered), col(LessonProgress.score).is_not(None), col(Lesson.total_marks) > 0)
    return (
        select(
            func.count().label("counting"),
            func.count().filter(col(Lesson.is_considered)).label("considered"),
            func.count().filter(col(Lesson.is_considered), col(LessonProgress.status).in_(_DONE)).label("done"),
            func.sum(col(LessonProgress.score)).filter(is_marked).label("score"),
            func.sum(col(Lesson.total_marks)).filter(is_marked).label("marks"),
        )
        .select_from(Lesson)
        .outerjoin(
            LessonProgress,
            and_(
                col(LessonProgress.enrollment_id) == col(Enrollment.id), col(LessonProgress.lesson_id) == col(Lesson.id)
            ),
        )
        .where(
            col(Lesson.course_id) == col(Enrollment.course_id),
            col(Lesson.removed_at).is_(None),
            ~col(Lesson.is_preview),
            is_later.is_not(True),
        )
        .lateral("lessons")
    )


def _meetings() -> FromClause:
    """The meetings of a cohort since its learner is in it, but for those not held, or in a pause of theirs."""
    was_away = exists().where(
        col(LessonRecord.outcome).is_(None),
        col(EnrollmentPause.enrollment_id) == col(Enrollment.id),
        col(EnrollmentPause.paused_at) <= col(ClassSession.ends_at),
        col(ClassSession.ends_at) < func.coalesce(col(EnrollmentPause.resumed_at), col(EnrollmentPause.until)),
    )
    return (
        select(func.count().label("held"), func.count().filter(col(LessonRecord.outcome).in_(_HAD)).label("done"))
        .select_from(ClassSession)
        .outerjoin(
            LessonRecord,
            and_(
                col(LessonRecord.enrollment_id) == col(Enrollment.id),
                col(LessonRecord.meeting_id) == col(ClassSession.id),
            ),
        )
        .where(
            col(Course.kind) == CourseKind.COHORT,
            col(ClassSession.course_id) == col(Enrollment.course_id),
            col(ClassSession.canceled_at).is_(None),
            col(ClassSession.ends_at) > col(Enrollment.enrolled_at),
            or_(col(LessonRecord.outcome).is_(None), col(LessonRecord.outcome).not_in(NOT_HELD)),
            ~was_away.correlate(Enrollment, ClassSession, LessonRecord),
        )
        .lateral("meetings")
    )


def _hours() -> FromClause:
    """The booked hours of a pack that were had."""
    return (
        select(func.count().label("had"))
        .select_from(LessonSlot)
        .join(
            LessonRecord,
            and_(
                col(LessonRecord.enrollment_id) == col(Enrollment.id), col(LessonRecord.slot_id) == col(LessonSlot.id)
            ),
        )
        .where(
            col(Course.kind) == CourseKind.TUTOR_PACK,
            col(LessonSlot.order_line_id) == col(Enrollment.order_line_id),
            col(LessonSlot.course_id) == col(Enrollment.course_id),
            col(LessonSlot.status).in_((SlotStatus.BOOKED, SlotStatus.COMPLETED)),
            col(LessonRecord.outcome).in_(_HAD),
        )
        .lateral("hours")
    )


def _worked() -> FromClause:
    """What they did in all, in lessons that are gone too."""
    return (
        select(
            func.sum(col(LessonProgress.attempts)).label("attempts"),
            func.sum(col(LessonProgress.time_spent_seconds)).label("seconds"),
            func.max(col(LessonProgress.last_accessed_at)).label("last_accessed_at"),
        )
        .where(col(LessonProgress.enrollment_id) == col(Enrollment.id))
        .lateral("worked")
    )
