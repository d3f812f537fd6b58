"""Payments that succeeded and that no running order waits for: known already, or to be looked after."""

from uuid import UUID

from sqlalchemy import select
from sqlmodel import col
from temporalio.client import Client
from temporalio.common import SearchAttributePair, WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from activities.database import Sessions
from models import search
from models.identifiers import unmatched_payment_workflow_id
from models.messages.payments import UnmatchedPayment
from models.tables import Order, Payment
from models.vocabulary import OrderStatus, PaymentStatus, WaitingFor
from workflows.queues import REGISTRAR_QUEUE
from workflows.unmatched_payment import UnmatchedPaymentWorkflow


async def is_settled(sessions: Sessions, payment_intent_id: str) -> bool:
    """Whether it is what one of our orders was paid with: then this is only late news."""
    query = select(col(Payment.id)).where(
        col(Payment.payment_intent_id) == payment_intent_id, col(Payment.status) == PaymentStatus.SUCCEEDED
    )
    async with sessions() as session:
        return (await session.execute(query)).first() is not None


async def is_unwatched(sessions: Sessions, order_id: UUID, payment_intent_id: str) -> bool:
    """Whether the order's run, if it still goes on, looks at another payment or does not wait for one any more."""
    query = (
        select(col(Payment.id))
        .join(Order, col(Order.id) == col(Payment.order_id))
        .where(
            col(Payment.order_id) == order_id,
            (col(Payment.payment_intent_id) != payment_intent_id)
            | col(Order.status).in_((OrderStatus.CANCELLED, OrderStatus.FAILED)),
        )
    )
    async with sessions() as session:
        return (await session.execute(query)).first() is not None


async def look_after(temporal: Client, payment_intent_id: str, order_id: UUID | None) -> None:
    """Start the job that finds out whose money it is, once."""
    order = [] if order_id is None else [SearchAttributePair(search.ORDER_ID, str(order_id))]
    try:
        await temporal.start_workflow(
            UnmatchedPaymentWorkflow.run,
            UnmatchedPayment(payment_intent_id=payment_intent_id, order_id=order_id),
            id=unmatched_payment_workflow_id(payment_intent_id),
            task_queue=REGISTRAR_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            search_attributes=search.at_start("payment", "open", WaitingFor.STRIPE, *order),
            static_summary="A payment that no running order waits for",
        )
    except WorkflowAlreadyStartedError:
        return
