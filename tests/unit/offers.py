"""Courses and whole orders to price, by hand and by chance."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from models.messages.orders import OrderLineRequest
from models.money import Money, charge_step
from models.quote import Quote
from models.vocabulary import CostScheme, CouponKind, CourseKind, CourseStatus, TaxBehavior
from rules.decision import Refused
from rules.offers import CouponOffer, CourseOnSale, IncludedCourse, TaxRule
from rules.pricing import quote_order

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
PAYER = "layla@example.org"
TEN_PERCENT = CouponOffer("TEN", CouponKind.PERCENT_AMOUNT, percent=Decimal(10))

currencies = st.sampled_from(["EUR", "JPY", "KWD"])
percentages = st.decimals("0.01", "100", places=2)
tax_rules = st.builds(
    TaxRule,
    country=st.just("DE"),
    name=st.just("VAT"),
    percent=st.decimals("0.01", "99.99", places=2),
    behavior=st.sampled_from(TaxBehavior),
)


def a_course(price: int = 4900, currency: str = "EUR", **changes: object) -> CourseOnSale:
    """A published course that anybody can take at any time."""
    course = CourseOnSale(
        id=uuid4(),
        title="A course",
        category="languages",
        kind=CourseKind.SELF_PACED,
        status=CourseStatus.PUBLISHED,
        price=Money(amount=price, currency=currency),
    )
    return replace(course, **changes)  # type: ignore[arg-type]


def on_sale(price: int, sale_price: int, currency: str = "EUR", **changes: object) -> CourseOnSale:
    """A course whose sale price is asked at any time."""
    return a_course(price, currency, sale_price=Money(amount=sale_price, currency=currency), **changes)


def fixed(amount: int, currency: str = "EUR", **changes: object) -> CouponOffer:
    """A coupon that takes off an amount."""
    coupon = CouponOffer("FIVE", CouponKind.FIXED_AMOUNT, amount=Money(amount=amount, currency=currency))
    return replace(coupon, **changes)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Asked:
    """Everything that a quote is made of."""

    lines: Sequence[OrderLineRequest]
    courses: Sequence[CourseOnSale]
    coupon: CouponOffer | None = None
    tax: TaxRule | None = None
    entitled: frozenset[tuple[UUID, UUID]] = field(default_factory=frozenset)
    moment: datetime = NOW

    def quote(self) -> Quote | Refused:
        """What the order costs, or why it cannot be bought."""
        return quote_order(
            self.lines,
            {course.id: course for course in self.courses},
            self.coupon,
            self.tax,
            entitled=self.entitled,
            payer_email=PAYER,
            academy_zone=BERLIN,
            moment=self.moment,
        )


def priced(asked: Asked) -> Quote:
    """The quote of an order that can be bought."""
    quote = asked.quote()
    assert isinstance(quote, Quote), quote
    return quote


def lines_of(*courses: CourseOnSale) -> list[OrderLineRequest]:
    """A line for each course, each for another student."""
    return [OrderLineRequest(course_id=course.id, student_id=uuid4()) for course in courses]


@st.composite
def courses(draw: st.DrawFn, currency: str) -> CourseOnSale:
    """A course of any cost scheme, with or without a sale price, sometimes a bundle."""
    step = charge_step(currency)
    price = draw(st.integers(0, 10**7))
    sale = draw(st.none() | st.integers(0, price - 1)) if price else None
    included = draw(st.lists(st.integers(0, 10**6), max_size=4))
    return a_course(
        price * step,
        currency,
        category=draw(st.sampled_from(["languages", "mathematics"])),
        kind=CourseKind.BUNDLE if included else CourseKind.SELF_PACED,
        included=tuple(IncludedCourse(uuid4(), amount) for amount in included),
        cost_scheme=draw(st.sampled_from(CostScheme)),
        sale_price=None if sale is None else Money(amount=sale * step, currency=currency),
        sale_ends_at=None if sale is None else draw(st.sampled_from([None, NOW, NOW + timedelta(days=1)])),
    )


@st.composite
def coupons(draw: st.DrawFn, currency: str) -> CouponOffer:
    """A coupon that may or may not be for these courses. Its amount need not be one that can be charged."""
    coupon = draw(
        st.builds(lambda percent: replace(TEN_PERCENT, percent=percent), percentages)
        | st.builds(lambda amount: fixed(amount, currency), st.integers(1, 10**8))
    )
    return replace(
        coupon,
        allowed_categories=draw(st.sampled_from([frozenset(), frozenset({"languages"})])),
        excludes_sale_prices=draw(st.booleans()),
    )


@st.composite
def orders(draw: st.DrawFn) -> Asked:
    """An order of a few courses for a few students, some of whom have access already."""
    currency = draw(currencies)
    offered = draw(st.lists(courses(currency), min_size=1, max_size=4))
    pair = st.tuples(st.sampled_from(offered), st.integers(1, 3))
    pairs = draw(st.lists(pair, min_size=1, max_size=8, unique_by=lambda each: (each[0].id, each[1])))
    lines = [OrderLineRequest(course_id=course.id, student_id=UUID(int=student)) for course, student in pairs]
    return Asked(
        lines=lines,
        courses=offered,
        coupon=draw(st.none() | coupons(currency)),
        tax=draw(st.none() | tax_rules),
        entitled=frozenset(
            (line.course_id, line.student_id) for line in lines if draw(st.sampled_from([False, False, True]))
        ),
    )
