"""The steps of an enrollment that is learned in: what is due is done, what is told is written, jobs are woken."""

from dataclasses import dataclass

from temporalio import activity

from activities.database import Sessions
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


@dataclass
class DripActivities:
    """Each step is one transaction and may be repeated: the second time finds the work done."""

    sessions: Sessions

    @activity.defn
    async def advance_drip(self, step: AdvanceDrip) -> DripStep:
        """Do all that is due for an enrollment at this moment."""
        raise NotImplementedError

    @activity.defn
    async def record_lesson(self, step: WriteLesson) -> LessonRecorded:
        """Write down what became of a lesson, and do what follows from it."""
        raise NotImplementedError

    @activity.defn
    async def change_enrollment(self, step: WriteEnrollmentChange) -> EnrollmentChanged:
        """Change the enrollment, and do what follows from it."""
        raise NotImplementedError

    @activity.defn
    async def start_drips(self, step: StartDrips) -> None:
        """Start the job of each of these enrollments, or wake it."""
        raise NotImplementedError

    @activity.defn
    async def wake_drips(self, step: WakeDrips) -> DripsWoken:
        """Wake, or start, the jobs that should have looked at their enrollments and have not."""
        raise NotImplementedError
