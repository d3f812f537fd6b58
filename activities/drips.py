"""The steps of an enrollment that is learned in: what is due is done, what is told is written, jobs are woken."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from temporalio import activity

from activities.certificate_jobs import changed_certificates, wake_certificates
from activities.database import Sessions
from activities.drip_jobs import start_jobs, wake_jobs
from activities.drip_record import Step, bring_up, conclude, locked_learning
from activities.enrollment_changes import write_enrollment_change
from activities.learning_facts import LEARNING
from activities.learning_record import write_lesson
from models.messages.learning import (
    AdvanceDrip,
    DripStep,
    DripsWoken,
    EnrollmentChanged,
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

        Raises `NoResultFound` of an enrollment that there is not.
        """
        acting = Step(step.moment, step.workflow_id)
        async with self.sessions.begin() as session:
            learning = await locked_learning(session, step.enrollment_id, step.moment)
            if learning is None:
                await session.get_one(Enrollment, step.enrollment_id)
            assert learning is not None  # noqa: S101 - else the line above has raised
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
        await start_jobs(activity.client(), activity.info().task_queue, step.enrollment_ids)

    @activity.defn
    async def wake_drips(self, step: WakeDrips) -> DripsWoken:
        """Wake, or start, the jobs of enrollments that should have been looked at two minutes ago and were not, of
        those that nobody ever looked at, and of those that have just ended. So are the jobs of certificates that
        another has changed.
        """
        async with self.sessions() as session:
            late = await late_enrollments(session, step.limit)
            changed = await changed_certificates(session, step.limit)
        await wake_jobs(activity.client(), activity.info().task_queue, late)
        await wake_certificates(activity.client(), activity.info().task_queue, changed)
        return DripsWoken(woken=max(len(late), len(changed)))


async def late_enrollments(session: AsyncSession, limit: int) -> list[UUID]:
    """The enrollments whose job has to be woken, those that wait longest first."""
    never = (
        col(Enrollment.planned_at).is_(None)
        & col(Enrollment.status).in_(LEARNING)
        & (col(Enrollment.enrolled_at) < now() - _LATE)
    )
    late = col(Enrollment.wakes_at) < now() - _LATE
    since = func.coalesce(col(Enrollment.wakes_at), col(Enrollment.enrolled_at))
    query = select(col(Enrollment.id)).where(never | late).order_by(since, col(Enrollment.id)).limit(limit)
    return list((await session.execute(query)).scalars())
