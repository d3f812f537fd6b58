"""Changes of one enrollment while it is learned in: paused, released by hand, reset, moved, given more time, judged.

Each is made once: a repeat by its id finds it, and answers how the enrollment stands.
"""

from collections.abc import Awaitable, Callable, Mapping
from uuid import UUID

from sqlalchemy import delete, exists, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.audit import StateChange, write_audit
from activities.change_refusals import against_change, certified_among, chosen_lessons
from activities.drip_record import bring_up, conclude, locked_learning, move, open_due, open_lessons
from activities.holds import hold_seats
from activities.learning_facts import LEARNING, Learning
from activities.learning_step import Step
from activities.pauses import begin_pause, end_pause, keep_end
from models.errors import Reason
from models.messages.learning import ChangeEnrollment, EnrollmentChanged, WriteEnrollmentChange
from models.tables import AppliedChange, Enrollment, LessonAttempt, LessonProgress
from models.vocabulary import CompletionRule, DripKind, EnrollmentChange, EnrollmentStatus, ReleaseStatus
from rules.access import LONGEST_PAUSE
from rules.completion import is_completed
from rules.decision import DatedRefusal, Refused
from rules.drip import PlannedLesson

_LIVE = (
    EnrollmentStatus.PENDING_APPROVAL,
    EnrollmentStatus.WAITLISTED,
    EnrollmentStatus.PENDING_PAYMENT,
    EnrollmentStatus.ACTIVE,
    EnrollmentStatus.SUSPENDED,
)


async def write_enrollment_change(session: AsyncSession, step: WriteEnrollmentChange) -> EnrollmentChanged:
    """Make the change, or say why not; and in any case do what is due."""
    wish, acting = step.wish, Step(step.moment, step.workflow_id, step.wish.actor)
    by_time = Step(step.moment, step.workflow_id)
    learning = await locked_learning(session, wish.enrollment_id, step.moment, takes_seat=True)
    if learning is None:
        return _refused(wish, Refused(Reason.NOT_FOUND, "There is no such enrollment."))
    await bring_up(session, learning, by_time)
    known = await session.get(AppliedChange, wish.change_id)
    refused = await _apply(session, learning, known, wish, acting)
    await open_due(session, learning, by_time)
    stands = await conclude(session, learning, by_time)
    pause = learning.open_pause(step.moment)
    return _refused(wish, refused).model_copy(
        update={
            "status": learning.status,
            "access_ends_at": learning.enrollment.access_ends_at,
            "paused_until": None if pause is None else pause.until,
            "opened": () if refused else learning.opened_in_steps(known.created_at if known else step.moment),
            "step": stands,
        }
    )


async def _apply(
    session: AsyncSession, learning: Learning, known: AppliedChange | None, wish: ChangeEnrollment, step: Step
) -> Refused | None:
    if known is not None:
        is_same = known.digest == wish.digest
        return None if is_same else Refused(Reason.IDEMPOTENCY_KEY_REUSED, "The key was used for another change.")
    status = learning.status
    certified = await certified_among(session, [wish.enrollment_id])
    refused = against_change(learning, wish, step.moment, is_certified=bool(certified))
    refused = refused or await _CHANGES[wish.change](session, learning, wish, step)
    if refused is not None:
        return refused
    session.add(
        AppliedChange(
            id=wish.change_id,
            enrollment_id=wish.enrollment_id,
            change=wish.change,
            digest=wish.digest,
            actor=wish.actor,
            created_at=step.moment,
        )
    )
    learning.enrollment.updated_at = step.moment
    if learning.status is status and wish.change is not EnrollmentChange.RESUME:
        change = StateChange("enrollment", wish.enrollment_id, status, status, wish.change.value)
        await write_audit(session, [change], actor=wish.actor, reason=wish.change, workflow_id=step.workflow_id)
    return None


# ---- each change, once nothing speaks against it (`against_change`) ----


async def _pause(session: AsyncSession, learning: Learning, wish: ChangeEnrollment, step: Step) -> Refused | None:
    """Time stands still, for up to 180 days in one go. Access that counts days lasts as much longer."""
    until = wish.until or step.moment + LONGEST_PAUSE
    await begin_pause(session, learning, until, step)
    return None


async def _resume(session: AsyncSession, learning: Learning, wish: ChangeEnrollment, step: Step) -> Refused | None:
    await end_pause(session, learning, step.moment, step)
    return None


async def _release(session: AsyncSession, learning: Learning, wish: ChangeEnrollment, step: Step) -> Refused | None:
    """Open lessons now, whatever their rules say; those that are open already stay as they are."""
    chosen = chosen_lessons(learning, wish)
    if isinstance(chosen, Refused):
        return chosen
    opening = tuple(
        PlannedLesson(lesson.id, ReleaseStatus.PLANNED, step.moment, DripKind.MANUAL)
        for lesson in chosen
        if lesson.id not in learning.releases
    )
    await open_lessons(session, learning, opening, step)
    return None


