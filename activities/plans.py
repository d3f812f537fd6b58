"""The plan of an enrollment as it is shown: when each lesson opens, and how far its learner is."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from activities.learning_facts import Learning, learning_of
from models.tables import Enrollment, Lesson, LessonProgress
from models.vocabulary import ReleaseStatus
from rules.completion import percent_done
from rules.drip import PlannedLesson, due, plan


@dataclass(frozen=True)
class LessonInPlan:
    """A lesson, when it opens, and how far its learner is."""

    lesson: Lesson
    planned: PlannedLesson
    progress: LessonProgress | None


@dataclass(frozen=True)
class EnrollmentPlan:
    """All lessons of an enrollment at a moment, in their order. One that has not begun yet has none."""

    enrollment: Enrollment
    zone: ZoneInfo
    moment: datetime
    lessons: tuple[LessonInPlan, ...]
    progress_percent: int
    paused_until: datetime | None = None


async def plan_of(
    session: AsyncSession, enrollment_id: UUID, moment: datetime, *, looked_at: datetime | None = None
) -> EnrollmentPlan | None:
    """How it stands at `moment` (UTC), as far as that is known at `looked_at`, which is the same unless somebody looks
    ahead; none if there is no such enrollment.

    What opens between the two counts as open. What should have opened by `looked_at` and has not is planned, with a
    moment that has passed: its job is late.
    """
    learning = await learning_of(session, enrollment_id)
    return None if learning is None else _shown(learning, moment, looked_at or moment)


def _shown(learning: Learning, moment: datetime, looked_at: datetime) -> EnrollmentPlan:
    pause = learning.open_pause(moment)
    lessons = {lesson.id: lesson for lesson in learning.lessons}
    return EnrollmentPlan(
        enrollment=learning.enrollment,
        zone=learning.zone,
        moment=moment,
        lessons=tuple(
            LessonInPlan(lessons[each.lesson_id], each, learning.progress.get(each.lesson_id))
            for each in planned_lessons(learning, moment, after=looked_at)
        ),
        progress_percent=percent_done(learning.results()),
        paused_until=None if pause is None else pause.until,
    )


def planned_lessons(
    learning: Learning, moment: datetime, only: Collection[UUID] | None = None, *, after: datetime | None = None
) -> tuple[PlannedLesson, ...]:
    """The lessons, or only these, in their order; those that are due are open, or only those of them that open after
    this moment.
    """
    if learning.begins_at is None:
        return ()
    planned = plan(learning.facts(moment), moment, only)
    opening = {
        each.lesson_id
        for each in due(planned, moment)
        if after is None or (each.opens_at is not None and each.opens_at > after)
    }
    return tuple(
        replace(each, status=ReleaseStatus.RELEASED) if each.lesson_id in opening else each for each in planned
    )
