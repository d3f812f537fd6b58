"""Skeleton: the plan of an enrollment as it is shown."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from models.tables import Enrollment, Lesson, LessonProgress
from rules.drip import PlannedLesson


@dataclass(frozen=True)
class LessonInPlan:
    """A lesson, when it opens, and how far its learner is."""

    lesson: Lesson
    planned: PlannedLesson
    progress: LessonProgress | None


@dataclass(frozen=True)
class EnrollmentPlan:
    """All lessons of an enrollment at a moment, in their order."""

    enrollment: Enrollment
    zone: ZoneInfo
    moment: datetime
    lessons: tuple[LessonInPlan, ...]
    progress_percent: int
    paused_until: datetime | None = None


async def plan_of(session: AsyncSession, enrollment_id: UUID, moment: datetime) -> EnrollmentPlan | None:
    """The plan; none if there is no such enrollment."""
    raise NotImplementedError
