"""Staff takes a paid order back: places end, the money goes back, the coupon is free again."""

import asyncio

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from models.messages.jobs import JobState
    from models.messages.orders import CancelCompletedOrder
    from models.messages.tasks import DecideTask, TaskDecided
    from models.vocabulary import OrderStatus, WaitingFor
    from workflows.desk import Desk
    from workflows.human_tasks import HumanTasks
    from workflows.mailing import Outbox
    from workflows.paying_back import PayingBack
    from workflows.shielding import to_its_end


@workflow.defn(name="OrderCancellationWorkflow", versioning_behavior=VersioningBehavior.PINNED)
class OrderCancellationWorkflow:
    """One order, taken back once."""

    @workflow.init
    def __init__(self, request: CancelCompletedOrder) -> None:
        self._outbox = Outbox()
        self._tasks = HumanTasks(self._outbox)
        self._desk = Desk(
            "Cancellation of a paid order",
            "The places end and the money goes back.",
            listed=(OrderStatus.COMPLETED, WaitingFor.STRIPE),
        )

    @workflow.run
    async def run(self, request: CancelCompletedOrder) -> OrderStatus:
        """End every place that is left, pay back what was paid for them, and say how the order stands then.

        What staff has taken back cannot be cancelled half way.
        """
        return await to_its_end(asyncio.create_task(self._take_back(request)))

    async def _take_back(self, request: CancelCompletedOrder) -> OrderStatus:
        back = PayingBack(request.order_id, request.payer_id, self._desk, self._tasks, self._outbox)
        await back.places((), "cancelled", request.wish.actor)
        self._desk.tell(WaitingFor.NOTHING, f"Over: the order is {self._desk.status}.")
        await self._outbox.emptied()
        return OrderStatus(self._desk.status or OrderStatus.COMPLETED)

    @workflow.update(description="Decide the open task: {task_id: '…', action: 'retry', actor: 'staff:<id>'}")
    async def decide(self, decision: DecideTask) -> TaskDecided:
        """Take what a person decided."""
        return await self._tasks.decide(decision)

    @decide.validator
    def _check_decision(self, decision: DecideTask) -> None:
        self._tasks.check(decision)

    @workflow.query(description="How far the money has gone back, and who has to act")
    def status(self) -> JobState:
        return self._desk.state(self._tasks.open_id)
