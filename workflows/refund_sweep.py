"""Looking for refunds that nobody has told us of: made in Stripe's Dashboard, their webhooks lost."""

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from activities.refund_watch import RefundWatchActivities
    from models.messages.refund_watch import SweepOutcome, SweepRefunds
    from workflows.policies import STRIPE
    from workflows.refund_watch import watch_refund


@workflow.defn(name="RefundSweepWorkflow", versioning_behavior=VersioningBehavior.PINNED)
class RefundSweepWorkflow:
    """One look at Stripe. What it finds is adopted by the watch of its own."""

    @workflow.run
    async def run(self, sweep: SweepRefunds) -> SweepOutcome:
        """Start a watch for every refund of our orders that is not in the record."""
        unknown = await workflow.execute_activity_method(
            RefundWatchActivities.find_unknown_refunds,
            sweep,
            summary="Look for refunds that are not in the record",
            **STRIPE,
        )
        for stripe_refund_id in unknown.stripe_refund_ids:
            await watch_refund(stripe_refund_id)
        return SweepOutcome(adopted=len(unknown.stripe_refund_ids))
