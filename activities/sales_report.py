"""What was sold on a span of days: by day or month, by course and by category, each currency on its own.

A sale is an order that was completed on the day; what is refunded counts on the day on which it goes back, whenever its
order was. Gross is sales and the discounts on them; where tax comes on top, that is on what was left to pay.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Select, distinct, func, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.money_movements import REFUNDS, movements
from activities.report_facts import CourseName, Heading, day_of, heading_of, within
from models.messages.exports import RenderReport
from models.tables import Course, Enrollment, Order, OrderLine
from rules.report_periods import Span

WHOLE_ORDERS = CourseName(None, "", "Orders as a whole", "")


@dataclass(frozen=True)
class Sums:
    """What some sales come to, in minor units of one currency."""

    orders: int = 0
    places: int = 0
    gross: int = 0
    discounts: int = 0
    sales: int = 0
    tax: int = 0
    refunds: int = 0

    @property
    def net(self) -> int:
        """What is left after refunds."""
        return self.sales - self.refunds

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(*(mine + its for mine, its in zip(self.values, other.values, strict=True)))

    @property
    def values(self) -> tuple[int, ...]:
        """All but what follows from them."""
        return (self.orders, self.places, self.gross, self.discounts, self.sales, self.tax, self.refunds)


@dataclass(frozen=True)
class CurrencySales:
    """The sales in one currency: `steps` are the days or months of the span, without a gap."""

    currency: str
    steps: tuple[tuple[date, Sums], ...]
    courses: tuple[tuple[CourseName, Sums], ...]
    categories: tuple[tuple[str, Sums], ...]
    total: Sums


@dataclass(frozen=True)
class SalesReport:
    """The sales of a span, by currency."""

    heading: Heading
    currencies: tuple[CurrencySales, ...]

    @property
    def row_count(self) -> int:
        """How many lines of figures it has."""
        return sum(len(each.steps) + len(each.courses) + len(each.categories) for each in self.currencies)


@dataclass
class _Read:
    """What the two statements say of one currency, as they say it."""

    days: dict[date, Sums]
    courses: dict[UUID | None, Sums]
    categories: dict[str | None, Sums]
    total: Sums = Sums()


async def read_sales(session: AsyncSession, asked: RenderReport) -> SalesReport:
    """Read it in one snapshot; the session is in it."""
    heading = await heading_of(session, asked)
    read: dict[str, _Read] = defaultdict(lambda: _Read({}, {}, {}))
    for query in (_sold(heading, asked.filters.course_ids), _refunded(heading, asked.filters.course_ids)):
        for row in (await session.execute(query)).all():
            _take(read[row.currency], row)
    names = await _names(session, {each for sums in read.values() for each in sums.courses if each is not None})
    return SalesReport(heading, tuple(_told(code, read[code], heading.span, names) for code in sorted(read)))


def _sold(heading: Heading, course_ids: tuple[UUID, ...]) -> Select[*tuple[Any, ...]]:
    line = OrderLine
    rows = (
        select(
            col(Order.currency).label("currency"),
            day_of(col(Order.completed_at), heading.zone).label("day"),
            col(line.course_id).label("course_id"),
            col(Course.category).label("category"),
            col(Order.id).label("order_id"),
            col(line.total_amount).label("sales"),
            col(line.discount_amount).label("discount"),
            col(line.tax_amount).label("tax"),
        )
        .join(Order, col(Order.id) == col(line.order_id))
        .join(Course, col(Course.id) == col(line.course_id))
        .where(within(col(Order.completed_at), heading), *_narrowed(heading, course_ids))
        .subquery()
    )
    return _grouped(
        rows,
        func.count(distinct(rows.c.order_id)).label("orders"),
        func.count().label("places"),
        func.sum(rows.c.sales + rows.c.discount).label("gross"),
        func.sum(rows.c.discount).label("discounts"),
        func.sum(rows.c.sales).label("sales"),
        func.sum(rows.c.tax).label("tax"),
        literal(0).label("refunds"),
    )


def _refunded(heading: Heading, course_ids: tuple[UUID, ...]) -> Select[*tuple[Any, ...]]:
    moved = movements(include_tests=heading.includes_tests)
    rows = (
        select(
            moved.c.currency,
            day_of(moved.c.at, heading.zone).label("day"),
            # What was sold, which a bundle's places are not.
            col(OrderLine.course_id).label("course_id"),
            col(Course.category).label("category"),
            moved.c.amount,
        )
        .join(Enrollment, col(Enrollment.id) == moved.c.enrollment_id, isouter=True)
        .join(OrderLine, col(OrderLine.id) == col(Enrollment.order_line_id), isouter=True)
        .join(Course, col(Course.id) == col(OrderLine.course_id), isouter=True)
        .where(
            moved.c.kind.in_(REFUNDS),
            within(moved.c.at, heading),
            # What never was a sale is none that was given back.
            moved.c.completed_at.is_not(None),
            *([] if heading.currency is None else [moved.c.currency == heading.currency]),
            *([col(OrderLine.course_id).in_(course_ids)] if course_ids else []),
        )
        .subquery()
    )
    nothing = [literal(0).label(name) for name in ("orders", "places", "gross", "discounts", "sales", "tax")]
    return _grouped(rows, *nothing, (-func.sum(rows.c.amount)).label("refunds"))


def _narrowed(heading: Heading, course_ids: tuple[UUID, ...]) -> list[Any]:
    return [
        *([] if heading.includes_tests else [col(Order.is_test).is_(False)]),
        *([] if heading.currency is None else [col(Order.currency) == heading.currency]),
        *([col(OrderLine.course_id).in_(course_ids)] if course_ids else []),
    ]


def _grouped(rows: Any, *sums: Any) -> Select[*tuple[Any, ...]]:
    """The sums by day, by course, by category and in all, in one pass over the rows."""
    c = rows.c
    sets = [tuple_(c.currency, by) for by in (c.day, c.course_id, c.category)] + [tuple_(c.currency)]
    return select(
        c.currency,
        c.day,
        c.course_id,
        c.category,
        func.grouping(c.day, c.course_id, c.category).label("by"),
        *sums,
    ).group_by(func.grouping_sets(*sets))


# Which of day, course and category a row is not by.
_BY_DAY, _BY_COURSE, _BY_CATEGORY = 0b011, 0b101, 0b110


def _take(read: _Read, row: Any) -> None:
    sums = Sums(*(int(getattr(row, name)) for name in Sums.__dataclass_fields__))
    if row.by == _BY_DAY:
        read.days[row.day] = read.days.get(row.day, Sums()) + sums
    elif row.by == _BY_COURSE:
        read.courses[row.course_id] = read.courses.get(row.course_id, Sums()) + sums
    elif row.by == _BY_CATEGORY:
        read.categories[row.category] = read.categories.get(row.category, Sums()) + sums
    else:
        read.total += sums


async def _names(session: AsyncSession, course_ids: Iterable[UUID]) -> Mapping[UUID | None, CourseName]:
    query = select(col(Course.id), col(Course.code), col(Course.title), col(Course.category)).where(
        col(Course.id).in_(list(course_ids))
    )
    return {None: WHOLE_ORDERS, **{row[0]: CourseName(*row) for row in (await session.execute(query)).all()}}


def _told(currency: str, read: _Read, span: Span, names: Mapping[UUID | None, CourseName]) -> CurrencySales:
    steps = {step: Sums() for step in span.steps()}
    for day, sums in read.days.items():
        steps[span.step_of(day)] += sums
    courses = [(names[course_id], sums) for course_id, sums in read.courses.items()]
    categories = [(category or WHOLE_ORDERS.title, sums) for category, sums in read.categories.items()]
    return CurrencySales(
        currency=currency,
        steps=tuple(steps.items()),
        courses=tuple(sorted(courses, key=lambda each: (-each[1].sales, -each[1].refunds, each[0].code))),
        categories=tuple(sorted(categories, key=lambda each: (-each[1].sales, -each[1].refunds, each[0]))),
        total=read.total,
    )
