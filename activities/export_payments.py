"""The export of payments: every movement of money, what came in above zero and what goes back below it."""

from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import (
    BigInteger,
    DateTime,
    Select,
    String,
    case,
    cast,
    func,
    label,
    literal,
    null,
    select,
    true,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.elements import SQLCoreOperations
from sqlmodel import col

from activities.export_columns import SEPARATOR, Column, ColumnType, Listing, listing, money
from activities.export_filters import among, but_tests, of_currency, within
from activities.money_movements import is_own
from activities.refund_record import GOES_BACK
from models.messages.exports import ExportFilters
from models.tables import BalanceTransaction, Invoice, InvoicePayment, Order, Payment, Person, Refund
from models.vocabulary import PaymentStatus

_NAMES = (
    "id",
    "kind",
    "order_id",
    "moved_at",
    "method",
    "status",
    "currency",
    "amount",
    "source_id",
    "reference",
    "reason",
)
_NOTHING = cast(null(), String())
_BESIDE = "refund_beside"


async def payments(session: AsyncSession, filters: ExportFilters, zone: ZoneInfo) -> Listing:
    """A row for each payment, payment of an invoice, and refund that is on its way or has arrived."""
    moved = union_all(_payments(), _invoice_payments(zone), _refunds()).subquery("moved")
    # Stripe books some movements in several lines, e.g. a refund and that it failed.
    booked = (
        select(
            func.min(col(BalanceTransaction.currency)).label("currency"),
            cast(func.sum(col(BalanceTransaction.fee)), BigInteger).label("fee"),
            cast(func.sum(col(BalanceTransaction.net)), BigInteger).label("net"),
            func.array_to_string(func.array_agg(col(BalanceTransaction.payout_id).distinct()), SEPARATOR).label(
                "payout"
            ),
        )
        .where(col(BalanceTransaction.source_id) == moved.c.source_id)
        .lateral("booked")
    )
    return listing(
        "Payments and refunds",
        (
            (Column("moved_at", "When", ColumnType.MOMENT), moved.c.moved_at),
            (Column("kind", "Kind"), moved.c.kind),
            (Column("order", "Order"), col(Order.number)),
            (Column("payer", "Payer"), col(Person.full_name)),
            (Column("email", "E-mail"), col(Person.email)),
            (Column("method", "Method"), moved.c.method),
            (Column("status", "Status"), moved.c.status),
            (Column("reason", "Reason"), moved.c.reason),
            (Column("currency", "Currency"), moved.c.currency),
            # The money that is given back here is in no row: it would be missing from the sum.
            (money("amount", "Amount"), case((moved.c.kind != _BESIDE, moved.c.amount))),
            (money("beside_amount", "Beside orders"), case((moved.c.kind == _BESIDE, moved.c.amount))),
            (Column("settled_currency", "Settled in"), booked.c.currency),
            (money("fee_amount", "Fee", currency_of="settled_currency"), booked.c.fee),
            (money("net_amount", "Net", currency_of="settled_currency"), booked.c.net),
            (Column("payout", "Payout"), booked.c.payout),
            (Column("reference", "Reference"), moved.c.reference),
            (Column("is_test", "Test", ColumnType.BOOLEAN), col(Order.is_test)),
            (Column("order_id", "Order id"), col(Order.id)),
            (Column("movement_id", "Movement id"), moved.c.id),
        ),
        moved.join(Order, col(Order.id) == moved.c.order_id)
        .join(Person, col(Person.id) == col(Order.payer_id))
        .join(booked, true()),
        (
            *within(moved.c.moved_at, filters, zone),
            *among(moved.c.status, filters.statuses),
            *among(col(Order.payer_id), filters.person_ids),
            *of_currency(moved.c.currency, filters),
            *but_tests(col(Order.is_test), filters),
        ),
        (moved.c.moved_at, moved.c.id),
    )


def _payments() -> Select[*tuple[Any, ...]]:
    return _movements(
        col(Payment.id),
        literal("payment"),
        col(Payment.order_id),
        col(Payment.succeeded_at),
        col(Order.payment_method),
        col(Payment.status),
        col(Payment.currency),
        col(Payment.captured_amount),
        col(Payment.charge_id),
        col(Payment.payment_intent_id),
        _NOTHING,
    ).where(col(Payment.order_id) == col(Order.id), col(Payment.status) == PaymentStatus.SUCCEEDED)


def _invoice_payments(zone: ZoneInfo) -> Select[*tuple[Any, ...]]:
    return _movements(
        col(InvoicePayment.id),
        literal("invoice_payment"),
        col(Invoice.order_id),
        # The day is known, not the hour.
        func.timezone(zone.key, cast(col(InvoicePayment.received_on), DateTime())),
        col(InvoicePayment.method),
        literal(PaymentStatus.SUCCEEDED.value),
        col(Invoice.currency),
        col(InvoicePayment.amount),
        _NOTHING,
        col(InvoicePayment.reference),
        _NOTHING,
    ).where(col(InvoicePayment.invoice_id) == col(Invoice.id))


def _refunds() -> Select[*tuple[Any, ...]]:
    return (
        _movements(
            col(Refund.id),
            # Of two payments of one order the record has one; what gives back the other one says so.
            case((is_own(Refund, Payment), literal("refund")), else_=literal(_BESIDE)),
            col(Refund.order_id),
            col(Refund.created_at),
            col(Order.payment_method),
            col(Refund.status),
            col(Refund.currency),
            -col(Refund.amount),
            col(Refund.stripe_refund_id),
            col(Refund.stripe_refund_id),
            col(Refund.reason),
        )
        .select_from(Refund)
        .join(Order, col(Order.id) == col(Refund.order_id))
        .outerjoin(Payment, col(Payment.order_id) == col(Refund.order_id))
        .where(col(Refund.status).in_(GOES_BACK))
    )


def _movements(*values: SQLCoreOperations[Any]) -> Select[*tuple[Any, ...]]:
    return select(*(label(name, value) for name, value in zip(_NAMES, values, strict=True)))
