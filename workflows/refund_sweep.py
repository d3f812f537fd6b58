"""Looking for what nobody has told us of, since its webhooks got lost: refunds of the Dashboard, and disputes."""

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from activities.disputes import DisputeActivities
    from activities.refund_watch import RefundWatchActivities
    from models.messages.disputes import FindChangedDisputes
    from models.messages.refund_watch import SweepOutcome, SweepRefunds
    from workflows.dispute_start import follow_dispute
    from workflows.policies import STRIPE
    from workflows.refund_watch import watch_refund
    from workflows.round import Round


@workflow.defn(name="RefundSweepWorkflow", versioning_behavior=VersioningBehavior.PINNED)
class RefundSweepWorkflow(Round):
    """One look at Stripe. What it finds gets a job of its own, which reads it and decides."""

    TITLE = "A look at Stripe"
    DOES = "Refunds and disputes are listed."

    @workflow.run
    async def run(self, sweep: SweepRefunds) -> SweepOutcome:
        """Have every refund of our orders watched that is not in the record, and look again at disputes that moved."""
        unknown = await workflow.execute_activity_method(
            RefundWatchActivities.find_unknown_refunds,
            sweep,
            summary="Look for refunds that are not in the record",
            **STRIPE,
        )
        for stripe_refund_id in unknown.stripe_refund_ids:
            await watch_refund(stripe_refund_id)
        if sweep.payment_intent_id is None:
            changed = await workflow.execute_activity_method(
                DisputeActivities.find_changed_disputes,
                FindChangedDisputes(),
                summary="Look for disputes that are not as the record has them",
                **STRIPE,
            )
            for stripe_dispute_id in changed.stripe_dispute_ids:
                await follow_dispute(stripe_dispute_id)
        outcome = SweepOutcome(adopted=len(unknown.stripe_refund_ids))
        self._over(f"{outcome.adopted} refunds were not in the record.")
        return outcome