async def _reset(session: AsyncSession, learning: Learning, wish: ChangeEnrollment, step: Step) -> Refused | None:
    """Strike out attempts and progress. What opened stays open, and what counts for refunds stays recorded."""
    chosen = chosen_lessons(learning, wish)
    if isinstance(chosen, Refused):
        return chosen
    ids = {lesson.id for lesson in chosen}
    after = {key: progress for key, progress in learning.progress.items() if key not in ids}
    judged = learning.enrollment.judgement
    kept, learning.progress, learning.enrollment.judgement = learning.progress, after, None
    rule = CompletionRule(learning.course.completion_rule)
    begins_anew = learning.status is EnrollmentStatus.COMPLETED and not is_completed(rule, learning.results(), None)
    refused = await _take_again(session, learning, "reset", step) if begins_anew else None
    if refused is not None:
        learning.progress, learning.enrollment.judgement = kept, judged
        return refused
    if begins_anew:
        learning.enrollment.completed_at = None
    for table in (LessonAttempt, LessonProgress):
        struck = delete(table).where(col(table.enrollment_id) == wish.enrollment_id, col(table.lesson_id).in_(ids))
        await session.execute(struck.execution_options(synchronize_session=False))
    for key in ids & kept.keys():
        session.expunge(kept[key])
    learning.scores = {key: scores for key, scores in learning.scores.items() if key not in ids}
    return None


async def _restart_clock(
    session: AsyncSession, learning: Learning, wish: ChangeEnrollment, step: Step
) -> Refused | None:
    """Rules that count from the enrollment count from now. Access is as it was granted."""
    learning.enrollment.clock_started_at = step.moment
    return None


async def _move_start(session: AsyncSession, learning: Learning, wish: ChangeEnrollment, step: Step) -> Refused | None:
    """Rules that count from the enrollment count from this moment; before it nothing more opens."""
    learning.enrollment.clock_started_at = wish.starts_at
    return None


async def _set_access(session: AsyncSession, learning: Learning, wish: ChangeEnrollment, step: Step) -> Refused | None:
    """Access ends then, or never. A place that is over is active again, unless it was bought anew meanwhile."""
    ends_at, enrollment = wish.access_ends_at, learning.enrollment
    is_open = ends_at is None or ends_at > step.moment
    if learning.status is EnrollmentStatus.EXPIRED and is_open:
        refused = await _take_again(session, learning, "access extended", step)
        if refused is not None:
            return refused
    enrollment.access_ends_at, enrollment.access_days_from_start = ends_at, None
    await keep_end(session, learning, step.moment)
    if learning.status is EnrollmentStatus.ACTIVE and not is_open and not learning.awaits_confirmation():
        await move(session, learning, EnrollmentStatus.EXPIRED, "access ended", step)
    return None


async def _suspend(session: AsyncSession, learning: Learning, wish: ChangeEnrollment, step: Step) -> Refused | None:
    await move(session, learning, EnrollmentStatus.SUSPENDED, "suspended", step)
    return None


async def _reactivate(session: AsyncSession, learning: Learning, wish: ChangeEnrollment, step: Step) -> Refused | None:
    await move(session, learning, EnrollmentStatus.ACTIVE, "reactivated", step)
    return None


async def _judge(session: AsyncSession, learning: Learning, wish: ChangeEnrollment, step: Step) -> Refused | None:
    """Staff says how it was. What is completed stays completed."""
    if learning.status is EnrollmentStatus.ACTIVE:
        learning.enrollment.judgement = wish.judgement
    return None


_Change = Callable[[AsyncSession, Learning, ChangeEnrollment, Step], Awaitable[Refused | None]]
_CHANGES: Mapping[EnrollmentChange, _Change] = {
    EnrollmentChange.PAUSE: _pause,
    EnrollmentChange.RESUME: _resume,
    EnrollmentChange.RELEASE: _release,
    EnrollmentChange.RESET: _reset,
    EnrollmentChange.RESTART_CLOCK: _restart_clock,
    EnrollmentChange.MOVE_START: _move_start,
    EnrollmentChange.SET_ACCESS: _set_access,
    EnrollmentChange.SUSPEND: _suspend,
    EnrollmentChange.REACTIVATE: _reactivate,
    EnrollmentChange.JUDGE: _judge,
}


async def _take_again(session: AsyncSession, learning: Learning, reason: str, step: Step) -> Refused | None:
    """Make a place that holds no seat active again: its student must not have another one, and a seat has to be left.
    Wants the course locked.
    """
    enrollment = learning.enrollment
    another = exists().where(
        col(Enrollment.student_id) == enrollment.student_id,
        col(Enrollment.course_id) == enrollment.course_id,
        col(Enrollment.id) != enrollment.id,
        col(Enrollment.status).in_((*_LIVE, *LEARNING)),
    )
    if (await session.execute(select(another))).scalar_one():
        return Refused(Reason.ALREADY_ENROLLED, "The student has another place in the course.")
    limited = frozenset[UUID]() if learning.course.capacity is None else frozenset([enrollment.course_id])
    refused = await hold_seats(session, [enrollment.course_id], limited)
    if refused is None:
        await move(session, learning, EnrollmentStatus.ACTIVE, reason, step)
    return refused


def _refused(wish: ChangeEnrollment, refused: Refused | None) -> EnrollmentChanged:
    return EnrollmentChanged(
        enrollment_id=wish.enrollment_id,
        refusal=refused and refused.reason,
        refusal_detail=refused and refused.detail,
        refusal_moment=refused.moment if isinstance(refused, DatedRefusal) else None,
    )
