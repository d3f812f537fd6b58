"""Starting to take a paid order back."""

from uuid import UUID

from sqlalchemy import select
from sqlmodel import col
from temporalio.client import Client
from temporalio.common import SearchAttributePair, WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from activities.database import Sessions
from models import search
from models.identifiers import order_cancellation_workflow_id
from models.messages.orders import CancelCompletedOrder, CancelOrder
from models.tables import Order
from models.vocabulary import OrderStatus, WaitingFor
from workflows.order_cancellation import OrderCancellationWorkflow
from workflows.queues import REGISTRAR_QUEUE


async def start_cancellation(temporal: Client, sessions: Sessions, order_id: UUID, wish: CancelOrder) -> None:
    """Have the order taken back, once; whoever asks again finds it under way or done."""
    async with sessions() as session:
        payer_id = (await session.execute(select(col(Order.payer_id)).where(col(Order.id) == order_id))).scalar_one()
    order = SearchAttributePair(search.ORDER_ID, str(order_id))
    try:
        await temporal.start_workflow(
            OrderCancellationWorkflow.run,
            CancelCompletedOrder(order_id=order_id, payer_id=payer_id, wish=wish),
            id=order_cancellation_workflow_id(order_id),
            task_queue=REGISTRAR_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            # A run that was terminated may be started anew: its refunds are found again by their ids.
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
            search_attributes=search.at_start("order_cancellation", OrderStatus.COMPLETED, WaitingFor.STRIPE, order),
            static_summary=f"Take a paid order back: {wish.reason}",
            static_details=f"Asked for by `{wish.actor}`.",
        )
    except WorkflowAlreadyStartedError:
        return
