"""The order in the record: placed with its holds, held for longer, completed into enrollments, or released.

One transaction each.
"""

from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from temporalio import activity

from activities.audit import StateChange, write_audit
from activities.completing import complete, completed_before, write_payment
from activities.coupon_uses import release_coupon
from activities.database import Sessions
from activities.holds import release_places
from activities.invoice_payments import record_payment, void_invoice
from activities.invoices import issue_invoice, issued_invoice
from activities.placing import place
from models.messages.orders import (
    Approved,
    CompletedOrder,
    CompleteOrder,
    ExtendHold,
    GrantApproval,
    InvoiceBalance,
    IssuedInvoice,
    LapseHold,
    PlacedOrder,
    PlaceOrder,
    RecordInvoicePayment,
    ReleaseOrder,
)
from models.tables import Enrollment, Order, OrderLine, Payment
from models.tables.columns import now
from models.vocabulary import EnrollmentStatus, InvoiceStatus, OrderStatus, PaymentMethod
from rules.lifecycle import require_transition
from rules.payment import APPROVED_HOLD


@dataclass
class OrderActivities:
    """Steps of an order that touch PostgreSQL only. Each may be repeated: the second time finds the work done.

    `is_provisioned_elsewhere` says whether a learning platform has to be told of every enrollment.
    """

    sessions: Sessions
    is_provisioned_elsewhere: bool = False

    @activity.defn
    async def place_order(self, step: PlaceOrder) -> PlacedOrder:
        """Price the order, hold seats, slots and coupon, and write it all down; or refuse and write nothing."""
        return await place(self.sessions, step)

    @activity.defn
    async def grant_approval(self, step: GrantApproval) -> Approved:
        """The students are let in: from now on the order waits to be paid, for another while."""
        async with self.sessions.begin() as session:
            order = await session.get_one(Order, step.order_id, with_for_update=True)
            granted = await _to_pending_payment(session, order)
            invoice: IssuedInvoice | None = None
            if order.payment_method == PaymentMethod.INVOICE and order.total_amount:
                invoice = await issued_invoice(session, order.id)
                if invoice is None:
                    invoice = await issue_invoice(session, order, now())
                    granted.append(StateChange("invoice", invoice.document_id, None, InvoiceStatus.OPEN))
            elif granted:
                order.hold_expires_at = now() + APPROVED_HOLD
            await write_audit(session, granted, actor=step.actor, reason="approved", workflow_id=step.workflow_id)
            return Approved(hold_expires_at=order.hold_expires_at, invoice=invoice)

    @activity.defn
    async def extend_hold(self, step: ExtendHold) -> None:
        """Keep the places for longer; with `resting_until` nothing can be paid before."""
        async with self.sessions.begin() as session:
            await session.execute(
                update(Order).where(col(Order.id) == step.order_id).values(hold_expires_at=step.until, updated_at=now())
            )
            if step.resting_until is not None:
                await session.execute(
                    update(Payment)
                    .where(col(Payment.order_id) == step.order_id)
                    .values(resting_until=step.resting_until, checkout_url=None, client_secret=None, updated_at=now())
                )

    @activity.defn
    async def lapse_hold(self, step: LapseHold) -> None:
        """Give seats and slots back while the payment is still on its way. The coupon stays with the order."""
        async with self.sessions.begin() as session:
            order = await session.get_one(Order, step.order_id, with_for_update=True)
            if order.hold_lapsed_at is not None:
                return
            changes = await release_places(session, order.id)
            order.hold_lapsed_at = order.updated_at = now()
            await write_audit(
                session, changes, actor="system", reason="payment_takes_too_long", workflow_id=step.workflow_id
            )

    @activity.defn
    async def record_invoice_payment(self, step: RecordInvoicePayment) -> InvoiceBalance:
        """Write money that came in to the order's invoice, once per entry, and say how it stands."""
        async with self.sessions.begin() as session:
            return await record_payment(session, step)

    @activity.defn
    async def complete_order(self, step: CompleteOrder) -> CompletedOrder:
        """The order is paid or free: activate its enrollments, book its slots, number its receipt."""
        async with self.sessions.begin() as session:
            order = await session.get_one(Order, step.order_id, with_for_update=True)
            if order.completed_at is not None:
                done = await completed_before(session, order)
            else:
                require_transition(OrderStatus(order.status), OrderStatus.COMPLETED)
                done = await complete(session, order, step)
            return done.model_copy(update={"is_provisioned_elsewhere": self.is_provisioned_elsewhere})

    @activity.defn
    async def release_order(self, step: ReleaseOrder) -> OrderStatus | None:
        """The order is off: give back what it held and close it as failed or cancelled, with the reason.

        One that is over stays as it is, and how it stands is answered: its job was reset, and finds at Stripe that the
        money has come and gone.
        """
        async with self.sessions.begin() as session:
            order = await session.get_one(Order, step.order_id, with_for_update=True)
            if order.status != OrderStatus.PENDING_PAYMENT:
                return None if order.status == step.status else OrderStatus(order.status)
            require_transition(OrderStatus(order.status), step.status)
            changes = [StateChange("order", order.id, OrderStatus.PENDING_PAYMENT, step.status)]
            changes += await release_places(session, order.id)
            if order.coupon_id is not None:
                await release_coupon(session, order.id)
            if order.payment_method == PaymentMethod.INVOICE:
                changes += await void_invoice(session, order.id)
            changes += await write_payment(session, order.id, step.payment)
            order.status, order.status_reason, order.updated_at = step.status, step.reason, now()
            await write_audit(session, changes, actor=step.actor, reason=step.reason, workflow_id=step.workflow_id)
            return None


async def _to_pending_payment(session: AsyncSession, order: Order) -> list[StateChange]:
    granted = (
        update(Enrollment)
        .where(
            col(Enrollment.order_line_id).in_(select(col(OrderLine.id)).where(col(OrderLine.order_id) == order.id)),
            col(Enrollment.status) == EnrollmentStatus.PENDING_APPROVAL,
        )
        .values(status=EnrollmentStatus.PENDING_PAYMENT, updated_at=now())
        .returning(col(Enrollment.id))
    )
    return [
        StateChange("enrollment", row, EnrollmentStatus.PENDING_APPROVAL, EnrollmentStatus.PENDING_PAYMENT)
        for row in (await session.execute(granted)).scalars()
    ]
