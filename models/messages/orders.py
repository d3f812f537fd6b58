"""What is said about an order between the API, its workflow and its activities."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from models.errors import Reason
from models.messages.message import Actor, Message, ReasonText, StripeId, WorkflowId
from models.money import MinorUnits, Money
from models.vocabulary import OrderStatus, PaymentMethod, PaymentStatus

MAX_LINES = 20
MAX_SLOTS = 100

CouponCode = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,40}$")]


class OrderLineRequest(Message):
    """One course for one student; slots only for a tutor's pack."""

    course_id: UUID
    student_id: UUID
    slot_ids: tuple[UUID, ...] = Field(default=(), max_length=MAX_SLOTS)


class OrderRequest(Message):
    """The input of `OrderWorkflow`: who buys what, for whom, how they pay."""

    order_id: UUID
    payer_id: UUID
    lines: tuple[OrderLineRequest, ...] = Field(min_length=1, max_length=MAX_LINES)
    coupon_code: CouponCode | None = None
    payment_method: PaymentMethod
    is_test: bool = False
    requested_by: Actor
    digest: str = Field(pattern=r"^[0-9a-f]{64}$", description="sha256 of the request, tells a repeat from a reuse")


class CheckoutRequest(Message):
    """The argument of the update `checkout`."""

    digest: str = Field(pattern=r"^[0-9a-f]{64}$")


class Checkout(Message):
    """What the update `checkout` answers: the order stands and, unless it was free, its payment waits to be made."""

    order_id: UUID
    status: OrderStatus
    total: Money


class PlaceOrder(Message):
    """Price the order, hold its seats and slots, write it down."""

    request: OrderRequest
    workflow_id: WorkflowId


class PlacedOrder(Message):
    """The order as written, or the reason why nothing was written."""

    refusal: Reason | None = None
    refusal_detail: ReasonText | None = None
    number: str | None = None
    total: Money | None = None
    hold_expires_at: datetime | None = None


class PaymentRequest(Message):
    """Ask Stripe for a PaymentIntent or a Checkout Session for a placed order."""

    order_id: UUID
    workflow_id: WorkflowId


class OrderPayment(Message):
    """Which order's payment to read or cancel."""

    order_id: UUID


class PaymentFacts(Message):
    """A payment as Stripe tells it at this moment: what really came in, and what of it went back."""

    status: PaymentStatus
    captured: Money
    refunded_amount: MinorUnits = Field(default=0, description="minor units of the captured currency")
    payment_intent_id: StripeId | None = None
    charge_id: StripeId | None = None


class RequestedPayment(Message):
    """The payment Stripe prepared, or why it refused to."""

    facts: PaymentFacts | None = None
    refusal: Reason | None = None
    refusal_detail: ReasonText | None = None


class CompleteOrder(Message):
    """Turn a paid (or free) order into active enrollments, in one transaction."""

    order_id: UUID
    payment: PaymentFacts | None = Field(default=None, description="none for a free order")
    workflow_id: WorkflowId


class CompletedOrder(Message):
    """What completing an order brought forth."""

    payer_id: UUID
    receipt_id: UUID
    enrollment_ids: tuple[UUID, ...] = Field(max_length=MAX_LINES)


class ReleaseOrder(Message):
    """Give seats, slots and coupon back and close the order."""

    order_id: UUID
    status: OrderStatus
    reason: ReasonText
    actor: Actor
    payment: PaymentFacts | None = None
    workflow_id: WorkflowId


class CancelOrder(Message):
    """The signal `cancel`: who wants the unpaid order cancelled, and why."""

    actor: Actor
    reason: ReasonText


class OrderState(Message):
    """The answer of the query `status`."""

    status: OrderStatus | None = Field(description="none until the order is written")
    waiting_for: str
    since: datetime
    next_action: str
    hold_expires_at: datetime | None = None
    needs_human: bool = False


class OrderOutcome(Message):
    """The result of `OrderWorkflow`."""

    order_id: UUID
    status: OrderStatus | None = Field(description="none if the order was refused and nothing was written")
    refusal: Reason | None = None
    refusal_detail: ReasonText | None = None
