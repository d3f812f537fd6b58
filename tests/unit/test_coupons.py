"""Whether a coupon is good, for what, and how much it takes off."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import Reason
from models.money import Money, charge_step
from rules.coupons import CouponDiscount, apply_coupon
from rules.decision import Refused
from rules.offers import CouponOffer, PricedLine
from tests.unit.offers import BERLIN, NOW, PAYER, TEN_PERCENT, a_course, coupons, currencies, fixed


def a_line(amount: int, currency: str = "EUR", *, listed: int | None = None, **course: object) -> PricedLine:
    """A line of an order; one with another list price is on sale."""
    return PricedLine(
        course=a_course(amount, currency, **course),
        list_amount=amount if listed is None else listed,
        asked_amount=amount,
        on_sale=listed is not None,
    )


def applied(
    coupon: CouponOffer,
    *lines: PricedLine,
    payer: str = PAYER,
    zone: ZoneInfo = BERLIN,
    at: datetime = NOW,
) -> CouponDiscount | Refused:
    currency = lines[0].course.price.currency
    return apply_coupon(coupon, lines, currency, payer_email=payer, academy_zone=zone, moment=at)


def off(coupon: CouponOffer, *lines: PricedLine) -> tuple[int, ...]:
    discount = applied(coupon, *lines)
    assert isinstance(discount, CouponDiscount), discount
    return discount.amounts


def why_not(coupon: CouponOffer, *lines: PricedLine, payer: str = PAYER) -> Reason:
    decision = applied(coupon, *lines, payer=payer)
    assert isinstance(decision, Refused)
    return decision.reason


@pytest.mark.parametrize(
    ("zone", "next_day_begins"),
    [
        ("Europe/Berlin", datetime(2026, 3, 1, 23, tzinfo=UTC)),
        ("Pacific/Kiritimati", datetime(2026, 3, 1, 10, tzinfo=UTC)),
        ("America/Los_Angeles", datetime(2026, 3, 2, 8, tzinfo=UTC)),
    ],
)
def test_coupons_are_good_to_the_last_second_of_the_academys_day(zone: str, next_day_begins: datetime) -> None:
    coupon = replace(TEN_PERCENT, expires_on=date(2026, 3, 1))
    last_second = next_day_begins - timedelta(seconds=1)
    assert isinstance(applied(coupon, a_line(100), zone=ZoneInfo(zone), at=last_second), CouponDiscount)
    late = applied(coupon, a_line(100), zone=ZoneInfo(zone), at=next_day_begins)
    assert isinstance(late, Refused)
    assert late.reason is Reason.COUPON_EXPIRED


def test_a_coupon_for_hours_is_good_until_its_moment() -> None:
    coupon = replace(TEN_PERCENT, expires_at=NOW)
    assert isinstance(applied(coupon, a_line(100), at=NOW - timedelta(seconds=1)), CouponDiscount)
    late = applied(coupon, a_line(100), at=NOW)
    assert isinstance(late, Refused)
    assert late.reason is Reason.COUPON_EXPIRED


def test_a_day_of_25_hours_is_a_day() -> None:
    coupon = replace(TEN_PERCENT, expires_on=date(2026, 10, 25))
    end = datetime(2026, 10, 25, 23, tzinfo=UTC)
    assert isinstance(applied(coupon, a_line(100), at=end - timedelta(seconds=1)), CouponDiscount)
    assert isinstance(applied(coupon, a_line(100), at=end), Refused)


def test_the_first_fault_in_the_documented_order_is_the_answer() -> None:
    course = a_course(4900)
    line = PricedLine(course, 4900, 4900)
    worthless = fixed(
        500,
        "USD",
        expires_on=date(2026, 2, 28),
        usage_limit=3,
        uses=3,
        per_person_limit=1,
        uses_by_payer=1,
        allowed_emails=frozenset({"somebody@example.org"}),
        excluded_course_ids=frozenset({course.id}),
        minimum=Money(amount=1, currency="USD"),
    )
    repairs: list[tuple[Reason, dict[str, object]]] = [
        (Reason.COUPON_EXPIRED, {"expires_on": date(2026, 3, 1)}),
        (Reason.COUPON_USED_UP, {"usage_limit": 4}),
        (Reason.COUPON_NOT_YOURS, {"allowed_emails": frozenset({PAYER})}),
        (Reason.COUPON_USED_BY_YOU, {"per_person_limit": 2}),
        (Reason.COUPON_CURRENCY, {"amount": Money(amount=500, currency="EUR")}),
        (Reason.COUPON_NOT_APPLICABLE, {"excluded_course_ids": frozenset()}),
        (Reason.COUPON_CURRENCY, {"minimum": Money(amount=4901, currency="EUR")}),
        (Reason.COUPON_MINIMUM, {"minimum": Money(amount=4900, currency="EUR")}),
    ]
    for reason, repair in repairs:
        assert why_not(worthless, line) is reason
        worthless = replace(worthless, **repair)  # type: ignore[arg-type]
    assert off(worthless, line) == (500,)


def test_limits_are_reached_not_passed() -> None:
    line = a_line(100)
    assert off(replace(TEN_PERCENT, usage_limit=3, uses=2), line) == (10,)
    assert why_not(replace(TEN_PERCENT, usage_limit=3, uses=4), line) is Reason.COUPON_USED_UP
    assert why_not(replace(TEN_PERCENT, usage_limit=0), line) is Reason.COUPON_USED_UP
    assert off(replace(TEN_PERCENT, per_person_limit=1, uses=9), line) == (10,)
    assert off(replace(TEN_PERCENT, per_person_limit=2, uses_by_payer=1), line) == (10,)


@pytest.mark.parametrize(
    ("allowed", "payer"),
    [
        ("layla@example.org", "Layla@Example.ORG"),
        ("LAYLA@EXAMPLE.ORG", "layla@example.org"),
        (" layla@example.org ", "layla@example.org"),
        ("jos\u00e9@example.org", "Jose\u0301@example.org"),
    ],
)
def test_a_coupon_knows_its_payer_however_the_address_is_written(allowed: str, payer: str) -> None:
    coupon = replace(TEN_PERCENT, allowed_emails=frozenset({"other@example.org", allowed}))
    assert isinstance(applied(coupon, a_line(100), payer=payer), CouponDiscount)


def test_a_refusal_names_nobody() -> None:
    coupon = replace(TEN_PERCENT, allowed_emails=frozenset({"owner@example.org"}))
    decision = applied(coupon, a_line(100), payer="stranger@example.org")
    assert decision == Refused(Reason.COUPON_NOT_YOURS, "The coupon was made out to somebody else.")


def test_courses_and_categories_are_allowed_by_either_list() -> None:
    spanish, python = a_line(1000), a_line(2000, category="computing")
    by_course = replace(TEN_PERCENT, allowed_course_ids=frozenset({python.course.id}))
    assert off(by_course, spanish, python) == (0, 200)
    by_category = replace(TEN_PERCENT, allowed_categories=frozenset({"languages"}))
    assert off(by_category, spanish, python) == (100, 0)
    by_both = replace(by_category, allowed_course_ids=frozenset({python.course.id}))
    assert off(by_both, spanish, python) == (100, 200)
    assert why_not(replace(TEN_PERCENT, allowed_course_ids=frozenset({uuid4()})), spanish) is (
        Reason.COUPON_NOT_APPLICABLE
    )


def test_exclusion_wins_over_permission() -> None:
    spanish, python = a_line(1000), a_line(2000, category="computing")
    allowed = frozenset({spanish.course.id, python.course.id})
    without_course = replace(
        TEN_PERCENT, allowed_course_ids=allowed, excluded_course_ids=frozenset({spanish.course.id})
    )
    assert off(without_course, spanish, python) == (0, 200)
    without_category = replace(TEN_PERCENT, allowed_course_ids=allowed, excluded_categories=frozenset({"computing"}))
    assert off(without_category, spanish, python) == (100, 0)


def test_sale_prices_are_discounted_further_unless_excluded() -> None:
    regular, reduced = a_line(1000), a_line(500, listed=1000)
    assert off(TEN_PERCENT, regular, reduced) == (100, 50)
    no_sales = replace(TEN_PERCENT, excludes_sale_prices=True)
    assert off(no_sales, regular, reduced) == (100, 0)
    assert why_not(no_sales, reduced) is Reason.COUPON_NOT_APPLICABLE


def test_a_line_that_costs_nothing_is_no_use_for_a_coupon() -> None:
    free, enrolled = a_line(0), replace(a_line(0, listed=4900), entitled=True)
    assert why_not(TEN_PERCENT, free, enrolled) is Reason.COUPON_NOT_APPLICABLE
    assert off(TEN_PERCENT, free, a_line(100), enrolled) == (0, 10, 0)


def test_the_minimum_is_what_the_coupons_own_lines_cost_after_sale_prices() -> None:
    coupon = replace(
        TEN_PERCENT,
        minimum=Money(amount=3000, currency="EUR"),
        allowed_categories=frozenset({"languages"}),
    )
    elsewhere = a_line(99_999, category="computing")
    assert off(coupon, a_line(3000, listed=5000), elsewhere) == (300, 0)
    decision = applied(coupon, a_line(2999, listed=5000), elsewhere)
    assert decision == Refused(Reason.COUPON_MINIMUM, "The coupon is good from €30.00 on; here it is for €29.99.")


@pytest.mark.parametrize(
    ("currency", "percent", "amounts", "expected"),
    [
        ("EUR", "10", (5,), (1,)),
        ("EUR", "10", (4,), (0,)),
        ("EUR", "33.33", (1000, 1000, 1000), (334, 333, 333)),
        ("EUR", "10", (5, 5, 5), (1, 1, 0)),
        ("EUR", "100", (1, 4999), (1, 4999)),
        ("JPY", "50", (1, 1, 1), (1, 1, 0)),
        ("KWD", "5", (100,), (10,)),
        ("KWD", "5", (90,), (0,)),
        ("KWD", "50", (10, 10, 10), (10, 10, 0)),
    ],
)
def test_a_percentage_is_rounded_once_for_all_its_lines(
    currency: str, percent: str, amounts: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    coupon = replace(TEN_PERCENT, percent=Decimal(percent))
    assert off(coupon, *(a_line(amount, currency) for amount in amounts)) == expected


@pytest.mark.parametrize(
    ("currency", "coupon", "amounts", "expected"),
    [
        ("EUR", 500, (4900,), (500,)),
        ("EUR", 500, (300,), (300,)),
        ("EUR", 100, (1000, 1000, 1000), (34, 33, 33)),
        ("EUR", 500, (1, 9999), (0, 500)),
        ("KWD", 1239, (5000,), (1230,)),
        ("KWD", 9, (5000,), (0,)),
        ("KWD", 100, (1000, 1000, 1000), (40, 30, 30)),
    ],
)
def test_a_fixed_amount_takes_no_more_than_there_is_and_only_what_can_be_charged(
    currency: str, coupon: int, amounts: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    assert off(fixed(coupon, currency), *(a_line(amount, currency) for amount in amounts)) == expected


def test_more_than_all_of_it_is_all_of_it() -> None:
    assert off(replace(TEN_PERCENT, percent=Decimal(1500)), a_line(100), a_line(1)) == (100, 1)


@pytest.mark.parametrize(
    ("coupon", "reason"),
    [
        (TEN_PERCENT, "coupon TEN: 10 % off"),
        (replace(TEN_PERCENT, percent=Decimal("12.50")), "coupon TEN: 12.5 % off"),
        (
            replace(TEN_PERCENT, excluded_categories=frozenset({"computing"})),
            "coupon TEN: 10 % off 1 of 3 lines (€49.00)",
        ),
        (fixed(500), "coupon FIVE: €5.00 off"),
        (fixed(6000), "coupon FIVE: €60.00 off, of which €59.00 could be used"),
        (
            fixed(1200, allowed_categories=frozenset({"computing"})),
            "coupon FIVE: €12.00 off 1 of 3 lines (€10.00), of which €10.00 could be used",
        ),
    ],
)
def test_the_reason_says_what_for_and_how_much(coupon: CouponOffer, reason: str) -> None:
    discount = applied(coupon, a_line(4900), a_line(1000, category="computing"), a_line(0))
    assert isinstance(discount, CouponDiscount)
    assert discount.reason == reason


@st.composite
def lines_and_a_coupon(draw: st.DrawFn) -> tuple[list[PricedLine], CouponOffer]:
    currency = draw(currencies)
    step = charge_step(currency)
    line = st.builds(
        lambda amount, sale, category: a_line(
            amount * step, currency, listed=(amount + sale) * step if sale else None, category=category
        ),
        st.integers(0, 10**6),
        st.integers(0, 100),
        st.sampled_from(["languages", "computing"]),
    )
    return draw(st.lists(line, min_size=1, max_size=8)), draw(coupons(currency))


@given(lines_and_a_coupon())
def test_a_coupon_takes_from_its_own_lines_and_never_more_than_they_cost(
    case: tuple[list[PricedLine], CouponOffer],
) -> None:
    lines, coupon = case
    eligible = [
        line.asked_amount
        if (not coupon.allowed_categories or line.course.category == "languages")
        and not (line.on_sale and coupon.excludes_sale_prices)
        else 0
        for line in lines
    ]
    decision = applied(coupon, *lines)
    if isinstance(decision, Refused):
        assert decision.reason is Reason.COUPON_NOT_APPLICABLE
        assert sum(eligible) == 0
        return
    step = charge_step(lines[0].course.price.currency)
    assert all(0 <= taken <= most for taken, most in zip(decision.amounts, eligible, strict=True))
    assert all(taken % step == 0 for taken in decision.amounts)
    if coupon.amount is not None:
        most = min(coupon.amount.amount, sum(eligible))
        assert most - step < sum(decision.amounts) <= most
    if coupon.percent is not None:
        assert abs(sum(decision.amounts) - sum(eligible) * coupon.percent / 100) <= Decimal(step) / 2
