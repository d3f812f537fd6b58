"""Enrollments whose jobs have not looked at them in time: what was terminated, came from an older release or ended, or
has certificates that others have changed."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from activities.drips import DripActivities
    from models.messages.learning import DripsWoken, WakeDrips
    from workflows.policies import JOBS

# Those that were woken get the time to look at their enrollments, else they would be found again.
_REST = timedelta(seconds=20)
ROUNDS = 10


@workflow.defn(name="WakeDripsWorkflow", versioning_behavior=VersioningBehavior.PINNED)
class WakeDripsWorkflow:
    """One look at the record. What it finds is woken, or started; what it leaves, the next one finds."""

    @workflow.run
    async def run(self, wake: WakeDrips) -> DripsWoken:
        """Wake as many as there are, a page at a time."""
        woken = 0
        for round_number in range(1, ROUNDS + 1):
            page = await workflow.execute_activity_method(
                DripActivities.wake_drips, wake, summary="Wake the jobs of enrollments that are overdue", **JOBS
            )
            woken += page.woken
            if page.woken < wake.limit or round_number == ROUNDS:
                break
            await workflow.sleep(_REST, summary="What was woken gets to work")
        return DripsWoken(woken=woken)
