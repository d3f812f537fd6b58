"""Every movement of money that the record tells of, at the moment at which it was written down.

What is written down later never changes an earlier moment, so what was told of a closed month stays true: a refund that
comes to nothing is another movement, of the day on which that is known. Payments beside an order (paid twice, or for
nothing of ours) are in no account, and neither is what is paid back of them.
"""

from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Date,
    Select,
    String,
    Subquery,
    Uuid,
    case,
    cast,
    func,
    literal,
    null,
    select,
    union_all,
)
from sqlmodel import col

from activities.refund_record import GOES_BACK
from models.tables import AuditEntry, Dispute, Invoice, InvoicePayment, Order, Payment, Refund
from models.vocabulary import DisputeStatus


class Movement(StrEnum):
    """Why money moved."""

    PAYMENT = "payment"
    INVOICE_PAYMENT = "invoice_payment"
    REFUND = "refund"
    REFUND_RETURNED = "refund_returned"
    DISPUTE_LOST = "dispute_lost"
    DISPUTE_REGAINED = "dispute_regained"


RECEIPTS = (Movement.PAYMENT, Movement.INVOICE_PAYMENT)
REFUNDS = (Movement.REFUND, Movement.REFUND_RETURNED)
DISPUTES = (Movement.DISPUTE_LOST, Movement.DISPUTE_REGAINED)

_REFUND, _DISPUTE = "refund", "dispute"
_NO_ID, _NO_WORD, _NO_DAY = (cast(null(), kind) for kind in (Uuid, String, Date))


def movements(*, include_tests: bool = False) -> Subquery:
    """A row for each: when, of which thing, why, of which order, how much (negative where it leaves), by what.

    `reason` is a word of ours or of Stripe's, `reference` Stripe's id or what the bank statement says, `received_on`
    the day that staff names for money outside of Stripe.
    """
    every = union_all(_payments(), _invoice_payments(), _refunds(), _disputes()).subquery()
    query = select(every, col(Order.number).label("order_number"), col(Order.completed_at)).join(
        Order, col(Order.id) == every.c.order_id
    )
    return (query if include_tests else query.where(col(Order.is_test).is_(False))).subquery("movement")


def balances() -> Select[*tuple[Any, ...]]:
    """By currency, what has come in and not gone back, from how things stand now; without the tests.

    It is what all `movements` come to, found another way: reports print both.
    """
    captured: Select[*tuple[Any, ...]] = select(
        col(Payment.order_id), col(Payment.currency).label("currency"), col(Payment.captured_amount).label("amount")
    )
    invoiced: Select[*tuple[Any, ...]] = select(
        col(Invoice.order_id), col(Invoice.currency), col(InvoicePayment.amount)
    ).join(InvoicePayment, col(InvoicePayment.invoice_id) == col(Invoice.id))
    refunded: Select[*tuple[Any, ...]] = (
        select(col(Refund.order_id), col(Refund.currency), -col(Refund.amount))
        .join(Payment, col(Payment.order_id) == col(Refund.order_id), isouter=True)
        .where(col(Refund.status).in_(GOES_BACK), is_own(Refund, Payment))
    )
    lost: Select[*tuple[Any, ...]] = (
        select(col(Payment.order_id), col(Dispute.currency), -col(Dispute.amount))
        .join(Dispute, col(Dispute.payment_intent_id) == col(Payment.payment_intent_id))
        .where(col(Dispute.status) == DisputeStatus.LOST)
    )
    every = union_all(captured, invoiced, refunded, lost).subquery()
    return (
        select(every.c.currency, func.sum(every.c.amount))
        .join(Order, col(Order.id) == every.c.order_id)
        .where(col(Order.is_test).is_(False))
        .group_by(every.c.currency)
    )


def is_own(refund: type[Refund], payment: type[Payment]) -> ColumnElement[bool]:
    """Whether a refund pays back what its order was paid with, rather than a payment beside it."""
    intent = col(refund.payment_intent_id)
    return intent.is_(None) | (intent == col(payment.payment_intent_id))


def _payments() -> Select[*tuple[Any, ...]]:
    return (
        select(
            func.coalesce(col(Payment.succeeded_at), col(Payment.updated_at)).label("at"),
            col(Payment.id).label("id"),
            literal(Movement.PAYMENT.value).label("kind"),
            col(Payment.order_id).label("order_id"),
            _NO_ID.label("enrollment_id"),
            col(Payment.currency).label("currency"),
            col(Payment.captured_amount).label("amount"),
            cast(col(Order.payment_method), String).label("method"),
            _NO_WORD.label("reason"),
            col(Payment.payment_intent_id).label("reference"),
            _NO_DAY.label("received_on"),
        )
        .join(Order, col(Order.id) == col(Payment.order_id))
        .where(col(Payment.captured_amount) > 0)
    )


def _invoice_payments() -> Select[*tuple[Any, ...]]:
    row = InvoicePayment
    return select(
        col(row.created_at),
        col(row.id),
        literal(Movement.INVOICE_PAYMENT.value),
        col(Invoice.order_id),
        _NO_ID,
        col(Invoice.currency),
        col(row.amount),
        cast(col(row.method), String),
        _NO_WORD,
        col(row.reference),
        col(row.received_on),
    ).join(Invoice, col(Invoice.id) == col(row.invoice_id))


def _refunds() -> Select[*tuple[Any, ...]]:
    was, goes = col(AuditEntry.from_state).in_(GOES_BACK), col(AuditEntry.to_state).in_(GOES_BACK)
    is_going = goes & func.coalesce(~was, True)
    return (
        select(
            col(AuditEntry.created_at),
            col(AuditEntry.id),
            case((is_going, Movement.REFUND.value), else_=Movement.REFUND_RETURNED.value),
            col(Refund.order_id),
            col(Refund.enrollment_id),
            col(Refund.currency),
            case((is_going, -col(Refund.amount)), else_=col(Refund.amount)),
            case((col(Refund.payment_intent_id).is_(None), "by_hand"), else_="stripe"),
            col(Refund.reason),
            col(Refund.stripe_refund_id),
            _NO_DAY,
        )
        .join(Refund, col(Refund.id) == col(AuditEntry.subject_id))
        .join(Payment, col(Payment.order_id) == col(Refund.order_id), isouter=True)
        .where(
            col(AuditEntry.subject_kind) == _REFUND,
            func.coalesce(was, False) != goes,
            is_own(Refund, Payment),
        )
    )


def _disputes() -> Select[*tuple[Any, ...]]:
    is_lost = col(AuditEntry.to_state) == DisputeStatus.LOST
    was_lost = func.coalesce(col(AuditEntry.from_state) == DisputeStatus.LOST, False)
    return (
        select(
            col(AuditEntry.created_at),
            col(AuditEntry.id),
            case((is_lost, Movement.DISPUTE_LOST.value), else_=Movement.DISPUTE_REGAINED.value),
            col(Payment.order_id),
            _NO_ID,
            col(Dispute.currency),
            case((is_lost, -col(Dispute.amount)), else_=col(Dispute.amount)),
            literal("stripe"),
            col(Dispute.reason),
            col(Dispute.stripe_dispute_id),
            _NO_DAY,
        )
        .join(Dispute, col(Dispute.id) == col(AuditEntry.subject_id))
        .join(Payment, col(Payment.payment_intent_id) == col(Dispute.payment_intent_id))
        .where(col(AuditEntry.subject_kind) == _DISPUTE, is_lost != was_lost)
    )
