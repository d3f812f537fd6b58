"""Following an enrollment on the record: what is due is done, what is completed is completed, and when to look again.

Steps carry the moment of their workflow's clock. They find the enrollment locked, and change nothing that is done.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select, true
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.attendance import confirm_held, next_confirmation
from activities.audit import StateChange, write_audit
from activities.drip_mails import bundle_news, next_mail, tell_at, wanted_mails
from activities.grades import regrade
from activities.holds import SEATED, give_back_seat
from activities.learning_facts import LEARNING, Learning, Release, learning_of
from activities.learning_step import Step
from activities.pauses import end_pause
from models.identifiers import new_id
from models.messages.learning import DripStep
from models.tables import Course, Enrollment, LessonRelease
from models.vocabulary import CompletionRule, DripKind, EnrollmentStatus, ReleaseStatus
from rules.completion import is_completed, wants_judgement
from rules.drip import PlannedLesson, due, next_opening, plan
from rules.lifecycle import require_transition

FOLLOWED = (*LEARNING, EnrollmentStatus.SUSPENDED)


async def locked_learning(
    session: AsyncSession, enrollment_id: UUID, moment: datetime, *, takes_seat: bool = False
) -> Learning | None:
    """The enrollment, locked after its course where the step may give back, or take, one of its limited seats."""
    may_end = (
        true()
        if takes_seat
        else (col(Enrollment.access_ends_at) <= moment)
        | (
            (col(Enrollment.status) == EnrollmentStatus.ACTIVE)
            & (func.coalesce(col(Course.completion_rule), "") != CompletionRule.NA)
        )
    )
    seats = (
        select(col(Course.id))
        .join(Enrollment, col(Enrollment.course_id) == col(Course.id))
        .where(col(Enrollment.id) == enrollment_id, col(Course.capacity).is_not(None), may_end)
        .with_for_update(of=Course, key_share=True)
    )
    await session.execute(seats)
    return await learning_of(session, enrollment_id, lock=True)


async def bring_up(session: AsyncSession, learning: Learning, step: Step) -> None:
    """Do what time has brought by the step's moment: pauses end, hours count as held, access ends, lessons open."""
    if learning.status not in FOLLOWED:
        return
    over = learning.open_pause_over(step.moment)
    if over is not None:
        await end_pause(session, learning, over.until, step)
    await confirm_held(session, learning, step.moment, step.workflow_id)
    regrade(learning, step.moment)
    await _complete_or_expire(session, learning, step)
    await open_due(session, learning, step)


async def open_due(session: AsyncSession, learning: Learning, step: Step) -> None:
    """Open the lessons that are due. One that is open already stays as it is."""
    if learning.status in LEARNING:
        opening = due(plan(learning.facts(step.moment), step.moment), step.moment)
        await open_lessons(session, learning, opening, step)


async def open_lessons(
    session: AsyncSession, learning: Learning, opening: tuple[PlannedLesson, ...], step: Step
) -> None:
    """Write that these lessons are open from their planned moments on, and when it is to be told."""
    if not opening:
        return
    releases = [
        Release(
            lesson_id=each.lesson_id,
            opened_at=each.opens_at or step.moment,
            written_at=step.moment,
            reason=each.reason,
            tell_at=tell_at(learning, each, step.moment),
        )
        for each in opening
    ]
    rows = [
        {
            "id": new_id(),
            "created_at": step.moment,
            "enrollment_id": learning.enrollment.id,
            "lesson_id": each.lesson_id,
            "opened_at": each.opened_at,
            "reason": each.reason,
            "actor": step.actor if each.reason is DripKind.MANUAL else "system",
            "tell_at": each.tell_at,
        }
        for each in releases
    ]
    await session.execute(insert(LessonRelease).values(rows).on_conflict_do_nothing())
    learning.releases |= {each.lesson_id: each for each in releases}


async def conclude(session: AsyncSession, learning: Learning, step: Step) -> DripStep:
    """See whether the course is completed, which mails are wanted and when to look again; and how it stands now."""
    await _complete_or_expire(session, learning, step)
    await bundle_news(session, learning, step.moment)
    planned = () if learning.begins_at is None else plan(learning.facts(step.moment), step.moment)
    mails = await wanted_mails(session, learning, step.moment)
    wakes_at = _wakes_at(learning, planned, step.moment)
    enrollment = learning.enrollment
    if learning.status in FOLLOWED or enrollment.wakes_at is not None:
        enrollment.planned_at, enrollment.wakes_at = step.moment, wakes_at
    has_to_be_judged = (
        learning.status is EnrollmentStatus.ACTIVE
        and not learning.is_ending
        and wants_judgement(CompletionRule(learning.course.completion_rule), learning.results(), learning.judgement)
    )
    return DripStep(
        status=learning.status,
        student_id=enrollment.student_id,
        wakes_at=wakes_at,
        released=sum(each.status is ReleaseStatus.RELEASED for each in planned),
        lessons=len(planned),
        mails=mails,
        is_paused=learning.open_pause(step.moment) is not None,
        is_over=learning.status not in FOLLOWED or (wakes_at is None and not has_to_be_judged),
        is_completed=learning.status is EnrollmentStatus.COMPLETED,
        wants_certificate=learning.status is EnrollmentStatus.COMPLETED
        and learning.certifies
        and not learning.is_certified
        and not learning.is_ending,
        wants_judgement=has_to_be_judged,
    )


async def _complete_or_expire(session: AsyncSession, learning: Learning, step: Step) -> None:
    """What is completed is so before access ends. What was held before its end may still be told of: until that is
    confirmed, at most three days, the place does not expire, though its lessons are closed.
    """
    if (
        learning.status is EnrollmentStatus.ACTIVE
        and not learning.is_ending
        and is_completed(CompletionRule(learning.course.completion_rule), learning.results(), learning.judgement)
    ):
        learning.enrollment.completed_at = learning.enrollment.completed_at or step.moment
        await move(session, learning, EnrollmentStatus.COMPLETED, "course completed", step)
    if learning.status in SEATED and learning.is_access_over(step.moment) and not learning.awaits_confirmation():
        await move(session, learning, EnrollmentStatus.EXPIRED, "access ended", step)


async def move(session: AsyncSession, learning: Learning, to_state: EnrollmentStatus, reason: str, step: Step) -> None:
    """Let the enrollment go to another state. A seat that it does not need any more is given back.

    Raises `IllegalTransitionError`.
    """
    from_state = learning.status
    require_transition(from_state, to_state)
    learning.enrollment.status, learning.enrollment.updated_at = to_state, step.moment
    if from_state in SEATED and to_state not in SEATED:
        await give_back_seat(session, learning.course)
    change = StateChange("enrollment", learning.enrollment.id, from_state, to_state)
    await write_audit(session, [change], actor=step.actor, reason=reason, workflow_id=step.workflow_id)


def _wakes_at(learning: Learning, planned: tuple[PlannedLesson, ...], moment: datetime) -> datetime | None:
    """When something happens by itself: the earliest of all that is known."""
    if learning.status not in FOLLOWED:
        return None
    coming = [next_confirmation(learning, moment), next_mail(learning, moment), learning.enrollment.access_ends_at]
    pause = learning.open_pause(moment)
    coming.append(next_opening(planned, moment) if pause is None else pause.until)
    return min((at for at in coming if at is not None and at > moment), default=None)
