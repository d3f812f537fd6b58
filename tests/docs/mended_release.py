"""The release that mends the bad one: the step keeps its new name, for those who have not read under the old one."""

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from models.messages.refund_watch import RefundWatchOutcome, SeenRefund, WatchRefund
    from workflows.policies import STRIPE
    from workflows.refund_watch import RefundWatchWorkflow


@workflow.defn(name="RefundWatchWorkflow", versioning_behavior=VersioningBehavior.PINNED)
class MendedRefundWatchWorkflow(RefundWatchWorkflow):
    """Follows what the release before the bad one has begun."""

    @workflow.init
    def __init__(self, watch: WatchRefund) -> None:
        super().__init__(watch)

    @workflow.run
    async def run(self, watch: WatchRefund) -> RefundWatchOutcome:
        """The same story."""
        return await super().run(watch)

    async def _read(self) -> SeenRefund:
        is_renamed = workflow.patched("refunds are read by another step")
        step = "read_refund_at_stripe" if is_renamed else "read_refund"
        return await workflow.execute_activity(
            step, self._step, result_type=SeenRefund, summary="Read the refund at Stripe", **STRIPE
        )
