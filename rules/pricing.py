"""What an order costs and why. The client's idea of a price is never asked (TutorHub R8).

Three steps, each in its own words among the quote's reasons: the price that is asked (cost scheme, sale price, nothing
where the student has access already), what the coupon takes off it, and the tax on what is left.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from models.errors import Reason
from models.messages.orders import OrderLineRequest
from models.money import LARGEST_AMOUNT, charge_step, split
from models.quote import Quote, QuotedLine, QuotedTax, Share
from models.vocabulary import CostScheme, CourseKind, CourseStatus, TaxBehavior
from rules.coupons import apply_coupon
from rules.decision import Refused
from rules.offers import CouponOffer, CourseOnSale, PricedLine, TaxRule
from rules.taxes import describe_tax, tax_amounts

_TOO_LARGE = Refused(Reason.INVALID_REQUEST, "The order comes to more than one payment can be for.")


def quote_order(
    lines: Sequence[OrderLineRequest],
    courses: Mapping[UUID, CourseOnSale],
    coupon: CouponOffer | None,
    tax: TaxRule | None,
    *,
    entitled: frozenset[tuple[UUID, UUID]],
    payer_email: str,
    academy_zone: ZoneInfo,
    moment: datetime,
    has_slots: bool = True,
) -> Quote | Refused:
    """Price the lines at `moment` (UTC), or say why they cannot be bought.

    `entitled` are the pairs (course, student) where the student has valid access already: such a line costs nothing
    and takes part in nothing. An order of such lines alone does not look at its coupon, good or not. Without
    `has_slots`, as in a cart, the hours of tutors' packs are still to be chosen.
    """
    for line in lines:
        if refused := _why_not(line, courses.get(line.course_id), moment, has_slots):
            return refused
    currencies = {courses[line.course_id].price.currency for line in lines}
    if len(currencies) > 1:
        return Refused(Reason.MIXED_CURRENCIES, f"One order has one currency, not {' and '.join(sorted(currencies))}.")
    currency = currencies.pop()
    priced = _price(lines, courses, entitled, moment)
    if sum(line.list_amount for line in priced) > LARGEST_AMOUNT:
        return _TOO_LARGE
    reasons = _price_reasons(priced, academy_zone)
    off: Sequence[int] = [0] * len(priced)
    if coupon is not None and not all(line.entitled for line in priced):
        discount = apply_coupon(
            coupon, priced, currency, payer_email=payer_email, academy_zone=academy_zone, moment=moment
        )
        if isinstance(discount, Refused):
            return discount
        off = discount.amounts
        reasons.append(discount.reason)
    if sum(line.asked_amount for line in priced) == sum(off):
        tax = None
    if tax is not None:
        reasons.append(describe_tax(tax))
    return _add_up(lines, priced, currency, off, tax, tuple(reasons))


def _why_not(line: OrderLineRequest, course: CourseOnSale | None, moment: datetime, has_slots: bool) -> Refused | None:
    if course is None:
        return Refused(Reason.UNKNOWN_COURSE, f"There is no course {line.course_id}.")
    if course.status is not CourseStatus.PUBLISHED or (course.kind is CourseKind.BUNDLE and not course.included):
        return Refused(Reason.COURSE_NOT_PUBLISHED, f"Course {course.id} is not on sale.")
    # A place whose access is over already is worth nothing.
    if any(at is not None and moment >= at for at in (course.enrollment_closes_at, course.access_until)):
        return Refused(Reason.ENROLLMENT_CLOSED, f"Enrollment in course {course.id} has closed.")
    if course.kind is not CourseKind.TUTOR_PACK and line.slot_ids:
        return Refused(Reason.SLOTS_NOT_ALLOWED, f"Course {course.id} has no lesson slots to book.")
    is_booked = has_slots and course.kind is CourseKind.TUTOR_PACK
    if is_booked and (len(line.slot_ids) != course.lessons_included or len(set(line.slot_ids)) < len(line.slot_ids)):
        return Refused(
            Reason.SLOTS_REQUIRED, f"Course {course.id} is booked with {course.lessons_included} different slots."
        )
    return None


def _price(
    lines: Sequence[OrderLineRequest],
    courses: Mapping[UUID, CourseOnSale],
    entitled: frozenset[tuple[UUID, UUID]],
    moment: datetime,
) -> list[PricedLine]:
    entitlements: dict[UUID, list[bool]] = {}
    for line in lines:
        entitlements.setdefault(line.course_id, []).append((line.course_id, line.student_id) in entitled)
    of_course = {each: iter(_price_course(courses[each], lines_of, moment)) for each, lines_of in entitlements.items()}
    return [next(of_course[line.course_id]) for line in lines]


def _price_course(course: CourseOnSale, entitled: Sequence[bool], moment: datetime) -> list[PricedLine]:
    """All the lines of one course, by its cost scheme (Eduframe E2) and with its sale price.

    A price that is for the whole order is split over the lines that are charged; where none is, it is still shown.
    """
    sale = _sale_price(course, moment)
    regular = course.price.amount
    now = regular if sale is None else sale
    match course.cost_scheme:
        case CostScheme.STUDENT:
            listed, asked = (regular,) * len(entitled), (now,) * len(entitled)
        case CostScheme.ORDER:
            carries, step = [not each for each in entitled], charge_step(course.price.currency)
            listed, asked = split(regular, carries, step), split(now, carries, step)
        case CostScheme.FREE:
            listed = asked = (0,) * len(entitled)
    return [
        PricedLine(
            course=course,
            list_amount=shown,
            asked_amount=0 if has_access else price,
            on_sale=sale is not None,
            entitled=has_access,
        )
        for shown, price, has_access in zip(listed, asked, entitled, strict=True)
    ]


def _sale_price(course: CourseOnSale, moment: datetime) -> int | None:
    """The sale price if it is asked now. One that is not below the regular price is none."""
    if course.cost_scheme is CostScheme.FREE or course.sale_price is None:
        return None
    begun = course.sale_starts_at is None or moment >= course.sale_starts_at
    over = course.sale_ends_at is not None and moment >= course.sale_ends_at
    cheaper = course.sale_price.amount < course.price.amount
    return course.sale_price.amount if begun and not over and cheaper else None


def _price_reasons(priced: Sequence[PricedLine], zone: ZoneInfo) -> list[str]:
    reasons = [f"list price of {_lines(len(priced))}"]
    for course in {line.course.id: line.course for line in priced}.values():
        entitled = [line.entitled for line in priced if line.course.id == course.id]
        charged = entitled.count(False)
        if course.cost_scheme is CostScheme.FREE:
            reasons.append(f"{course.title} is free")
        if course.cost_scheme is CostScheme.ORDER and charged > 1:
            reasons.append(f"one price of {course.title} for {_lines(charged)}")
        if charged and any(line.on_sale for line in priced if line.course.id == course.id):
            reasons.append(f"sale price of {course.title}{_until(course.sale_ends_at, zone)}")
        if any(entitled):
            told = "" if len(entitled) == 1 else f"{_lines(entitled.count(True))} "
            reasons.append(f"already enrolled in {course.title}: {told}not charged")
    return reasons


def _lines(number: int) -> str:
    return f"{number} line{'' if number == 1 else 's'}"


def _until(moment: datetime | None, zone: ZoneInfo) -> str:
    return "" if moment is None else f" until {moment.astimezone(zone):%Y-%m-%d %H:%M}"


def _add_up(
    lines: Sequence[OrderLineRequest],
    priced: Sequence[PricedLine],
    currency: str,
    off: Sequence[int],
    tax: TaxRule | None,
    reasons: tuple[str, ...],
) -> Quote | Refused:
    due = [line.asked_amount - less for line, less in zip(priced, off, strict=True)]
    taxes = (0,) * len(due) if tax is None else tax_amounts(tax, due, currency)
    comes_on_top = tax is not None and tax.behavior is TaxBehavior.EXCLUSIVE
    totals = [amount + more if comes_on_top else amount for amount, more in zip(due, taxes, strict=True)]
    if sum(totals) > LARGEST_AMOUNT:
        return _TOO_LARGE
    quoted = tuple(
        QuotedLine(
            course_id=line.course_id,
            student_id=line.student_id,
            title=price.course.title,
            list_amount=price.list_amount,
            discount_amount=price.list_amount - amount,
            tax_amount=taxed,
            total_amount=total,
            already_entitled=price.entitled,
            shares=_shares(price, total),
        )
        for line, price, amount, taxed, total in zip(lines, priced, due, taxes, totals, strict=True)
    )
    return Quote(
        currency=currency,
        lines=quoted,
        list_amount=sum(line.list_amount for line in quoted),
        discount_amount=sum(line.discount_amount for line in quoted),
        coupon_amount=sum(off),
        tax=tax and QuotedTax(country=tax.country, name=tax.name, percent=tax.percent, behavior=tax.behavior),
        tax_amount=sum(taxes),
        total_amount=sum(totals),
        reasons=reasons,
    )


def _shares(line: PricedLine, total: int) -> tuple[Share, ...]:
    """What of the line's total is for which course, each in steps that can be paid back on their own.

    A line that grants nothing new has no shares.
    """
    course = line.course
    if line.entitled:
        return ()
    if course.kind is not CourseKind.BUNDLE:
        return (Share(course_id=course.id, amount=total),)
    amounts = split(total, [each.amount for each in course.included], charge_step(course.price.currency))
    return tuple(
        Share(course_id=each.course_id, amount=amount) for each, amount in zip(course.included, amounts, strict=True)
    )
