"""The export of orders: what was bought, what it cost, and what came of the money (Academy of Mine orders export)."""

from zoneinfo import ZoneInfo

from sqlalchemy import BigInteger, ColumnElement, FromClause, and_, cast, exists, func, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.export_columns import Column, ColumnType, Listing, in_one, listing, money
from activities.export_custom_fields import custom_fields
from activities.export_filters import among, but_tests, of_currency, within
from activities.money_movements import is_own
from activities.refund_record import GOES_BACK
from models.messages.exports import ExportFilters
from models.tables import Coupon, Document, Invoice, Order, OrderLine, Payment, Person, Refund
from models.vocabulary import DocumentKind, ExportReport


async def orders(session: AsyncSession, filters: ExportFilters, zone: ZoneInfo) -> Listing:
    """A row for each order, in the order of their placing."""
    lines = (
        select(
            func.count().label("places"),
            in_one(col(OrderLine.title), col(OrderLine.position)).label("titles"),
        )
        .where(col(OrderLine.order_id) == col(Order.id))
        .lateral("lines")
    )
    paid = func.coalesce(col(Payment.captured_amount), 0) + func.coalesce(col(Invoice.paid_amount), 0)
    returned = _returned()
    extra = await custom_fields(session, ExportReport.ORDERS, col(Order.payer_id))
    return listing(
        "Orders",
        (
            (Column("number", "Order"), col(Order.number)),
            (Column("placed_at", "Placed", ColumnType.MOMENT), col(Order.created_at)),
            (Column("completed_at", "Completed", ColumnType.MOMENT), col(Order.completed_at)),
            (Column("status", "Status"), col(Order.status)),
            (Column("status_reason", "Status reason"), col(Order.status_reason)),
            (Column("payment_method", "Payment method"), col(Order.payment_method)),
            (Column("payer", "Payer"), col(Person.full_name)),
            (Column("email", "E-mail"), col(Person.email)),
            (Column("country", "Country"), col(Person.country)),
            (Column("company", "Company"), col(Person.billing_name)),
            (Column("courses", "Courses"), lines.c.titles),
            (Column("places", "Places", ColumnType.INTEGER, is_totalled=True), lines.c.places),
            (Column("currency", "Currency"), col(Order.currency)),
            (money("list_amount", "List price"), col(Order.list_amount)),
            (money("discount_amount", "Discount"), col(Order.discount_amount)),
            (Column("coupon", "Coupon"), col(Coupon.code)),
            (Column("tax_name", "Tax name"), col(Order.tax_name)),
            (Column("tax_percent", "Tax rate", ColumnType.PERCENT), col(Order.tax_percent)),
            (Column("tax_inclusive", "Tax included", ColumnType.BOOLEAN), col(Order.tax_inclusive)),
            (money("tax_amount", "Tax"), col(Order.tax_amount)),
            (money("total_amount", "Total"), col(Order.total_amount)),
            (money("paid_amount", "Paid"), paid),
            (money("refunded_amount", "Refunded"), returned.c.amount),
            (money("net_amount", "Net paid"), paid - returned.c.amount),
            (Column("receipt", "Receipt"), _paper(DocumentKind.RECEIPT)),
            (Column("invoice", "Invoice"), _paper(DocumentKind.INVOICE)),
            (Column("invoice_due_on", "Invoice due", ColumnType.DATE), col(Invoice.due_on)),
            (Column("is_test", "Test", ColumnType.BOOLEAN), col(Order.is_test)),
            (Column("order_id", "Order id"), col(Order.id)),
            (Column("payer_id", "Payer id"), col(Order.payer_id)),
            *extra,
        ),
        Order.__table__.join(Person, col(Person.id) == col(Order.payer_id))  # type: ignore[attr-defined]
        .join(lines, true())
        .outerjoin(Payment, col(Payment.order_id) == col(Order.id))
        .join(returned, true())
        .outerjoin(Invoice, col(Invoice.order_id) == col(Order.id))
        .outerjoin(Coupon, col(Coupon.id) == col(Order.coupon_id)),
        (
            *within(col(Order.created_at), filters, zone),
            *among(col(Order.status), filters.statuses),
            *among(col(Order.payer_id), filters.person_ids),
            *among(col(Order.coupon_id), filters.coupon_ids),
            *of_currency(col(Order.currency), filters),
            *but_tests(col(Order.is_test), filters),
            *_with_courses(filters),
        ),
        (col(Order.created_at), col(Order.id)),
    )


def _with_courses(filters: ExportFilters) -> list[ColumnElement[bool]]:
    if not filters.course_ids:
        return []
    line = and_(col(OrderLine.order_id) == col(Order.id), col(OrderLine.course_id).in_(filters.course_ids))
    return [exists().where(line).correlate(Order)]


def _returned() -> FromClause:
    """What goes back of what was paid for it. What gives back another payment, e.g. the second of two, is left out."""
    amount = func.coalesce(cast(func.sum(col(Refund.amount)), BigInteger), 0)
    return (
        select(amount.label("amount"))
        .where(col(Refund.order_id) == col(Order.id), col(Refund.status).in_(GOES_BACK), is_own(Refund, Payment))
        .lateral("returned")
    )


def _paper(kind: DocumentKind) -> ColumnElement[str]:
    # There is one receipt and one invoice of an order at most.
    query = select(col(Document.number)).where(col(Document.order_id) == col(Order.id), col(Document.kind) == kind)
    return query.correlate(Order).scalar_subquery()
