"""Skeleton: what a change of a course, or of an enrollment, would come to."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from activities.plans import EnrollmentPlan
from models.messages.learning import ChangeEnrollment, CourseChangeRequest
from rules.decision import Refused


@dataclass(frozen=True)
class LessonImpact:
    """For how many learners a lesson opens earlier, later, at once or no more."""

    lesson_id: UUID
    earlier: int = 0
    later: int = 0
    at_once: int = 0
    no_more: int = 0


@dataclass(frozen=True)
class CourseImpact:
    """What a change would come to: how many learners it concerns, and which lessons move."""

    learners: int
    lessons: tuple[LessonImpact, ...] = ()


async def preview_course_change(session: AsyncSession, request: CourseChangeRequest) -> CourseImpact | Refused:
    """What it would come to. Nothing is written."""
    raise NotImplementedError


async def preview_enrollment_change(
    session: AsyncSession, wish: ChangeEnrollment, moment: datetime
) -> EnrollmentPlan | Refused:
    """The plan as it would be. Nothing is written."""
    raise NotImplementedError
