"""Completed orders for tests of what follows them: receipts and mails."""

from collections.abc import Sequence
from uuid import UUID, uuid4

from sqlalchemy import update
from sqlmodel import col

from activities.database import Sessions
from activities.orders import OrderActivities
from models.identifiers import order_workflow_id
from models.messages.orders import (
    CompletedOrder,
    CompleteOrder,
    OrderLineRequest,
    OrderRequest,
    PaymentFacts,
    PlaceOrder,
)
from models.tables import Person
from models.vocabulary import PaymentMethod, PaymentStatus
from sandbox.sample_academy import sample_id


async def complete_order(
    sessions: Sessions, *, payer: str = "lukasz", courses: Sequence[tuple[str, str]], coupon: str | None = None
) -> tuple[UUID, CompletedOrder]:
    """Order and pay (course, student) pairs; the order's id and what completing it brought forth."""
    orders, order_id = OrderActivities(sessions), uuid4()
    request = OrderRequest(
        order_id=order_id,
        payer_id=sample_id("person", payer),
        lines=tuple(
            OrderLineRequest(course_id=sample_id("course", code), student_id=sample_id("person", student))
            for code, student in courses
        ),
        coupon_code=coupon,
        payment_method=PaymentMethod.CHECKOUT,
        requested_by="system",
        digest="a" * 64,
    )
    placed = await orders.place_order(PlaceOrder(request=request, workflow_id=order_workflow_id(order_id)))
    assert placed.total is not None, placed.refusal
    paid = PaymentFacts(
        status=PaymentStatus.SUCCEEDED,
        captured=placed.total,
        payment_intent_id=f"pi_{order_id.hex}",
        charge_id=f"ch_{order_id.hex}",
    )
    completed = await orders.complete_order(
        CompleteOrder(
            order_id=order_id,
            payment=paid if placed.total.amount else None,
            workflow_id=order_workflow_id(order_id),
        )
    )
    return order_id, completed


async def change_person(sessions: Sessions, key: str, **values: str) -> None:
    """Give one of the sample people another name, address or language."""
    async with sessions.begin() as session:
        await session.execute(update(Person).where(col(Person.id) == sample_id("person", key)).values(**values))
