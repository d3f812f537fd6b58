"""What is told of a lesson, an hour or a meeting, written down with all that follows from it, in one transaction."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from activities.attendance import OUTCOMES
from activities.drip_record import bring_up, conclude, locked_learning, open_due, open_lessons
from activities.learning_facts import Held, Learning
from activities.learning_step import Step
from activities.lesson_attempts import (
    Tried,
    against_attempt,
    begin,
    finish_attempt,
    mark_done,
    touch,
    tried,
    unmark_done,
)
from activities.lesson_records import LessonToRecord, money_goes_back, not_learning, record_lesson
from activities.pauses import prolong_access
from activities.refund_facts import enrollment_to_refund
from models.drip import (
    AfterCohortStart,
    AfterLesson,
    AfterMeeting,
    AfterModule,
    AfterStart,
    Leaf,
)
from models.errors import Reason
from models.messages.learning import LessonRecorded, RecordLesson, WriteLesson
from models.tables import Lesson, LessonAttempt, LessonProgress, LessonRecord
from models.vocabulary import Attendance, EnrollmentStatus, LessonOutcome, LessonStatus, ReleaseStatus
from rules.completion import percent_done
from rules.decision import DatedRefusal, Refused
from rules.drip import PlannedLesson, plan
from rules.refund import eligibility


@dataclass(frozen=True)
class _Written:
    """What is on record of the lesson now."""

    record: LessonRecord | None = None
    lesson: Lesson | None = None
    tried: Tried | None = None

    def moments(self, attempt_id: UUID, progress: LessonProgress | None) -> tuple[datetime, ...]:
        """When this was written, also if it was told before: a repeat comes at another moment."""
        attempts = self.tried.attempts if self.tried is not None else ()
        of_attempt = [each.created_at for each in attempts if each.id == attempt_id]
        of_record = [self.record.updated_at] if self.record is not None else []
        is_last = progress is not None and progress.last_attempt_id == attempt_id
        return (*of_attempt, *of_record, *([progress.last_accessed_at] if progress is not None and is_last else []))


async def write_lesson(session: AsyncSession, step: WriteLesson) -> LessonRecorded:
    """Write it down, or say why not; and in any case do what is due. A repeat answers how it stands."""
    told, acting = step.told, Step(step.moment, step.workflow_id)
    learning = await locked_learning(session, told.enrollment_id, step.moment)
    if learning is None:
        return _refused(told, Refused(Reason.NOT_FOUND, "There is no such enrollment."))
    await bring_up(session, learning, acting)
    written = await _write(session, learning, told, acting)
    if isinstance(written, Refused):
        refused = _refused(told, written)
        return refused.model_copy(update={"step": await conclude(session, learning, acting)})
    await open_due(session, learning, acting)
    now_stands = await conclude(session, learning, acting)
    await session.flush()
    answer = _answer(learning, told, written)
    written_at = written.moments(told.attempt_id, learning.progress.get(told.lesson_id))
    refund = await enrollment_to_refund(session, told.enrollment_id)
    decision = None if refund is None else eligibility(refund.facts, step.moment)
    return answer.model_copy(
        update={
            "opened": learning.opened_in_steps(step.moment, *written_at),
            "step": now_stands,
            "is_course_complete": now_stands.is_completed,
            "is_refund_possible": decision is not None and decision.is_eligible,
            "refund_grounds": () if decision is None else decision.grounds,
        }
    )


async def _write(session: AsyncSession, learning: Learning, told: RecordLesson, step: Step) -> _Written | Refused:
    outcome = told.outcome if told.attendance is None else OUTCOMES[told.attendance]
    lesson = learning.lesson(told.lesson_id)
    before = None if lesson is None else await tried(session, learning.enrollment.id, lesson.id)
    is_repeated = before is not None and any(each.id == told.attempt_id for each in before.attempts)
    is_attempt = not is_repeated and (told.is_finished or told.score is not None)
    if lesson is not None and before is not None and (is_attempt or (outcome is None and not is_repeated)):
        refused = await _against(session, learning, lesson, told, step, is_said_by_tutor=outcome is not None)
        if refused is None and is_attempt:
            refused = against_attempt(lesson, before, told.score)
        if refused is not None:
            return refused
    record = None
    if outcome is not None:
        found = await _record(session, learning, told, outcome, step)
        if isinstance(found, Refused):
            return found
        record = found
    if lesson is None or before is None:
        return _Written(record) if record else _no_lesson()
    if is_attempt:
        before = await finish_attempt(session, learning, lesson, before, told, step)
    elif record is not None:
        await _follow(session, learning, lesson, told, record, step)
    elif not is_repeated:
        touch(session, learning, lesson, told, step)
    return _Written(record, lesson, before)


async def _follow(
    session: AsyncSession, learning: Learning, lesson: Lesson, told: RecordLesson, record: LessonRecord, step: Step
) -> None:
    """What its tutor says of a lesson of the course decides how far the learner is, where nothing is graded."""
    if record.outcome != LessonOutcome.COMPLETED:
        await _take_back(session, learning, lesson, step)
    elif lesson.passing_marks is None:
        mark_done(session, learning, lesson, told, step)


async def _record(
    session: AsyncSession, learning: Learning, told: RecordLesson, outcome: LessonOutcome, step: Step
) -> LessonRecord | Refused:
    # The enrollment is read anew below: what time has brought is written before.
    await session.flush()
    found = await record_lesson(session, _to_record(told, outcome, step))
    if isinstance(found, Refused):
        return found
    _keep_held(learning, told.lesson_id, outcome)
    if outcome is LessonOutcome.COMPLETED and begin(learning, step.moment):
        await prolong_access(session, learning, step.moment)
    return found


async def _take_back(session: AsyncSession, learning: Learning, lesson: Lesson, step: Step) -> None:
    """The lesson was not held after all: what was done by that alone is not done. It stays open, and a course that is
    completed stays so.
    """
    done_at = unmark_done(learning, lesson)
    if done_at is not None and lesson.id not in learning.releases:
        opened = PlannedLesson(lesson.id, ReleaseStatus.PLANNED, done_at, learning.rules[lesson.id].kind)
        await open_lessons(session, learning, (opened,), step)


async def _against(
    session: AsyncSession,
    learning: Learning,
    lesson: Lesson,
    told: RecordLesson,
    step: Step,
    *,
    is_said_by_tutor: bool,
) -> Refused | None:
    """What speaks against progress in this lesson: the state of the enrollment, or that it is not open yet."""
    reused = await session.get(LessonAttempt, told.attempt_id)
    if reused is not None:
        return Refused(Reason.IDEMPOTENCY_KEY_REUSED, "The key was used for an attempt at another lesson.")
    pause = learning.open_pause(step.moment)
    paused_until = None if pause is None else pause.until
    refused = not_learning(learning.status, learning.enrollment.access_ends_at, paused_until)
    if refused is not None:
        return refused
    if learning.is_access_over(step.moment):
        return not_learning(EnrollmentStatus.EXPIRED, learning.enrollment.access_ends_at, None)
    if learning.is_ending:
        return money_goes_back()
    if learning.is_gone(lesson):
        return _no_lesson()
    planned = next(each for each in plan(learning.facts(step.moment), step.moment) if each.lesson_id == lesson.id)
    # What its tutor has taught was open.
    return None if is_said_by_tutor else not_open(planned)


def not_open(planned: PlannedLesson) -> DatedRefusal | None:
    """Why the lesson is not open yet; none if it is."""
    if planned.status is ReleaseStatus.RELEASED:
        return None
    if planned.opens_at is not None:
        return DatedRefusal(
            Reason.LESSON_NOT_OPEN, f"The lesson opens at {planned.opens_at:%Y-%m-%d %H:%M} UTC.", planned.opens_at
        )
    return DatedRefusal(Reason.LESSON_NOT_OPEN, f"The lesson opens {_when(planned.blocked_by)}.")


def _when(leaf: Leaf | None) -> str:
    match leaf:
        case AfterLesson(lesson_id=lesson_id, min_score=None):
            said = f"when lesson {lesson_id} is {leaf.outcome}"
        case AfterLesson(lesson_id=lesson_id, min_score=score):
            said = f"when lesson {lesson_id} has brought {score} marks"
        case AfterModule(module_id=module_id, percent=percent):
            said = f"when {percent} % of module {module_id} are done"
        case AfterStart():
            said = "after the first start"
        case AfterCohortStart():
            said = "when the course has a start"
        case AfterMeeting(meeting_id=meeting_id):
            said = f"after meeting {meeting_id}, which is canceled"
        case _:
            said = "when staff releases it"
    return said


def _to_record(told: RecordLesson, outcome: LessonOutcome, step: Step) -> LessonToRecord:
    return LessonToRecord(
        told.enrollment_id,
        told.lesson_id,
        outcome,
        told.actor,
        told.may_correct,
        attendance=told.attendance,
        moment=step.moment,
        workflow_id=step.workflow_id,
    )


def _keep_held(learning: Learning, held_id: UUID, outcome: LessonOutcome) -> None:
    """What is known of the hour or the meeting from now on; an hour that is free again is none of the place's."""
    is_free = outcome in (LessonOutcome.CANCELED, LessonOutcome.TUTOR_NO_SHOW)
    learning.held = [
        Held(each.id, each.is_hour, each.ends_at, outcome) if each.id == held_id else each
        for each in learning.held
        if not (each.id == held_id and each.is_hour and is_free)
    ]


