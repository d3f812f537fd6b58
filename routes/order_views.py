"""Orders as the API shows them."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from models.identifiers import order_workflow_id
from models.money import Money
from models.quote import Quote
from models.tables import Document, Enrollment, Order, OrderLine, Payment
from models.tables.columns import now
from models.vocabulary import EnrollmentStatus, OrderStatus, PaymentMethod, PaymentStatus, Role
from routes.runs import web_address
from routes.tokens import Principal
from settings import Settings

_PAYABLE = frozenset(
    {PaymentStatus.REQUIRES_PAYMENT_METHOD, PaymentStatus.REQUIRES_CONFIRMATION, PaymentStatus.REQUIRES_ACTION}
)


class _View(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EnrollmentOfLine(_View):
    """The place in the course that the line brings."""

    id: UUID
    status: EnrollmentStatus


class LineView(_View):
    """One course for one student, with its share of the discount."""

    position: int
    course_id: UUID
    student_id: UUID
    title: str = Field(description="the course's title at purchase")
    list_amount: int
    discount_amount: int
    total_amount: int
    slot_ids: tuple[UUID, ...] = Field(description="the lesson slots held or booked, by time")
    enrollment: EnrollmentOfLine | None


class PaymentView(_View):
    """The payment as Stripe last told it. Absent from orders that cost nothing."""

    status: PaymentStatus
    method: PaymentMethod
    amount: int
    captured_amount: int
    refunded_amount: int
    checkout_url: str | None = Field(description="Stripe's page; for the payer, while it can be paid")
    client_secret: str | None = Field(description="for Stripe's Payment Element; for the payer, while it can be paid")
    publishable_key: str | None = Field(description="goes with the client secret")


class ReceiptLink(_View):
    """The receipt and where its PDF is."""

    number: str
    href: str


class WorkflowLink(_View):
    """The job behind it, for operators."""

    id: str
    href: str


class OrderView(_View):
    """One purchase by one payer. Amounts are integers in minor units of the currency."""

    id: UUID
    number: str
    status: OrderStatus
    status_reason: str | None = Field(description="why it failed or was cancelled")
    payer_id: UUID
    currency: str
    list_amount: int
    discount_amount: int
    total_amount: int
    total: str = Field(description="the total as people write it, in English")
    quote_reasons: tuple[str, ...] = Field(description="how the price came about, pinned at purchase")
    lines: tuple[LineView, ...]
    payment: PaymentView | None
    receipt: ReceiptLink | None
    hold_expires_at: datetime = Field(description="until when seats and slots are held")
    is_test: bool
    created_at: datetime
    completed_at: datetime | None
    workflow: WorkflowLink | None = Field(description="shown to staff, admin and service")


class OrderOnItsWay(_View):
    """The answer when an order takes longer than a request should: it was taken, look again in a moment."""

    id: UUID
    href: str


def order_path(order_id: UUID) -> str:
    """Where the order is found."""
    return f"/v1/orders/{order_id}"


def order_view(
    order: Order,
    payment: Payment | None,
    receipt: Document | None,
    lines: tuple[LineView, ...],
    principal: Principal,
    settings: Settings,
) -> OrderView:
    """The order as this caller may see it."""
    workflow_id = order_workflow_id(order.id)
    return OrderView(
        id=order.id,
        number=order.number,
        status=OrderStatus(order.status),
        status_reason=order.status_reason,
        payer_id=order.payer_id,
        currency=order.currency,
        list_amount=order.list_amount,
        discount_amount=order.discount_amount,
        total_amount=order.total_amount,
        total=Money(amount=order.total_amount, currency=order.currency).format(),
        quote_reasons=Quote.model_validate(order.quote).reasons,
        lines=lines,
        payment=None if payment is None else _payment_view(order, payment, principal, settings),
        receipt=None
        if receipt is None
        else ReceiptLink(number=receipt.number, href=f"{order_path(order.id)}/receipt.pdf"),
        hold_expires_at=order.hold_expires_at,
        is_test=order.is_test,
        created_at=order.created_at,
        completed_at=order.completed_at,
        workflow=WorkflowLink(id=workflow_id, href=web_address(settings, workflow_id)) if principal.is_staff else None,
    )


def line_view(line: OrderLine, enrollment: Enrollment | None, slot_ids: list[UUID] | None) -> LineView:
    """One line of an order."""
    return LineView(
        position=line.position,
        course_id=line.course_id,
        student_id=line.student_id,
        title=line.title,
        list_amount=line.list_amount,
        discount_amount=line.discount_amount,
        total_amount=line.total_amount,
        slot_ids=tuple(slot_ids or ()),
        enrollment=None
        if enrollment is None
        else EnrollmentOfLine(id=enrollment.id, status=EnrollmentStatus(enrollment.status)),
    )


def _payment_view(order: Order, payment: Payment, principal: Principal, settings: Settings) -> PaymentView:
    may_pay = _can_be_paid(order, payment) and _pays(order, principal)
    secret = payment.client_secret if may_pay else None
    return PaymentView(
        status=PaymentStatus(payment.status),
        method=PaymentMethod(order.payment_method),
        amount=payment.amount,
        captured_amount=payment.captured_amount,
        refunded_amount=payment.refunded_amount,
        checkout_url=payment.checkout_url if may_pay else None,
        client_secret=secret,
        publishable_key=settings.stripe_publishable_key if secret is not None else None,
    )


def _can_be_paid(order: Order, payment: Payment) -> bool:
    return order.status == OrderStatus.PENDING_PAYMENT and payment.status in _PAYABLE and order.hold_expires_at > now()


def _pays(order: Order, principal: Principal) -> bool:
    """The payer, or the platform's own server that orders in the payer's name and hands the link on."""
    return principal.person_id == order.payer_id or Role.SERVICE in principal.roles
