"""Reading again what Stripe has told: hourly, and whenever a build goes to work."""

from temporalio import workflow
from temporalio.client import Client
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    VersioningBehavior,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)

with workflow.unsafe.imports_passed_through():
    from activities.stripe_catch_up import StripeCatchUpActivities
    from models import search
    from models.messages.reconciliation import CatchUp, CaughtUp
    from workflows.policies import BOOKS
    from workflows.queues import REGISTRAR_QUEUE
    from workflows.round import Round

SUMMARY = "What Stripe has told since it was read last"
_AT_START = "stripe-events-at-start"


@workflow.defn(name="StripeCatchUpWorkflow", versioning_behavior=VersioningBehavior.PINNED)
class StripeCatchUpWorkflow(Round):
    """One reading, from where the last one has come to."""

    TITLE = "What Stripe has told"
    DOES = "It is read again."

    @workflow.run
    async def run(self, catch_up: CatchUp) -> CaughtUp:
        """Record the events that no webhook has brought, and pass them on as a webhook would."""
        caught_up = await workflow.execute_activity_method(
            StripeCatchUpActivities.catch_up, catch_up, summary="Read what Stripe has told since", **BOOKS
        )
        self._over(f"{caught_up.missed} of {caught_up.read} events had not come, {caught_up.passed_on} were passed on.")
        return caught_up


async def catch_up_now(client: Client) -> None:
    """Have the events read at once, as webhooks may have been missed while nobody was at work. One that is being read
    goes on.
    """
    await client.start_workflow(
        StripeCatchUpWorkflow.run,
        CatchUp(),
        id=_AT_START,
        task_queue=REGISTRAR_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        search_attributes=TypedSearchAttributes([SearchAttributePair(search.JOB, "stripe_events")]),
        static_summary=SUMMARY,
    )
