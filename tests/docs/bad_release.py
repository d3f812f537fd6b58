"""An order as a release would have it that nobody has tested: it rests before it begins."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from models.messages.orders import OrderOutcome, OrderRequest
    from workflows.order import OrderWorkflow


@workflow.defn(name="OrderWorkflow", versioning_behavior=VersioningBehavior.PINNED)
class HastyOrderWorkflow(OrderWorkflow):
    """No patch, and the same build id."""

    @workflow.init
    def __init__(self, request: OrderRequest) -> None:
        super().__init__(request)

    @workflow.run
    async def run(self, request: OrderRequest) -> OrderOutcome:
        """The same story, a moment later."""
        await workflow.sleep(timedelta(milliseconds=1), summary="Nobody knows why")
        return await super().run(request)
