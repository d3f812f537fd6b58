"""Workflows as a release would have them that nobody has tested: no patch, and the same build id.

Three ways to wedge a job: a command that is new, one that is gone, and a step that has another name.
"""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from models.messages.learning import DripOutcome, DripStart
    from models.messages.orders import OrderOutcome, OrderRequest
    from models.messages.refund_watch import RefundWatchOutcome, SeenRefund, WatchRefund
    from workflows.drip import DripWorkflow
    from workflows.order import OrderWorkflow
    from workflows.policies import STRIPE
    from workflows.refund_watch import RefundWatchWorkflow


@workflow.defn(name="OrderWorkflow", versioning_behavior=VersioningBehavior.PINNED)
class HastyOrderWorkflow(OrderWorkflow):
    """It rests before it begins: a command that is new."""

    @workflow.init
    def __init__(self, request: OrderRequest) -> None:
        super().__init__(request)

    @workflow.run
    async def run(self, request: OrderRequest) -> OrderOutcome:
        """The same story, a moment later."""
        await workflow.sleep(timedelta(milliseconds=1), summary="Nobody knows why")
        return await super().run(request)


@workflow.defn(name="RefundWatchWorkflow", versioning_behavior=VersioningBehavior.PINNED)
class RenamedRefundWatchWorkflow(RefundWatchWorkflow):
    """Its step has another name."""

    @workflow.init
    def __init__(self, watch: WatchRefund) -> None:
        super().__init__(watch)

    @workflow.run
    async def run(self, watch: WatchRefund) -> RefundWatchOutcome:
        """The same story."""
        return await super().run(watch)

    async def _read(self) -> SeenRefund:
        return await workflow.execute_activity(
            "read_refund_at_stripe", self._step, result_type=SeenRefund, summary="Read the refund at Stripe", **STRIPE
        )


@workflow.defn(name="DripWorkflow", versioning_behavior=VersioningBehavior.PINNED)
class TimelessDripWorkflow(DripWorkflow):
    """Once somebody has woken it, it sleeps without a clock: a command that is gone."""

    @workflow.init
    def __init__(self, start: DripStart) -> None:
        super().__init__(start)

    @workflow.run
    async def run(self, start: DripStart) -> DripOutcome:
        """The same story."""
        return await super().run(start)

    async def _sleep(self) -> None:
        if not self._was_woken:
            await super()._sleep()
        else:
            await workflow.wait_condition(lambda: self._is_at_its_end or self._is_to_be_read or self._leaves())
