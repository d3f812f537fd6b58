"""Enrollments whose jobs have not looked at them in time: what was terminated, came from an older release or ended, or
has certificates that others have changed."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from activities.drips import DripActivities
    from models.messages.learning import DripsWoken, WakeDrips
    from workflows.policies import JOBS
    from workflows.round import Round

# A backlog is worked off in portions: what is due meanwhile is to find a free worker.
_REST = timedelta(seconds=20)
ROUNDS = 10
_TO_THE_NEWEST_BUILD = workflow.ContinueAsNewVersioningBehavior.AUTO_UPGRADE


@workflow.defn(name="WakeDripsWorkflow", versioning_behavior=VersioningBehavior.PINNED)
class WakeDripsWorkflow(Round):
    """One look at the record, from who waits longest on. Whoever is late is woken, or started, once.

    What keeps one from looking at its enrollment, holds up nobody else: the next sweep finds it again.
    """

    TITLE = "Late jobs of enrollments"
    DOES = "They are looked for."

    @workflow.run
    async def run(self, wake: WakeDrips) -> DripsWoken:
        """Wake as many as there are, a page at a time; after some pages another run goes on."""
        woken = 0
        for _ in range(ROUNDS):
            page = await workflow.execute_activity_method(
                DripActivities.wake_drips, wake, summary="Wake the jobs of enrollments that are overdue", **JOBS
            )
            woken += page.woken
            if page.last is None:
                break
            wake = wake.model_copy(update={"after": page.last})
            told = f"{woken} were woken; what was woken gets to work, then the others are."
            self._doing(told)
            await workflow.sleep(_REST, summary="What was woken gets to work")
        else:
            workflow.continue_as_new(wake, initial_versioning_behavior=_TO_THE_NEWEST_BUILD)
        self._over(f"{woken} were woken.")
        return DripsWoken(woken=woken)
