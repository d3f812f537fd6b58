"""What should have expired and has not: its jobs are woken, and do what is due."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from temporalio import activity

from activities.certificate_jobs import wake_certificates
from activities.database import Sessions
from activities.drip_jobs import DripJob, rouse_jobs
from models.messages.learning import DripsWoken, LateDrip
from models.messages.recurring import WakeExpired
from models.tables import Certificate, Enrollment
from models.vocabulary import CertificateStatus, EnrollmentStatus
from rules.refund import CONFIRMED_AFTER

# So long their own jobs have to let them expire.
_PATIENCE = timedelta(minutes=10)
# What was held before the end of access may still be told of: until then a place has not expired with a reason.
_LONGEST = CONFIRMED_AFTER + timedelta(hours=1)
_MAY_EXPIRE = (EnrollmentStatus.ACTIVE, EnrollmentStatus.SUSPENDED)


@dataclass
class ExpirySweepActivities:
    """Steps that change nothing themselves: what expires, and when, its job decides by the record."""

    sessions: Sessions

    @activity.defn
    async def wake_ended_access(self, step: WakeExpired) -> DripsWoken:
        """Wake, or start, the jobs of places whose access was over and that nobody has looked at since."""
        async with self.sessions() as session:
            ended = await ended_access(session, step)
        jobs = [DripJob(place.enrollment_id, course_id) for place, course_id in ended]
        woken = await rouse_jobs(activity.client(), activity.info().task_queue, jobs)
        return DripsWoken(woken=woken, last=ended[-1][0] if len(ended) == step.limit else None)

    @activity.defn
    async def wake_ended_certificates(self, step: WakeExpired) -> DripsWoken:
        """Wake, or start, the jobs of enrollments with certificates whose time was over."""
        async with self.sessions() as session:
            ended = await ended_certificates(session, step)
        places = [each.enrollment_id for each in ended]
        woken = await wake_certificates(activity.client(), activity.info().task_queue, places)
        return DripsWoken(woken=woken, last=ended[-1] if len(ended) == step.limit else None)


async def ended_access(session: AsyncSession, step: WakeExpired) -> list[tuple[LateDrip, UUID]]:
    """A page of them with their courses, those that are over longest first."""
    ends_at, looked_at = col(Enrollment.access_ends_at), col(Enrollment.planned_at)
    query = select(ends_at, col(Enrollment.id), col(Enrollment.course_id)).where(
        col(Enrollment.status).in_(_MAY_EXPIRE),
        ends_at <= step.moment - _PATIENCE,
        or_(looked_at.is_(None), looked_at < ends_at, ends_at <= step.moment - _LONGEST),
    )
    if step.after is not None:
        query = query.where(tuple_(ends_at, col(Enrollment.id)) > tuple_(step.after.since, step.after.enrollment_id))
    rows = (await session.execute(query.order_by(ends_at, col(Enrollment.id)).limit(step.limit))).all()
    return [(LateDrip(since=since, enrollment_id=place), course_id) for since, place, course_id in rows]


async def ended_certificates(session: AsyncSession, step: WakeExpired) -> list[LateDrip]:
    """A page of the enrollments that they are of. What the learning platform certified itself is left as it is."""
    since = func.min(col(Certificate.expires_at))
    query = (
        select(since, col(Certificate.enrollment_id))
        .where(
            col(Certificate.status) == CertificateStatus.ISSUED,
            col(Certificate.template_id).is_not(None),
            col(Certificate.expires_at) <= step.moment - _PATIENCE,
        )
        .group_by(col(Certificate.enrollment_id))
    )
    if step.after is not None:
        query = query.having(
            tuple_(since, col(Certificate.enrollment_id)) > tuple_(step.after.since, step.after.enrollment_id)
        )
    rows = (await session.execute(query.order_by(since, col(Certificate.enrollment_id)).limit(step.limit))).all()
    return [LateDrip(since=since, enrollment_id=place) for since, place in rows]
