"""The jobs that follow what happens at Stripe: told that something has changed, and started where there is none.

They read Stripe again and decide (DESIGN §3.4). Of which workflow they are, is said by name alone.
"""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from activities.starts import is_delivered
from models.identifiers import (
    dispute_workflow_id,
    order_workflow_id,
    refund_sweep_workflow_id,
    refund_watch_workflow_id,
    unmatched_payment_workflow_id,
)
from models.listing import (
    DISPUTE_SUMMARY,
    DISPUTE_WORKFLOW,
    PAYMENT_SUMMARY,
    PAYMENT_WORKFLOW,
    REFUND_SWEEP_SUMMARY,
    REFUND_SWEEP_WORKFLOW,
    REFUND_WATCH_SUMMARY,
    REFUND_WATCH_WORKFLOW,
    dispute_attributes,
    payment_attributes,
    refund_sweep_attributes,
    refund_watch_attributes,
)
from models.messages.disputes import DisputedPayment
from models.messages.payments import UnmatchedPayment
from models.messages.refund_watch import SweepRefunds, WatchRefund

_PATIENCE = timedelta(seconds=5)
_PAYMENT_CHANGED, _REFUND_CHANGED, _DISPUTE_CHANGED = "payment_changed", "refund_changed", "dispute_changed"


@dataclass(frozen=True)
class StripeJobs:
    """Each call may be repeated: twice does what once does. All raise `RPCError` while Temporal is away."""

    client: Client
    task_queue: str

    async def tell_order(self, order_id: UUID) -> bool:
        """Whether the order still runs, and was told to look at its payment."""
        return await self._is_told(order_workflow_id(order_id), _PAYMENT_CHANGED)

    async def look_after(self, payment_intent_id: str, order_id: UUID | None) -> None:
        """Start the job that finds out whose money it is, once in all time."""
        try:
            await self.client.start_workflow(
                PAYMENT_WORKFLOW,
                UnmatchedPayment(payment_intent_id=payment_intent_id, order_id=order_id),
                id=unmatched_payment_workflow_id(payment_intent_id),
                task_queue=self.task_queue,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                search_attributes=payment_attributes(order_id),
                static_summary=PAYMENT_SUMMARY,
            )
        except WorkflowAlreadyStartedError:
            return

    async def tell_payment(self, payment_intent_id: str) -> bool:
        """Whether a person is asked about this payment, and the job that asks was told to look at it again."""
        return await self._is_told(unmatched_payment_workflow_id(payment_intent_id), _PAYMENT_CHANGED)

    async def tell_refund_watch(self, stripe_refund_id: str) -> bool:
        """Whether the refund is watched, and its watch was told to look at it again."""
        return await self._is_told(refund_watch_workflow_id(stripe_refund_id), _REFUND_CHANGED)

    async def watch_refund(self, stripe_refund_id: str, *, is_again: bool = False) -> None:
        """Tell the watch of the refund and start it if it does not run. One that is over begins anew only if
        `is_again`: the refund has failed late, or the record is not as Stripe has it.
        """
        reuse = WorkflowIDReusePolicy.ALLOW_DUPLICATE if is_again else WorkflowIDReusePolicy.REJECT_DUPLICATE
        try:
            await self.client.start_workflow(
                REFUND_WATCH_WORKFLOW,
                WatchRefund(stripe_refund_id=stripe_refund_id),
                id=refund_watch_workflow_id(stripe_refund_id),
                task_queue=self.task_queue,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=reuse,
                start_signal=_REFUND_CHANGED,
                search_attributes=refund_watch_attributes(),
                static_summary=REFUND_WATCH_SUMMARY,
                rpc_timeout=_PATIENCE,
            )
        except WorkflowAlreadyStartedError:
            return

    async def look_for_refunds(self, payment_intent_id: str, event_id: str) -> None:
        """Have the refunds of this payment looked for that are not in the record."""
        await self.client.start_workflow(
            REFUND_SWEEP_WORKFLOW,
            SweepRefunds(payment_intent_id=payment_intent_id),
            id=refund_sweep_workflow_id(payment_intent_id, event_id),
            task_queue=self.task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            search_attributes=refund_sweep_attributes(),
            static_summary=REFUND_SWEEP_SUMMARY,
            rpc_timeout=_PATIENCE,
        )

    async def follow_dispute(self, stripe_dispute_id: str) -> None:
        """Tell the run that follows the dispute, starting it if there is none.

        A dispute whose run is over may go on all the same (a lost one may be won later): then another looks at it.
        """
        await self.client.start_workflow(
            DISPUTE_WORKFLOW,
            DisputedPayment(stripe_dispute_id=stripe_dispute_id),
            id=dispute_workflow_id(stripe_dispute_id),
            task_queue=self.task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            start_signal=_DISPUTE_CHANGED,
            search_attributes=dispute_attributes(),
            static_summary=DISPUTE_SUMMARY,
            rpc_timeout=_PATIENCE,
        )

    async def _is_told(self, workflow_id: str, signal: str) -> bool:
        return await is_delivered(self.client.get_workflow_handle(workflow_id).signal(signal, rpc_timeout=_PATIENCE))
