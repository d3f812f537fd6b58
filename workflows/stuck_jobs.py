"""Jobs that do not go on are found every quarter of an hour, and people are asked about them."""

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from activities.findings import FindingActivities
    from activities.stuck_jobs import StuckJobActivities
    from models.messages.checks import FindStuckJobs, LookForStuckJobs, PursueFindings, StuckJobsFound
    from models.vocabulary import CheckKind
    from workflows.policies import JOBS
    from workflows.round import Round
    from workflows.scheduled import scheduled_at


@workflow.defn(name="StuckJobsWorkflow", versioning_behavior=VersioningBehavior.PINNED)
class StuckJobsWorkflow(Round):
    """One look at all jobs. What it finds gets a job of its own, which asks as long as it is so."""

    TITLE = "Jobs that do not go on"
    DOES = "All jobs are looked over."

    @workflow.run
    async def run(self, find: FindStuckJobs) -> StuckJobsFound:
        """Look for them, write down what is wrong, and have people asked."""
        found = await workflow.execute_activity_method(
            StuckJobActivities.find_stuck_jobs,
            LookForStuckJobs(moment=scheduled_at(), workflow_id=workflow.info().workflow_id),
            summary="Look for jobs that do not go on",
            **JOBS,
        )
        pursued = await workflow.execute_activity_method(
            FindingActivities.pursue_findings,
            PursueFindings(found_by=CheckKind.STUCK_JOBS),
            summary="Have people asked about what is new",
            **JOBS,
        )
        self._over(f"{found.stuck} of {found.looked_at} jobs do not go on.")
        return found.model_copy(update={"asked": pursued.asked})
