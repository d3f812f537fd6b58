"""What an order costs, and every reason why it cannot be bought."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import Reason
from models.messages.orders import OrderLineRequest
from models.money import Money
from models.quote import Quote
from models.vocabulary import CouponKind, CourseKind, CourseStatus
from rules.decision import Refused
from rules.pricing import CouponOffer, CourseOnSale, quote_order

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
COUPON = CouponOffer("TEN", CouponKind.PERCENT_AMOUNT, Decimal(10), None, None, None, 0)


def a_course(price: int = 4900, currency: str = "EUR", **changes: object) -> CourseOnSale:
    course = CourseOnSale(
        uuid4(),
        "A course",
        CourseKind.SELF_PACED,
        CourseStatus.PUBLISHED,
        Money(amount=price, currency=currency),
        None,
        None,
    )
    return replace(course, **changes)  # type: ignore[arg-type]


def quote(
    *courses: CourseOnSale, coupon: CouponOffer | None = None, slots: tuple[UUID, ...] = (), at: datetime = NOW
) -> Quote | Refused:
    lines = [OrderLineRequest(course_id=course.id, student_id=uuid4(), slot_ids=slots) for course in courses]
    return quote_order(lines, {course.id: course for course in courses}, coupon, academy_zone=BERLIN, moment=at)


def refusal(decision: Quote | Refused) -> Reason:
    assert isinstance(decision, Refused)
    return decision.reason


def test_lines_add_up_and_the_quote_says_why() -> None:
    quoted = quote(a_course(4999), a_course(1), a_course(3000), coupon=COUPON)
    assert isinstance(quoted, Quote)
    assert (quoted.list_amount, quoted.discount_amount, quoted.total_amount) == (8000, 800, 7200)
    assert [line.discount_amount for line in quoted.lines] == [500, 0, 300]
    assert quoted.reasons == ("list price of 3 lines", "coupon TEN: 10 % off")


@given(st.lists(st.integers(0, 10**8), min_size=1, max_size=20), st.decimals("0.01", "100", places=2))
def test_every_quote_adds_up(prices: list[int], percent: Decimal) -> None:
    quoted = quote(*(a_course(price) for price in prices), coupon=replace(COUPON, percent=percent))
    assert isinstance(quoted, Quote)
    assert quoted.total_amount == sum(line.total_amount for line in quoted.lines) >= 0
    assert quoted.list_amount - quoted.discount_amount == quoted.total_amount


@pytest.mark.parametrize(("price", "off", "total"), [(4900, 500, 4400), (300, 500, 0)])
def test_fixed_coupons_never_go_below_zero(price: int, off: int, total: int) -> None:
    fixed = replace(COUPON, kind=CouponKind.FIXED_AMOUNT, percent=None, amount=Money(amount=off, currency="EUR"))
    quoted = quote(a_course(price), coupon=fixed)
    assert isinstance(quoted, Quote)
    assert quoted.total_amount == total


def test_three_decimal_currencies_are_charged_in_tens() -> None:
    third = replace(COUPON, percent=Decimal(33))
    quoted = quote(a_course(42500, "KWD"), a_course(10010, "KWD"), coupon=third)
    assert isinstance(quoted, Quote)
    assert quoted.discount_amount == 17330
    assert all(line.total_amount % 10 == 0 for line in quoted.lines)


def test_coupons_are_good_to_the_end_of_the_academys_day() -> None:
    coupon = replace(COUPON, expires_on=date(2026, 3, 1))
    last_minute = datetime(2026, 3, 1, 23, 59, tzinfo=BERLIN)
    assert isinstance(quote(a_course(), coupon=coupon, at=last_minute.astimezone(UTC)), Quote)
    too_late = last_minute + timedelta(minutes=1)
    assert refusal(quote(a_course(), coupon=coupon, at=too_late.astimezone(UTC))) is Reason.COUPON_EXPIRED


def test_refusals() -> None:
    fixed_dollars = replace(COUPON, kind=CouponKind.FIXED_AMOUNT, percent=None, amount=Money(amount=1, currency="USD"))
    pack = a_course(kind=CourseKind.TUTOR_PACK, lessons_included=2)
    slot = uuid4()
    assert refusal(quote(a_course(status=CourseStatus.DRAFT))) is Reason.COURSE_NOT_PUBLISHED
    assert refusal(quote(a_course(status=CourseStatus.RETIRED))) is Reason.COURSE_NOT_PUBLISHED
    assert refusal(quote(a_course(enrollment_closes_at=NOW))) is Reason.ENROLLMENT_CLOSED
    assert refusal(quote(a_course(), a_course(currency="USD"))) is Reason.MIXED_CURRENCIES
    assert refusal(quote(a_course(), coupon=replace(COUPON, usage_limit=5, uses=5))) is Reason.COUPON_USED_UP
    assert refusal(quote(a_course(), coupon=fixed_dollars)) is Reason.COUPON_CURRENCY
    assert refusal(quote(a_course(), slots=(slot,))) is Reason.SLOTS_NOT_ALLOWED
    assert refusal(quote(pack)) is Reason.SLOTS_REQUIRED
    assert refusal(quote(pack, slots=(slot, slot))) is Reason.SLOTS_REQUIRED
    assert isinstance(quote(pack, slots=(slot, uuid4())), Quote)
    unknown = [OrderLineRequest(course_id=uuid4(), student_id=uuid4())]
    assert refusal(quote_order(unknown, {}, None, academy_zone=BERLIN, moment=NOW)) is Reason.UNKNOWN_COURSE
