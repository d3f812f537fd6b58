"""The steps of a change of a course that people learn in already."""

from dataclasses import dataclass

from temporalio import activity

from activities.database import Sessions
from models.messages.learning import (
    CourseChangeBegun,
    CourseChangeRequest,
    EndCourseChange,
    ReplannedPage,
    ReplanPage,
)


@dataclass
class CourseChangeActivities:
    """Each step is one transaction and may be repeated: the second time finds the work done."""

    sessions: Sessions

    @activity.defn
    async def begin_course_change(self, request: CourseChangeRequest) -> CourseChangeBegun:
        """Make the change, and write down that enrollments have to follow it."""
        raise NotImplementedError

    @activity.defn
    async def replan_page(self, step: ReplanPage) -> ReplannedPage:
        """Bring the next enrollments in line with the change."""
        raise NotImplementedError

    @activity.defn
    async def end_course_change(self, step: EndCourseChange) -> None:
        """Write down that it is over."""
        raise NotImplementedError
