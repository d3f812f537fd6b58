"""Orders as the API shows them."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from models.identifiers import order_workflow_id
from models.money import Money
from models.quote import Quote
from models.tables import Document, Enrollment, Invoice, Order, OrderLine, Payment, Refund
from models.tables.columns import now
from models.vocabulary import (
    DisputeStatus,
    DocumentKind,
    EnrollmentStatus,
    InvoiceStatus,
    OrderStatus,
    PaymentMethod,
    PaymentStatus,
    RefundStatus,
    Role,
)
from routes.runs import web_address
from routes.tokens import Principal
from settings import Settings

_PAYABLE = frozenset(
    {PaymentStatus.REQUIRES_PAYMENT_METHOD, PaymentStatus.REQUIRES_CONFIRMATION, PaymentStatus.REQUIRES_ACTION}
)


class _View(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EnrollmentOfLine(_View):
    """A place in a course that the line brings."""

    id: UUID
    course_id: UUID
    status: EnrollmentStatus


class LineView(_View):
    """One course for one student, with its share of the discount."""

    position: int
    course_id: UUID
    student_id: UUID
    title: str = Field(description="the course's title at purchase")
    list_amount: int
    discount_amount: int
    tax_amount: int = 0
    total_amount: int
    slot_ids: tuple[UUID, ...] = Field(description="the lesson slots that were chosen")
    already_entitled: bool = Field(default=False, description="the student had access before; nothing was charged")
    enrollment: EnrollmentOfLine | None = Field(description="the first of its places")
    enrollments: tuple[EnrollmentOfLine, ...] = Field(default=(), description="a bundle brings one per course")


class PaymentView(_View):
    """The payment as Stripe last told it. Absent from orders that cost nothing."""

    status: PaymentStatus
    method: PaymentMethod
    amount: int
    captured_amount: int
    refunded_amount: int
    attempt: int = Field(default=1, description="counts on when a payment was declined too often and made anew")
    declined_at: datetime | None = Field(default=None, description="the latest decline")
    decline_code: str | None = Field(default=None, description="Stripe's word for why")
    resting_until: datetime | None = Field(default=None, description="no payment is possible before")
    checkout_url: str | None = Field(description="Stripe's page; for the payer, while it can be paid")
    client_secret: str | None = Field(description="for Stripe's Payment Element; for the payer, while it can be paid")
    publishable_key: str | None = Field(description="goes with the client secret")


class InvoiceView(_View):
    """What is owed by invoice, and until when."""

    number: str
    status: InvoiceStatus
    amount: int
    paid_amount: int
    due_on: date = Field(description="last day to pay, in the academy's zone")
    href: str = Field(description="the PDF")


class RefundView(_View):
    """Money that goes back."""

    id: UUID
    amount: int
    status: RefundStatus
    reason: str


class DocumentLink(_View):
    """A numbered document and where its PDF is."""

    id: UUID
    kind: DocumentKind
    number: str
    href: str


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
    tax_amount: int = 0
    tax_name: str | None = None
    tax_percent: Decimal | None = None
    tax_inclusive: bool = Field(default=True, description="whether the amounts before it hold the tax already")
    total_amount: int
    total: str = Field(description="the total as people write it, in English")
    quote_reasons: tuple[str, ...] = Field(description="how the price came about, pinned at purchase")
    lines: tuple[LineView, ...]
    waiting_for_approval: bool = Field(default=False, description="staff has to let the students in first")
    payment: PaymentView | None
    invoice: InvoiceView | None = None
    refunds: tuple[RefundView, ...] = ()
    dispute_status: DisputeStatus | None = Field(
        default=None, description="of the latest dispute of its payment; while one is open nothing is paid back"
    )
    documents: tuple[DocumentLink, ...] = ()
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


def document_path(document_id: UUID) -> str:
    """Where the PDF of a document is found."""
    return f"/v1/documents/{document_id}.pdf"


@dataclass(frozen=True)
class OrderRows:
    """An order with all that belongs to it, as read."""

    order: Order
    payment: Payment | None
    invoice: Invoice | None
    lines: tuple[tuple[OrderLine, tuple[Enrollment, ...]], ...]
    documents: tuple[Document, ...]
    refunds: tuple[Refund, ...]
    dispute_status: DisputeStatus | None


def order_view(rows: OrderRows, principal: Principal, settings: Settings) -> OrderView:
    """The order as this caller may see it."""
    order, payment = rows.order, rows.payment
    workflow_id = order_workflow_id(order.id)
    numbers = {document.kind: document.number for document in rows.documents}
    receipt = numbers.get(DocumentKind.RECEIPT)
    return OrderView(
        id=order.id,
        number=order.number,
        status=OrderStatus(order.status),
        status_reason=order.status_reason,
        payer_id=order.payer_id,
        currency=order.currency,
        list_amount=order.list_amount,
        discount_amount=order.discount_amount,
        tax_amount=order.tax_amount,
        tax_name=order.tax_name,
        tax_percent=order.tax_percent,
        tax_inclusive=order.tax_inclusive,
        total_amount=order.total_amount,
        total=Money(amount=order.total_amount, currency=order.currency).format(),
        quote_reasons=Quote.model_validate(order.quote).reasons,
        lines=tuple(_line_view(line, places) for line, places in rows.lines),
        waiting_for_approval=any(
            place.status == EnrollmentStatus.PENDING_APPROVAL for _, places in rows.lines for place in places
        ),
        payment=None if payment is None else _payment_view(order, payment, principal, settings),
        invoice=None
        if rows.invoice is None
        else _invoice_view(order, rows.invoice, numbers.get(DocumentKind.INVOICE, "")),
        dispute_status=rows.dispute_status,
        refunds=tuple(
            RefundView(id=refund.id, amount=refund.amount, status=RefundStatus(refund.status), reason=refund.reason)
            for refund in rows.refunds
        ),
        documents=tuple(
            DocumentLink(
                id=document.id,
                kind=DocumentKind(document.kind),
                number=document.number,
                href=document_path(document.id),
            )
            for document in rows.documents
        ),
        receipt=None if receipt is None else ReceiptLink(number=receipt, href=f"{order_path(order.id)}/receipt.pdf"),
        hold_expires_at=order.hold_expires_at,
        is_test=order.is_test,
        created_at=order.created_at,
        completed_at=order.completed_at,
        workflow=WorkflowLink(id=workflow_id, href=web_address(settings, workflow_id)) if principal.is_staff else None,
    )


def _line_view(line: OrderLine, enrollments: tuple[Enrollment, ...]) -> LineView:
    places = tuple(
        EnrollmentOfLine(id=place.id, course_id=place.course_id, status=EnrollmentStatus(place.status))
        for place in enrollments
    )
    return LineView(
        position=line.position,
        course_id=line.course_id,
        student_id=line.student_id,
        title=line.title,
        list_amount=line.list_amount,
        discount_amount=line.discount_amount,
        tax_amount=line.tax_amount,
        total_amount=line.total_amount,
        slot_ids=tuple(line.slot_ids),
        already_entitled=line.already_entitled,
        enrollment=places[0] if places else None,
        enrollments=places,
    )


def _invoice_view(order: Order, invoice: Invoice, number: str) -> InvoiceView:
    return InvoiceView(
        number=number,
        status=InvoiceStatus(invoice.status),
        amount=invoice.amount,
        paid_amount=invoice.paid_amount,
        due_on=invoice.due_on,
        href=f"{order_path(order.id)}/invoice.pdf",
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
        attempt=payment.attempt,
        declined_at=payment.declined_at,
        decline_code=payment.decline_code,
        resting_until=payment.resting_until,
        checkout_url=payment.checkout_url if may_pay else None,
        client_secret=secret,
        publishable_key=settings.stripe_publishable_key if secret is not None else None,
    )


def _can_be_paid(order: Order, payment: Payment) -> bool:
    return order.status == OrderStatus.PENDING_PAYMENT and payment.status in _PAYABLE and order.hold_expires_at > now()


def _pays(order: Order, principal: Principal) -> bool:
    """The payer, or the platform's own server that orders in the payer's name and hands the link on."""
    return principal.person_id == order.payer_id or Role.SERVICE in principal.roles
