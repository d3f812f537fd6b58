"""The steps of an enrollment that is learned in: what is due is done, what is told is written, jobs are woken."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.certificate_jobs import changed_certificates, wake_certificates
from activities.database import Sessions
from activities.drip_jobs import DripJob, rouse_jobs, start_jobs
from activities.drip_record import bring_up, conclude, locked_learning
from activities.enrollment_changes import write_enrollment_change
from activities.learning_facts import LEARNING
from activities.learning_record import write_lesson
from activities.learning_step import Step
from models.errors import Reason
from models.messages.learning import (
    AdvanceDrip,
    DripStep,
    DripsWoken,
    EnrollmentChanged,
    LateDrip,
    LessonRecorded,
    StartDrips,
    WakeDrips,
    WriteEnrollmentChange,
    WriteLesson,
)
from models.tables import Enrollment
from models.tables.columns import now

_LATE = timedelta(minutes=2)


@dataclass
class DripActivities:
    """Each step of an enrollment is one transaction. It may be repeated: the second time finds the work done.

    Steps carry the moment of their workflow's clock, which may run ahead of this one.
    """

    sessions: Sessions

    @activity.defn
    async def advance_drip(self, step: AdvanceDrip) -> DripStep:
        """Do all that is due at this moment: lessons open, pauses end, hours that nobody spoke about count as held, the
        course is completed, access ends. Answers what follows, and when to look again.

        Raises `ApplicationError` of an enrollment that there is not: `not_found`, for good.
        """
        acting = Step(step.moment, step.workflow_id)
        async with self.sessions.begin() as session:
            learning = await locked_learning(session, step.enrollment_id, step.moment)
            if learning is None:
                raise ApplicationError("there is no such enrollment", type=Reason.NOT_FOUND, non_retryable=True)
            await bring_up(session, learning, acting)
            return await conclude(session, learning, acting)

    @activity.defn
    async def record_lesson(self, step: WriteLesson) -> LessonRecorded:
        """Write down what became of a lesson, an hour or a meeting, and do what follows from it.

        Refused with `not_found`, `lesson_not_open`, `lesson_not_begun`, `lesson_already_recorded`, `attempts_used_up`,
        `score_required`, `score_not_allowed`, `idempotency_key_reused`, or by the state of the enrollment.
        """
        async with self.sessions.begin() as session:
            return await write_lesson(session, step)

    @activity.defn
    async def change_enrollment(self, step: WriteEnrollmentChange) -> EnrollmentChanged:
        """Change the enrollment, and do what follows from it.

        Refused with `not_found`, `invalid_request`, `pause_too_long`, `enrollment_not_paused`, `not_judged`,
        `certificate_not_revoked`, `already_enrolled`, `course_full`, `idempotency_key_reused`, or by its state.
        """
        async with self.sessions.begin() as session:
            return await write_enrollment_change(session, step)

    @activity.defn
    async def start_drips(self, step: StartDrips) -> None:
        """Start the job of each enrollment that was just paid for."""
        query = select(col(Enrollment.id), col(Enrollment.course_id)).where(col(Enrollment.id).in_(step.enrollment_ids))
        async with self.sessions() as session:
            jobs = [DripJob(*row) for row in (await session.execute(query)).all()]
        await start_jobs(activity.client(), activity.info().task_queue, jobs)

    @activity.defn
    async def wake_drips(self, step: WakeDrips) -> DripsWoken:
        """Wake, or start, the jobs of enrollments that should have been looked at two minutes ago and were not, of
        those that nobody ever looked at, and of those that have just ended. The last one that was reached is answered
        where there may be more. With the first page go the jobs of certificates that another has changed.
        """
        client, task_queue = activity.client(), activity.info().task_queue
        async with self.sessions() as session:
            late = await late_enrollments(session, step.limit, step.after)
            changed = await changed_certificates(session, step.limit) if step.after is None else []
        woken = await rouse_jobs(
            client, task_queue, [DripJob(each.enrollment_id, course_id) for each, course_id in late]
        )
        woken += await wake_certificates(client, task_queue, changed)
        return DripsWoken(woken=woken, last=late[-1][0] if len(late) == step.limit else None)


async def late_enrollments(
    session: AsyncSession, limit: int, after: LateDrip | None = None
) -> list[tuple[LateDrip, UUID]]:
    """The next enrollments whose job has to be woken, with their courses; those that wait longest first."""
    never = (
        col(Enrollment.planned_at).is_(None)
        & col(Enrollment.status).in_(LEARNING)
        & (col(Enrollment.enrolled_at) < now() - _LATE)
    )
    late = col(Enrollment.wakes_at) < now() - _LATE
    since = func.coalesce(col(Enrollment.wakes_at), col(Enrollment.enrolled_at))
    query = select(since, col(Enrollment.id), col(Enrollment.course_id)).where(never | late)
    if after is not None:
        query = query.where(tuple_(since, col(Enrollment.id)) > tuple_(after.since, after.enrollment_id))
    rows = (await session.execute(query.order_by(since, col(Enrollment.id)).limit(limit))).all()
    return [(LateDrip(since=since, enrollment_id=place), course_id) for since, place, course_id in rows]
