"""Looking for what nobody has told us of, since its webhooks got lost: refunds of the Dashboard, and disputes."""

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from activities.disputes import DisputeActivities
    from activities.refund_watch import RefundWatchActivities
    from models.messages.disputes import FindChangedDisputes
    from models.messages.jobs import JobState
    from models.messages.refund_watch import SweepOutcome, SweepRefunds
    from models.vocabulary import WaitingFor
    from workflows.desk import Desk
    from workflows.dispute_start import follow_dispute
    from workflows.policies import STRIPE
    from workflows.refund_watch import watch_refund


@workflow.defn(name="RefundSweepWorkflow", versioning_behavior=VersioningBehavior.PINNED)
class RefundSweepWorkflow:
    """One look at Stripe. What it finds gets a job of its own, which reads it and decides."""

    @workflow.init
    def __init__(self, sweep: SweepRefunds) -> None:
        self._desk = Desk("A look at Stripe", "Refunds and disputes are listed.", listed=("", WaitingFor.NOTHING))
        self._desk.status = "running"

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
        self._desk.status = "done"
        self._desk.tell(WaitingFor.NOTHING, f"Over: {outcome.adopted} refunds were not in the record.", in_passing=True)
        return outcome

    @workflow.query(description="What the look has found")
    def status(self) -> JobState:
        return self._desk.state(None)
