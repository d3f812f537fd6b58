"""The export of carts, with what came back (Academy of Mine abandoned carts report)."""

from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, case, exists, func, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.export_columns import Column, ColumnType, Listing, in_one, listing, money
from activities.export_filters import among, but_tests, of_currency, within
from models.messages.exports import ExportFilters
from models.tables import Cart, CartLine, Course, Order, Person
from models.vocabulary import CartStatus


async def carts(session: AsyncSession, filters: ExportFilters, zone: ZoneInfo) -> Listing:
    """A row for each cart. What was in those that are over is forgotten; what they came to is not."""
    lines = (
        select(in_one(col(Course.title), col(CartLine.position)).label("titles"))
        .join_from(CartLine, Course, col(Course.id) == col(CartLine.course_id))
        .where(col(CartLine.cart_id) == col(Cart.id))
        .lateral("lines")
    )
    return listing(
        "Carts",
        (
            (Column("begun_at", "Begun", ColumnType.MOMENT), col(Cart.created_at)),
            (Column("person", "Person"), col(Person.full_name)),
            (Column("email", "E-mail"), col(Person.email)),
            (Column("status", "Status"), col(Cart.status)),
            (Column("status_reason", "Status reason"), col(Cart.status_reason)),
            (Column("courses", "Courses"), lines.c.titles),
            (Column("coupon", "Coupon"), col(Cart.coupon_code)),
            (Column("currency", "Currency"), col(Cart.currency)),
            (money("total_amount", "Total"), col(Cart.total_amount)),
            (Column("changed_at", "Changed", ColumnType.MOMENT), col(Cart.changed_at)),
            (Column("abandoned_at", "Abandoned", ColumnType.MOMENT), col(Cart.abandoned_at)),
            (Column("reminders", "Reminders", ColumnType.INTEGER, is_totalled=True), col(Cart.reminders)),
            (Column("reminded_at", "First reminder", ColumnType.MOMENT), col(Cart.reminded_at)),
            (Column("clicked_at", "Last click", ColumnType.MOMENT), col(Cart.clicked_at)),
            (Column("ended_at", "Over", ColumnType.MOMENT), col(Cart.ended_at)),
            (Column("order", "Order"), col(Order.number)),
            (money("recovered_amount", "Recovered"), _recovered()),
            (Column("is_staff", "Staff", ColumnType.BOOLEAN), col(Cart.is_staff)),
            (Column("is_test", "Test", ColumnType.BOOLEAN), func.coalesce(col(Order.is_test), False)),
            (Column("cart_id", "Cart id"), col(Cart.id)),
            (Column("person_id", "Person id"), col(Cart.person_id)),
        ),
        Cart.__table__.join(Person, col(Person.id) == col(Cart.person_id))  # type: ignore[attr-defined]
        .join(lines, true())
        .outerjoin(Order, col(Order.id) == col(Cart.order_id)),
        (
            *within(col(Cart.abandoned_at), filters, zone),
            *among(col(Cart.status), filters.statuses),
            *among(col(Cart.person_id), filters.person_ids),
            *of_currency(col(Cart.currency), filters),
            *but_tests(col(Order.is_test), filters),
            *_with_courses(filters),
        ),
        (col(Cart.created_at), col(Cart.id)),
    )


def _recovered() -> ColumnElement[int]:
    """What the order came to, as `GET /v1/carts/report` counts it: of the carts that one order has brought back, the
    first stands for it, and an order in another currency than the cart's is no measure of it."""
    place = func.row_number().over(
        partition_by=(col(Cart.status), col(Cart.currency), col(Cart.order_id)), order_by=col(Cart.id)
    )
    worth = case((col(Order.currency) == col(Cart.currency), col(Order.total_amount)), else_=col(Cart.total_amount))
    return case(((col(Cart.status) == CartStatus.RECOVERED) & (place == 1), worth))


def _with_courses(filters: ExportFilters) -> list[ColumnElement[bool]]:
    if not filters.course_ids:
        return []
    line = (col(CartLine.cart_id) == col(Cart.id)) & col(CartLine.course_id).in_(filters.course_ids)
    return [exists().where(line).correlate(Cart)]
