"""Skeleton of the workflow that changes a course for those who learn there; only its messages are here."""

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from models.messages.learning import CourseChangeBegun, CourseChangeOutcome, CourseChangeRequest


@workflow.defn(name="CourseChangeWorkflow", versioning_behavior=VersioningBehavior.PINNED)
class CourseChangeWorkflow:
    """One change of a course, enrollment by enrollment."""

    @workflow.run
    async def run(self, request: CourseChangeRequest) -> CourseChangeOutcome:
        """Make the change, then go through all enrollments."""
        raise NotImplementedError

    @workflow.update(description="Wait until the change is made")
    async def begin(self) -> CourseChangeBegun:
        """Whether the change was made."""
        raise NotImplementedError

    @workflow.signal(description="Go no further")
    def stop(self) -> None:
        """End it after the page that is under way."""
