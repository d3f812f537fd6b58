"""Skeleton of the workflow that opens the lessons of an enrollment; only the messages that others send are here."""

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from models.messages.learning import (
        ChangeEnrollment,
        DripOutcome,
        DripStart,
        EnrollmentChanged,
        LessonRecorded,
        RecordLesson,
    )


@workflow.defn(name="DripWorkflow", versioning_behavior=VersioningBehavior.PINNED)
class DripWorkflow:
    """One enrollment, for the length of its access."""

    @workflow.run
    async def run(self, start: DripStart) -> DripOutcome:
        """Open what is due, until nothing can happen any more."""
        raise NotImplementedError

    @workflow.update(description="What became of a lesson, an hour or a meeting")
    async def record_lesson(self, told: RecordLesson) -> LessonRecorded:
        """Write it down, and open what follows from it."""
        raise NotImplementedError

    @workflow.update(description="Something about the enrollment is different from now on")
    async def change(self, wish: ChangeEnrollment) -> EnrollmentChanged:
        """Change it, and plan anew."""
        raise NotImplementedError

    @workflow.signal(description="Look at the record again")
    def replan(self) -> None:
        """Something that the plan depends on has changed."""