def _no_lesson() -> Refused:
    return Refused(Reason.NOT_FOUND, "The enrollment has no such lesson.")


def _refused(told: RecordLesson, refused: Refused) -> LessonRecorded:
    return LessonRecorded(
        enrollment_id=told.enrollment_id,
        lesson_id=told.lesson_id,
        refusal=refused.reason,
        refusal_detail=refused.detail,
        refusal_moment=refused.moment if isinstance(refused, DatedRefusal) else None,
    )


def _answer(learning: Learning, told: RecordLesson, written: _Written) -> LessonRecorded:
    progress = learning.progress.get(told.lesson_id)
    record, attempts = written.record, written.tried
    latest = attempts.attempts[-1] if attempts is not None and attempts.attempts else None
    recorded_by = record.recorded_by if record else latest.recorded_by if latest else None
    recorded_at = record.updated_at if record else latest.created_at if latest else None
    if progress is not None and recorded_at is None:
        recorded_by, recorded_at = told.actor, progress.last_accessed_at
    return LessonRecorded(
        enrollment_id=told.enrollment_id,
        lesson_id=told.lesson_id,
        status=None if progress is None else LessonStatus(progress.status),
        outcome=None if record is None else LessonOutcome(record.outcome),
        attendance=record.attendance and Attendance(record.attendance) if record else None,
        score=None if progress is None else progress.score,
        attempts=0 if attempts is None else len(attempts.attempts),
        attempts_left=None if attempts is None or written.lesson is None else attempts.left(written.lesson),
        progress_percent=percent_done(learning.results()),
        recorded_by=recorded_by,
        recorded_at=recorded_at,
    )
