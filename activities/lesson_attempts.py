"""A learner's attempts at a lesson of the course, and what counts of them.

The caller has the enrollment locked. What was done once stays so; only staff's reset strikes attempts out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.access import access_end_after_start
from activities.audit import StateChange, write_audit
from activities.learning_facts import NOT_HELD, Learning, counted_scores
from activities.learning_step import Step
from models.errors import Reason
from models.identifiers import new_id
from models.messages.learning import RecordLesson
from models.tables import Lesson, LessonAttempt, LessonProgress, LessonRecord
from models.vocabulary import GradeRule, LessonOutcome, LessonStatus
from rules.decision import Refused
from rules.grading import attempts_left, counting_result, result_of


@dataclass(frozen=True)
class Tried:
    """The attempts at a lesson so far, the oldest first."""

    attempts: Sequence[LessonAttempt]

    def left(self, lesson: Lesson) -> int | None:
        """How many more there may be; none: without limit."""
        return attempts_left(lesson.max_attempts, len(self.attempts))


async def tried(session: AsyncSession, enrollment_id: UUID, lesson_id: UUID) -> Tried:
    """The attempts at this lesson."""
    query = select(LessonAttempt).where(
        col(LessonAttempt.enrollment_id) == enrollment_id, col(LessonAttempt.lesson_id) == lesson_id
    )
    return Tried((await session.execute(query.order_by(col(LessonAttempt.number)))).scalars().all())


def against_attempt(lesson: Lesson, before: Tried, score: Decimal | None) -> Refused | None:
    """Why an attempt with this score cannot be recorded: a graded lesson wants one, up to its total marks."""
    if lesson.passing_marks is not None and score is None:
        return Refused(Reason.SCORE_REQUIRED, "The lesson is graded: an attempt at it has a score.")
    if score is not None and (lesson.total_marks is None or score > lesson.total_marks):
        allowed = "no grade" if lesson.total_marks is None else f"at most {lesson.total_marks} marks"
        return Refused(Reason.SCORE_NOT_ALLOWED, f"The lesson has {allowed}.")
    if before.left(lesson) == 0:
        return Refused(Reason.ATTEMPTS_USED_UP, f"All {lesson.max_attempts} attempts at the lesson are used up.")
    return None


async def finish_attempt(
    session: AsyncSession, learning: Learning, lesson: Lesson, before: Tried, told: RecordLesson, step: Step
) -> Tried:
    """Write one more attempt, and what counts of all of them now. A lesson that is had counts for refunds."""
    outcome = result_of(told.score, lesson.passing_marks)
    attempt = LessonAttempt(
        id=told.attempt_id,
        created_at=step.moment,
        enrollment_id=learning.enrollment.id,
        lesson_id=lesson.id,
        number=len(before.attempts) + 1,
        status=outcome.status,
        score=outcome.score,
        time_spent_seconds=told.time_spent_seconds,
        recorded_by=told.actor,
    )
    session.add(attempt)
    after = Tried((*before.attempts, attempt))
    counting = counting_result(
        [each.score for each in after.attempts], GradeRule(lesson.grade_rule), lesson.passing_marks
    )
    assert counting is not None  # noqa: S101 - there is an attempt
    progress = learning.progress.get(lesson.id)
    was = None if progress is None else progress.status
    progress = touch(session, learning, lesson, told, step)
    progress.status, progress.score, progress.attempts = counting.status, counting.score, len(after.attempts)
    progress.done_at = progress.done_at or step.moment
    if counting.status is not LessonStatus.FAILED:
        progress.passed_at = progress.passed_at or step.moment
    if lesson.passing_marks is not None:
        learning.scores[lesson.id] = counted_scores(lesson, after.attempts)
    change = StateChange("lesson_attempt", attempt.id, was, outcome.status)
    await write_audit(session, [change], actor=told.actor, reason="attempt finished", workflow_id=step.workflow_id)
    if not lesson.is_preview:
        await _count_as_had(session, learning.enrollment.id, lesson.id, told.actor, step)
    return after


def mark_done(session: AsyncSession, learning: Learning, lesson: Lesson, told: RecordLesson, step: Step) -> None:
    """A lesson without a grade was held, as its tutor says: it is done without an attempt."""
    progress = touch(session, learning, lesson, told, step)
    if progress.done_at is None:
        progress.status = LessonStatus.COMPLETED
        progress.done_at = progress.passed_at = step.moment


def unmark_done(learning: Learning, lesson: Lesson) -> datetime | None:
    """A lesson was not held, as is said now: it is not done, unless there is an attempt or the course is completed.
    Answers when it was done; none if nothing is taken back.
    """
    progress = learning.progress.get(lesson.id)
    if progress is None or progress.attempts or learning.enrollment.completed_at is not None:
        return None
    done_at, progress.status = progress.done_at, LessonStatus.IN_PROGRESS
    progress.done_at = progress.passed_at = None
    return done_at


def touch(session: AsyncSession, learning: Learning, lesson: Lesson, told: RecordLesson, step: Step) -> LessonProgress:
    """The learner is in the lesson: the time that was spent and the position to go on from are kept.

    What is told a second time is not counted again.
    """
    progress = learning.progress.get(lesson.id)
    if progress is None:
        progress = LessonProgress(
            enrollment_id=learning.enrollment.id, lesson_id=lesson.id, started_at=step.moment,
            time_spent_seconds=told.time_spent_seconds, last_accessed_at=step.moment, last_attempt_id=told.attempt_id,
        )  # fmt: skip
        session.add(progress)
        learning.progress[lesson.id] = progress
    elif progress.last_attempt_id != told.attempt_id:
        progress.time_spent_seconds = min(progress.time_spent_seconds + told.time_spent_seconds, 2_000_000_000)
        progress.last_accessed_at, progress.last_attempt_id = step.moment, told.attempt_id
    if told.current_position is not None and told.total_content is not None:
        progress.current_position = min(told.current_position, told.total_content)
        progress.total_content = told.total_content
    begin(learning, step.moment)
    return progress


def begin(learning: Learning, moment: datetime) -> bool:
    """The learner has begun with the course, if not before. Whether access has an end now, as it counts from then."""
    enrollment = learning.enrollment
    if enrollment.started_at is not None:
        return False
    enrollment.started_at = moment
    days, enrollment.access_days_from_start = enrollment.access_days_from_start, None
    if days is None:
        return False
    enrollment.access_ends_at = access_end_after_start(learning.course, days, moment)
    return True


async def _count_as_had(session: AsyncSession, enrollment_id: UUID, lesson_id: UUID, actor: str, step: Step) -> None:
    """The lesson was had, whatever was said of it before."""
    had = insert(LessonRecord).values(
        id=new_id(),
        created_at=step.moment,
        updated_at=step.moment,
        enrollment_id=enrollment_id,
        lesson_id=lesson_id,
        outcome=LessonOutcome.COMPLETED,
        recorded_by=actor,
    )
    written = await session.execute(had.on_conflict_do_nothing().returning(col(LessonRecord.id)))
    if written.scalar_one_or_none() is not None:
        return
    not_had = select(LessonRecord).where(
        col(LessonRecord.enrollment_id) == enrollment_id,
        col(LessonRecord.lesson_id) == lesson_id,
        col(LessonRecord.outcome).in_(NOT_HELD),
    )
    record = (await session.execute(not_had)).scalar_one_or_none()
    if record is None:
        return
    change = StateChange("lesson_record", record.id, record.outcome, LessonOutcome.COMPLETED)
    record.outcome, record.recorded_by, record.updated_at = LessonOutcome.COMPLETED, actor, step.moment
    await write_audit(session, [change], actor=actor, reason="attempt finished", workflow_id=step.workflow_id)
