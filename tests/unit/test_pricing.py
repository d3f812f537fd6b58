"""What an order costs, and every reason why it cannot be bought."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from operator import attrgetter
from random import Random
from uuid import UUID, uuid4

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from models.errors import Reason
from models.messages.orders import OrderLineRequest
from models.money import LARGEST_AMOUNT, Money, charge_step
from models.quote import Quote, QuotedLine
from models.vocabulary import CostScheme, CourseKind, CourseStatus, TaxBehavior
from rules.decision import Refused
from rules.offers import CourseOnSale, IncludedCourse, TaxRule
from tests.unit.offers import (
    BERLIN,
    NOW,
    TEN_PERCENT,
    Asked,
    a_course,
    fixed,
    lines_of,
    on_sale,
    orders,
    priced,
)

VAT = TaxRule("DE", "VAT", Decimal("19.00"), TaxBehavior.EXCLUSIVE)


def asked_for(*courses: CourseOnSale, **more: object) -> Asked:
    return replace(Asked(lines_of(*courses), courses), **more)  # type: ignore[arg-type]


def refusal(asked: Asked) -> Reason:
    decision = asked.quote()
    assert isinstance(decision, Refused)
    return decision.reason


def entitled_to(*lines: OrderLineRequest) -> frozenset[tuple[UUID, UUID]]:
    return frozenset((line.course_id, line.student_id) for line in lines)


def totals(quote: Quote) -> list[int]:
    return [line.total_amount for line in quote.lines]


def test_lines_add_up_and_the_quote_says_why() -> None:
    quote = priced(asked_for(a_course(4999), a_course(1), a_course(3000), coupon=TEN_PERCENT))
    assert (quote.list_amount, quote.discount_amount, quote.total_amount) == (8000, 800, 7200)
    assert quote.coupon_amount == 800
    assert [line.discount_amount for line in quote.lines] == [500, 0, 300]
    assert quote.reasons == ("list price of 3 lines", "coupon TEN: 10 % off")


def test_one_order_with_everything_tells_the_whole_story() -> None:
    spanish = on_sale(10000, 8000, title="Spanish A1", sale_ends_at=datetime(2026, 3, 31, 22, tzinfo=UTC))
    workshop = a_course(9000, title="Workshop", category="workshops", cost_scheme=CostScheme.ORDER)
    welcome = a_course(5000, title="Welcome", cost_scheme=CostScheme.FREE)
    python = a_course(4000, title="Python", category="computing")
    lines = lines_of(spanish, workshop, workshop, welcome, python)
    coupon = replace(TEN_PERCENT, allowed_categories=frozenset({"languages"}))
    quote = priced(Asked(lines, [spanish, workshop, welcome, python], coupon, VAT, entitled=entitled_to(lines[4])))
    assert quote.reasons == (
        "list price of 5 lines",
        "sale price of Spanish A1 until 2026-04-01 00:00",
        "one price of Workshop for 2 lines",
        "Welcome is free",
        "already enrolled in Python: not charged",
        "coupon TEN: 10 % off 1 of 5 lines (€80.00)",
        "plus 19 % VAT (DE)",
    )
    assert [line.list_amount for line in quote.lines] == [10000, 4500, 4500, 0, 4000]
    assert [line.discount_amount for line in quote.lines] == [2800, 0, 0, 0, 4000]
    assert [line.tax_amount for line in quote.lines] == [1368, 855, 855, 0, 0]
    assert totals(quote) == [8568, 5355, 5355, 0, 0]
    assert (quote.list_amount, quote.discount_amount, quote.coupon_amount) == (23000, 6800, 800)
    assert (quote.tax_amount, quote.total_amount) == (3078, 19278)


@pytest.mark.parametrize(
    ("starts", "ends", "total"),
    [
        (None, None, 3001),
        (NOW, None, 3001),
        (NOW + timedelta(microseconds=1), None, 3500),
        (None, NOW + timedelta(microseconds=1), 3001),
        (None, NOW, 3500),
        (NOW - timedelta(days=2), NOW - timedelta(days=1), 3500),
    ],
)
def test_a_sale_price_is_asked_from_its_start_until_before_its_end(
    starts: datetime | None, ends: datetime | None, total: int
) -> None:
    quote = priced(asked_for(on_sale(3500, 3001, sale_starts_at=starts, sale_ends_at=ends)))
    assert (quote.list_amount, quote.discount_amount, quote.total_amount) == (3500, 3500 - total, total)
    assert any("sale price" in reason for reason in quote.reasons) == (total == 3001)


def test_a_sale_price_without_an_end_is_named_without_a_day() -> None:
    assert priced(asked_for(on_sale(3500, 3001))).reasons == ("list price of 1 line", "sale price of A course")


def test_a_sale_price_that_is_no_cheaper_is_not_asked() -> None:
    quote = priced(asked_for(on_sale(3500, 3500)))
    assert (quote.discount_amount, quote.reasons) == (0, ("list price of 1 line",))


@pytest.mark.parametrize(
    ("currency", "price", "sale_price", "listed", "total"),
    [
        ("EUR", 10000, 5000, [3334, 3333, 3333], [1667, 1667, 1666]),
        ("JPY", 100, 50, [34, 33, 33], [17, 17, 16]),
        ("KWD", 10000, 5000, [3340, 3330, 3330], [1670, 1670, 1660]),
    ],
)
def test_a_price_for_the_order_is_asked_once_for_three_students(
    currency: str, price: int, sale_price: int, listed: list[int], total: list[int]
) -> None:
    course = on_sale(price, sale_price, currency, cost_scheme=CostScheme.ORDER)
    quote = priced(asked_for(course, course, course))
    assert [line.list_amount for line in quote.lines] == listed
    assert totals(quote) == total
    assert quote.reasons[1:] == ("one price of A course for 3 lines", "sale price of A course")
    assert priced(asked_for(course)).reasons[1:] == ("sale price of A course",)


def test_a_price_for_the_order_is_carried_by_who_has_no_access_yet() -> None:
    course = a_course(9000, title="Workshop", cost_scheme=CostScheme.ORDER)
    asked = asked_for(course, course, course)
    assert totals(priced(replace(asked, entitled=entitled_to(asked.lines[0])))) == [0, 4500, 4500]
    nobody_pays = priced(replace(asked, entitled=entitled_to(*asked.lines)))
    assert (nobody_pays.list_amount, nobody_pays.discount_amount, nobody_pays.total_amount) == (9000, 9000, 0)
    assert nobody_pays.reasons == ("list price of 3 lines", "already enrolled in Workshop: 3 lines not charged")


def test_a_free_course_costs_nothing_whatever_its_price_says() -> None:
    quote = priced(asked_for(on_sale(4900, 100, title="Welcome", cost_scheme=CostScheme.FREE), tax=VAT))
    assert (quote.list_amount, quote.discount_amount, quote.total_amount, quote.tax) == (0, 0, 0, None)
    assert quote.reasons == ("list price of 1 line", "Welcome is free")
    assert [share.amount for share in quote.lines[0].shares] == [0]


def test_who_is_enrolled_already_is_shown_the_price_and_not_charged() -> None:
    course = on_sale(4900, 3900, title="Spanish A1")
    asked = asked_for(course, course)
    quote = priced(replace(asked, entitled=entitled_to(asked.lines[1])))
    paying, free = quote.lines
    assert (paying.total_amount, paying.already_entitled) == (3900, False)
    assert (free.list_amount, free.discount_amount, free.total_amount, free.already_entitled) == (4900, 4900, 0, True)
    assert free.shares == ()
    assert quote.reasons[1:] == ("sale price of Spanish A1", "already enrolled in Spanish A1: 1 line not charged")
    nobody_pays = priced(replace(asked, entitled=entitled_to(*asked.lines)))
    assert nobody_pays.reasons[1:] == ("already enrolled in Spanish A1: 2 lines not charged",)


def test_an_order_of_the_enrolled_alone_does_not_look_at_its_coupon() -> None:
    asked = asked_for(a_course(), a_course())
    asked = replace(asked, entitled=entitled_to(*asked.lines))
    for coupon in (TEN_PERCENT, replace(TEN_PERCENT, usage_limit=0), fixed(5, "USD")):
        assert replace(asked, coupon=coupon).quote() == asked.quote()


def test_a_coupon_that_takes_it_all_leaves_nothing_to_tax() -> None:
    quote = priced(asked_for(a_course(4900), a_course(1), coupon=replace(TEN_PERCENT, percent=Decimal(100)), tax=VAT))
    assert (quote.total_amount, quote.coupon_amount, quote.tax_amount, quote.tax) == (0, 4901, 0, None)
    assert quote.reasons == ("list price of 2 lines", "coupon TEN: 100 % off")


def test_a_tax_that_is_contained_raises_no_total() -> None:
    quote = priced(asked_for(a_course(11900), a_course(2380), tax=replace(VAT, behavior=TaxBehavior.INCLUSIVE)))
    assert (quote.list_amount, quote.tax_amount, quote.total_amount) == (14280, 2280, 14280)
    assert [line.tax_amount for line in quote.lines] == [1900, 380]
    assert quote.tax is not None
    assert (quote.tax.country, quote.tax.name, quote.tax.percent) == ("DE", "VAT", Decimal(19))
    assert quote.reasons == ("list price of 2 lines", "includes 19 % VAT (DE)")


def test_three_decimal_currencies_are_charged_in_tens() -> None:
    third = replace(TEN_PERCENT, percent=Decimal(33))
    quote = priced(asked_for(a_course(42500, "KWD"), a_course(10010, "KWD"), coupon=third))
    assert quote.discount_amount == 17330
    assert totals(quote) == [28470, 6710]


@pytest.mark.parametrize(
    ("currency", "price", "weights", "shares"),
    [
        ("EUR", 10000, (1, 1, 1), [3334, 3333, 3333]),
        ("JPY", 100, (4900, 0), [100, 0]),
        ("KWD", 10000, (1, 1, 1), [3340, 3330, 3330]),
        ("EUR", 5, (0, 0), [3, 2]),
    ],
)
def test_a_bundle_is_shared_out_among_its_courses(
    currency: str, price: int, weights: tuple[int, ...], shares: list[int]
) -> None:
    included = tuple(IncludedCourse(uuid4(), weight) for weight in weights)
    quote = priced(asked_for(a_course(price, currency, kind=CourseKind.BUNDLE, included=included)))
    assert [share.amount for share in quote.lines[0].shares] == shares
    assert [share.course_id for share in quote.lines[0].shares] == [each.course_id for each in included]


def test_a_plain_course_has_its_whole_line_as_share() -> None:
    course = a_course(4900)
    (line,) = priced(asked_for(course, tax=VAT)).lines
    assert [(share.course_id, share.amount) for share in line.shares] == [(course.id, 5831)]


def test_refusals() -> None:
    pack = a_course(kind=CourseKind.TUTOR_PACK, lessons_included=2)
    slot = uuid4()

    def with_slots(course: CourseOnSale, *slots: UUID) -> Asked:
        return Asked([OrderLineRequest(course_id=course.id, student_id=uuid4(), slot_ids=slots)], [course])

    assert refusal(asked_for(a_course(status=CourseStatus.DRAFT))) is Reason.COURSE_NOT_PUBLISHED
    assert refusal(asked_for(a_course(status=CourseStatus.RETIRED))) is Reason.COURSE_NOT_PUBLISHED
    assert refusal(asked_for(a_course(kind=CourseKind.BUNDLE))) is Reason.COURSE_NOT_PUBLISHED
    assert refusal(asked_for(a_course(enrollment_closes_at=NOW))) is Reason.ENROLLMENT_CLOSED
    assert refusal(asked_for(a_course(access_until=NOW))) is Reason.ENROLLMENT_CLOSED
    assert refusal(asked_for(a_course(), a_course(currency="USD"))) is Reason.MIXED_CURRENCIES
    assert refusal(asked_for(a_course(), coupon=fixed(1, "USD"))) is Reason.COUPON_CURRENCY
    assert refusal(with_slots(a_course(), slot)) is Reason.SLOTS_NOT_ALLOWED
    assert refusal(with_slots(pack)) is Reason.SLOTS_REQUIRED
    assert refusal(with_slots(pack, slot, slot)) is Reason.SLOTS_REQUIRED
    assert isinstance(with_slots(pack, slot, uuid4()).quote(), Quote)
    assert refusal(Asked(lines_of(a_course()), [])) is Reason.UNKNOWN_COURSE


def test_a_sum_that_no_payment_can_carry_is_refused() -> None:
    dear = a_course(LARGEST_AMOUNT)
    assert priced(asked_for(dear)).total_amount == LARGEST_AMOUNT
    assert refusal(asked_for(dear, a_course(1))) is Reason.INVALID_REQUEST
    assert refusal(asked_for(dear, a_course(1), coupon=replace(TEN_PERCENT, percent=Decimal(100)))) is (
        Reason.INVALID_REQUEST
    )
    assert refusal(asked_for(dear, tax=VAT)) is Reason.INVALID_REQUEST


AMOUNTS = ("list_amount", "discount_amount", "tax_amount", "total_amount")


def amounts(quote: Quote | QuotedLine) -> tuple[int, ...]:
    read: Callable[[object], tuple[int, ...]] = attrgetter(*AMOUNTS)
    return read(quote)


def bought(asked: Asked) -> Quote:
    """The quote, of those orders whose coupon is for something in it."""
    decision = asked.quote()
    if isinstance(decision, Refused):
        assert decision.reason is Reason.COUPON_NOT_APPLICABLE
        assume(False)
    assert isinstance(decision, Quote)
    return decision


@given(orders())
def test_every_quote_adds_up(asked: Asked) -> None:
    quote = bought(asked)
    assert tuple(map(sum, zip(*map(amounts, quote.lines), strict=True))) == amounts(quote)
    parts: list[Quote | QuotedLine] = [quote, *quote.lines]
    for part in parts:
        assert min(amounts(part)) >= 0
        on_top = quote.tax is not None and quote.tax.behavior is TaxBehavior.EXCLUSIVE
        assert part.total_amount == part.list_amount - part.discount_amount + (part.tax_amount if on_top else 0)
        assert on_top or part.tax_amount <= part.total_amount
    assert quote.coupon_amount <= quote.discount_amount
    assert (quote.tax is None) == (asked.tax is None or quote.total_amount == 0)


@given(orders())
def test_the_same_question_has_the_same_answer(asked: Asked) -> None:
    assert asked.quote() == asked.quote()


@given(orders(), st.randoms(use_true_random=False))
def test_the_order_of_the_lines_changes_no_sum(asked: Asked, random: Random) -> None:
    shuffled = list(asked.lines)
    random.shuffle(shuffled)
    assert amounts(bought(replace(asked, lines=shuffled))) == amounts(bought(asked))


@given(orders())
def test_whatever_is_charged_or_paid_back_can_be(asked: Asked) -> None:
    quote = bought(asked)
    step = charge_step(quote.currency)
    assert all(line.total_amount % step == 0 and line.discount_amount % step == 0 for line in quote.lines)
    assert all(share.amount % step == 0 for line in quote.lines for share in line.shares)
    if quote.tax is not None and quote.tax.behavior is TaxBehavior.EXCLUSIVE:
        assert all(line.tax_amount % step == 0 for line in quote.lines)


@given(orders())
def test_shares_are_the_lines_total_in_parts(asked: Asked) -> None:
    included = {course.id: course.included for course in asked.courses}
    for line in bought(asked).lines:
        assert sum(share.amount for share in line.shares) == line.total_amount
        expected = [each.course_id for each in included[line.course_id]] or [line.course_id]
        assert [share.course_id for share in line.shares] == ([] if line.already_entitled else expected)


@given(orders())
def test_a_coupon_never_raises_the_total(asked: Asked) -> None:
    with_coupon, without = bought(asked), bought(replace(asked, coupon=None))
    assert with_coupon.total_amount <= without.total_amount
    assert with_coupon.list_amount == without.list_amount
    assert with_coupon.discount_amount == without.discount_amount + with_coupon.coupon_amount


@given(orders())
def test_a_price_for_the_order_is_asked_once_however_many_take_it(asked: Asked) -> None:
    quote = bought(replace(asked, coupon=None, tax=None))
    for course in asked.courses:
        of_course = [line for line in quote.lines if line.course_id == course.id]
        if course.cost_scheme is not CostScheme.ORDER or not of_course:
            continue
        assert sum(line.list_amount for line in of_course) == course.price.amount
        (one,) = priced(Asked(lines_of(course), [course])).lines
        nobody_pays = all(line.already_entitled for line in of_course)
        assert sum(line.total_amount for line in of_course) == (0 if nobody_pays else one.total_amount)


@given(orders())
def test_who_is_enrolled_already_changes_nobody_elses_price(asked: Asked) -> None:
    charged = [line for line in asked.lines if (line.course_id, line.student_id) not in asked.entitled]
    assume(charged)
    quote, others = bought(asked), bought(replace(asked, lines=charged))
    assert tuple(line for line in quote.lines if not line.already_entitled) == others.lines
    free = [line for line in quote.lines if line.already_entitled]
    assert len(free) == len(asked.lines) - len(charged)
    assert all(line.total_amount == line.tax_amount == 0 for line in free)
    assert all(line.discount_amount == line.list_amount for line in free)


def test_prices_are_shown_to_the_academys_minute() -> None:
    ends_at = datetime(2026, 3, 29, 3, tzinfo=BERLIN)  # the hour before it does not exist
    quote = priced(asked_for(on_sale(2, 1, sale_ends_at=ends_at.astimezone(UTC))))
    assert quote.reasons[1] == "sale price of A course until 2026-03-29 03:00"
    last = ends_at.astimezone(UTC) - timedelta(microseconds=1)
    assert priced(asked_for(on_sale(2, 1, sale_ends_at=ends_at), moment=last)).total_amount == 1
    assert priced(asked_for(on_sale(2, 1, sale_ends_at=ends_at), moment=ends_at.astimezone(UTC))).total_amount == 2


def test_a_coupon_for_a_part_of_the_order_leaves_the_rest_alone() -> None:
    spanish, python = a_course(4900), a_course(9999, category="computing")
    only = replace(TEN_PERCENT, allowed_course_ids=frozenset({spanish.id}))
    quote = priced(asked_for(python, spanish, coupon=only))
    assert [line.discount_amount for line in quote.lines] == [0, 490]
    assert quote.reasons == ("list price of 2 lines", "coupon TEN: 10 % off 1 of 2 lines (€49.00)")


def test_money_in_a_reason_is_that_of_the_order() -> None:
    quote = priced(asked_for(a_course(300, "JPY"), coupon=fixed(500, "JPY", minimum=Money(amount=1, currency="JPY"))))
    assert quote.reasons == ("list price of 1 line", "coupon FIVE: ¥500 off, of which ¥300 could be used")
