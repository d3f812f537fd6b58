"""What has come in for an order, and what of it a bank has taken back."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ScalarSelect, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models.tables import Dispute, Invoice, Order, Payment
from models.vocabulary import DisputeStatus


@dataclass(frozen=True)
class Received:
    """What came in for an order, in minor units, and through which PaymentIntent; none for an invoice.

    `lost` is what the payer's bank has taken back since, in a dispute.
    """

    amount: int
    payment_intent_id: str | None
    lost: int = 0


def lost_in_disputes() -> ScalarSelect[int]:
    """What lost disputes took of each `Payment` of a query, in minor units."""
    return (
        select(func.coalesce(func.sum(col(Dispute.amount)), 0))
        .where(
            col(Dispute.payment_intent_id) == col(Payment.payment_intent_id),
            col(Dispute.status) == DisputeStatus.LOST,
        )
        .scalar_subquery()
    )


async def received_for(session: AsyncSession, order_id: UUID) -> Received:
    """What has come in for the order."""
    query = (
        select(
            col(Payment.captured_amount),
            col(Payment.payment_intent_id),
            func.least(col(Invoice.paid_amount), col(Invoice.amount)),
            lost_in_disputes(),
        )
        .select_from(Order)
        .join(Payment, col(Payment.order_id) == col(Order.id), isouter=True)
        .join(Invoice, col(Invoice.order_id) == col(Order.id), isouter=True)
        .where(col(Order.id) == order_id)
    )
    captured, intent_id, invoiced, lost_amount = (await session.execute(query)).one()
    return Received(captured or invoiced or 0, intent_id, int(lost_amount))
