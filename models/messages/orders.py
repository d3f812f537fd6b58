"""What is said about an order between the API, its workflow and its activities."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from models.errors import Reason
from models.messages.message import Actor, Message, ReasonText, StripeId, WorkflowId
from models.money import MinorUnits, Money
from models.vocabulary import OfflineMethod, OrderStatus, PaymentMethod, PaymentStatus, RefundStatus, WaitingFor

MAX_LINES = 20
MAX_SLOTS = 100
MAX_PLACES = 200

BankReference = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,35}$")]
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
    """What the update `checkout` answers: the order stands, and what it waits for now."""

    order_id: UUID
    status: OrderStatus
    total: Money
    waiting_for: WaitingFor = WaitingFor.PAYMENT


class PlaceOrder(Message):
    """Price the order, hold its seats and slots, write it down."""

    request: OrderRequest
    workflow_id: WorkflowId


class IssuedInvoice(Message):
    """The invoice of an order that is paid later."""

    document_id: UUID
    due_on: date = Field(description="last day to pay, in the academy's zone")
    zone: str = Field(max_length=64, description="the academy's IANA zone")


class PlacedOrder(Message):
    """The order as written, or the reason why nothing was written."""

    refusal: Reason | None = None
    refusal_detail: ReasonText | None = None
    number: str | None = None
    total: Money | None = None
    hold_expires_at: datetime | None = None
    approver_ids: tuple[UUID, ...] = Field(
        default=(), max_length=MAX_PLACES, description="who is asked for approval; none means nobody has to be"
    )
    invoice: IssuedInvoice | None = None


class ApproveOrder(Message):
    """The signal `approve`: who lets the students in, so that the order can be paid."""

    actor: Actor


class DenyOrder(Message):
    """The signal `deny`: who does not, and why (a word of a closed list)."""

    actor: Actor
    reason: ReasonText


class GrantApproval(Message):
    """Write down that the students are let in, so that the order can be paid."""

    order_id: UUID
    actor: Actor
    workflow_id: WorkflowId


class Approved(Message):
    """What an approval brought forth: how long the places are kept now, and the invoice of an order paid that way."""

    hold_expires_at: datetime
    invoice: IssuedInvoice | None = None


class ExtendHold(Message):
    """Keep seats and slots for longer, since the payment is under way."""

    order_id: UUID
    until: datetime
    resting_until: datetime | None = Field(default=None, description="no payment is possible before")
    reason: ReasonText
    workflow_id: WorkflowId


class LapseHold(Message):
    """Give seats and slots back although the payment may still arrive."""

    order_id: UUID
    workflow_id: WorkflowId


class MarkPaid(Message):
    """The signal `mark_paid`: money came in for the invoice, all of it or a part."""

    entry_id: UUID = Field(description="says which of two equal payments it is; the same id counts once")
    amount: MinorUnits = Field(gt=0, description="minor units of the order's currency")
    received_on: date
    method: OfflineMethod = OfflineMethod.BANK_TRANSFER
    reference: BankReference | None = None
    actor: Actor


class RecordInvoicePayment(Message):
    """Write money that came in to the order's invoice."""

    order_id: UUID
    received: MarkPaid
    workflow_id: WorkflowId


class InvoiceBalance(Message):
    """How an invoice stands."""

    amount: Money
    paid: Money

    @property
    def is_paid(self) -> bool:
        """Whether nothing is owed any more."""
        return self.paid.amount >= self.amount.amount


class PaymentRequest(Message):
    """Ask Stripe for a PaymentIntent or a Checkout Session for a placed order."""

    order_id: UUID
    workflow_id: WorkflowId
    attempt: int = Field(default=1, ge=1, description="counts the objects made at Stripe, one after another")


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
    declines: int = Field(default=0, ge=0, description="declined attempts within the last 60 minutes")


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
    enrollment_ids: tuple[UUID, ...] = Field(max_length=MAX_PLACES)
    lost_ids: tuple[UUID, ...] = Field(
        default=(), max_length=MAX_PLACES, description="enrollments whose seat was gone when the money came"
    )
    is_provisioned_elsewhere: bool = Field(
        default=False, description="whether a learning platform has to be told of every enrollment"
    )
    cart_ids: tuple[UUID, ...] = Field(default=(), max_length=MAX_PLACES, description="the carts that it has emptied")
    starts_drips: bool = Field(default=False, description="whether the job of each enrollment is to be started")


class RefundPlaces(Message):
    """Pay back the shares of some enrollments and end them."""

    order_id: UUID
    enrollment_ids: tuple[UUID, ...] = Field(
        default=(), max_length=MAX_PLACES, description="none means all places of the order"
    )
    reason: ReasonText
    actor: Actor = "system"
    workflow_id: WorkflowId
    attempt: int = Field(default=1, ge=1, description="counts on when a person has it tried again after a failure")
    request_id: UUID | None = Field(
        default=None, description="the wish that is granted; it says how much of one place goes back, and its access"
    )


class SettleByHand(Message):
    """A person has seen to the refunds of a job that Stripe could not make: paid back another way, or not at all."""

    order_id: UUID
    reason: ReasonText
    status: RefundStatus
    actor: Actor
    workflow_id: WorkflowId
    request_id: UUID | None = Field(default=None, description="the wish that they are of, if of one")


class RefundPayment(Message):
    """Pay back all that came in for an order that will not be completed."""

    order_id: UUID
    payment_intent_id: StripeId
    amount: Money
    reason: ReasonText
    workflow_id: WorkflowId
    attempt: int = Field(default=1, ge=1, description="counts on when a person has it tried again after a failure")


class RefundReport(Message):
    """What became of a refund."""

    refund_id: UUID
    status: RefundStatus
    stripe_refund_id: StripeId | None = Field(default=None, description="none where it was never made at Stripe")
    amount: Money | None = None
    credit_note_id: UUID | None = Field(default=None, description="the document that corrects the receipt")
    failure_reason: str | None = Field(default=None, max_length=64, description="Stripe's word for why it failed")


class RefundedPlaces(Message):
    """What became of the refunds; none where nothing had been paid."""

    order_status: OrderStatus

    refunds: tuple[RefundReport, ...] = Field(default=(), max_length=MAX_PLACES)


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
    unless_bank_is_working: bool = Field(
        default=False, description="dropped once the money is on its way, instead of paying it back when it arrives"
    )


class OrderState(Message):
    """The answer of the query `status`."""

    status: OrderStatus | None = Field(description="none until the order is written")
    waiting_for: str
    since: datetime
    next_action: str
    hold_expires_at: datetime | None = None
    needs_human: bool = False
    due_at: datetime | None = Field(default=None, description="until when it waits")
    task_id: UUID | None = Field(default=None, description="the open task that a person has to decide")


class OrderOutcome(Message):
    """The result of `OrderWorkflow`."""

    order_id: UUID
    status: OrderStatus | None = Field(description="none if the order was refused and nothing was written")
    refusal: Reason | None = None
    refusal_detail: ReasonText | None = None


class CancelCompletedOrder(Message):
    """The input of `OrderCancellationWorkflow`: staff takes back an order that was paid."""

    order_id: UUID
    payer_id: UUID
    wish: CancelOrder
