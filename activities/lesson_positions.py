"""Where a learner is within a lesson. It comes often and changes nothing else, so no job is asked about it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Select, case, cast, exists, func, select
from sqlalchemy.dialects.postgresql import JSONPATH, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models.tables import (
    Enrollment,
    EnrollmentPause,
    Lesson,
    LessonProgress,
    LessonRelease,
    RefundRequest,
)
from models.vocabulary import DripKind, EnrollmentStatus, LessonStatus, RefundAccess, RefundRequestStatus

_LEARNING = (EnrollmentStatus.ACTIVE, EnrollmentStatus.COMPLETED)
_LONGEST = 2_000_000_000
_DEPENDS_ON_START = f'$.** ? (@.kind == "{DripKind.AFTER_START}")'


@dataclass(frozen=True)
class LessonPosition:
    """How far somebody has come with a lesson since the last time they said so. `attempt_id` tells a repeat of that."""

    enrollment_id: UUID
    lesson_id: UUID
    attempt_id: UUID
    time_spent_seconds: int = 0
    current_position: int | None = None
    total_content: int | None = None


async def keep_position(session: AsyncSession, told: LessonPosition, moment: datetime) -> LessonProgress | None:
    """Write it down; none if the enrollment's job has to be asked.

    It is asked where anything speaks against it, since it knows the reason, and where the first start of the course
    opens lessons or lets access begin. The enrollment is locked.
    """
    enrollment = (await session.execute(_learning(told, moment))).scalar_one_or_none()
    if enrollment is None:
        return None
    if enrollment.started_at is None:
        if enrollment.access_days_from_start is not None or await _start_counts(session, enrollment.course_id):
            return None
        enrollment.started_at = moment
    return await _write(session, told, moment)


def _learning(told: LessonPosition, moment: datetime) -> Select[Enrollment]:
    """The enrollment, if its learner may be in this lesson now."""
    is_open = exists().where(
        col(LessonRelease.enrollment_id) == col(Enrollment.id), col(LessonRelease.lesson_id) == told.lesson_id
    )
    is_taught = exists().where(col(Lesson.id) == told.lesson_id, col(Lesson.removed_at).is_(None))
    is_paused = exists().where(
        col(EnrollmentPause.enrollment_id) == col(Enrollment.id), col(EnrollmentPause.resumed_at).is_(None)
    )
    is_ending = exists().where(
        col(RefundRequest.enrollment_id) == col(Enrollment.id),
        col(RefundRequest.status) == RefundRequestStatus.APPROVED,
        col(RefundRequest.access) == RefundAccess.REVOKED,
    )
    return (
        select(Enrollment)
        .where(
            col(Enrollment.id) == told.enrollment_id,
            col(Enrollment.status).in_(_LEARNING),
            col(Enrollment.access_ends_at).is_(None) | (col(Enrollment.access_ends_at) > moment),
            is_open,
            is_taught,
            ~is_paused,
            ~is_ending,
        )
        .with_for_update(of=Enrollment)
    )


async def _start_counts(session: AsyncSession, course_id: UUID) -> bool:
    by_rule = exists().where(
        col(Lesson.course_id) == course_id,
        col(Lesson.removed_at).is_(None),
        func.jsonb_path_exists(col(Lesson.drip_rule), cast(_DEPENDS_ON_START, JSONPATH)),
    )
    return bool((await session.execute(select(by_rule))).scalar_one())


async def _write(session: AsyncSession, told: LessonPosition, moment: datetime) -> LessonProgress:
    new = insert(LessonProgress).values(
        enrollment_id=told.enrollment_id,
        lesson_id=told.lesson_id,
        status=LessonStatus.IN_PROGRESS,
        time_spent_seconds=told.time_spent_seconds,
        current_position=told.current_position,
        total_content=told.total_content,
        last_attempt_id=told.attempt_id,
        started_at=moment,
        last_accessed_at=moment,
    )
    is_repeated = col(LessonProgress.last_attempt_id) == new.excluded.last_attempt_id
    time_spent = cast(col(LessonProgress.time_spent_seconds), BigInteger) + new.excluded.time_spent_seconds
    written = new.on_conflict_do_update(
        index_elements=[col(LessonProgress.enrollment_id), col(LessonProgress.lesson_id)],
        set_={
            "time_spent_seconds": case(
                (is_repeated, col(LessonProgress.time_spent_seconds)), else_=func.least(time_spent, _LONGEST)
            ),
            "current_position": func.coalesce(new.excluded.current_position, col(LessonProgress.current_position)),
            "total_content": func.coalesce(new.excluded.total_content, col(LessonProgress.total_content)),
            "last_attempt_id": new.excluded.last_attempt_id,
            "last_accessed_at": case(
                (is_repeated, col(LessonProgress.last_accessed_at)), else_=new.excluded.last_accessed_at
            ),
        },
    ).returning(LessonProgress)
    return (await session.execute(written)).scalar_one()
