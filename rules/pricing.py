"""What an order costs and why. The client's idea of a price is never asked (TutorHub R8)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

from models.errors import Reason
from models.messages.orders import OrderLineRequest
from models.money import Money, charge_step, percent_of, split
from models.quote import Quote, QuotedLine
from models.vocabulary import CouponKind, CourseKind, CourseStatus
from rules.decision import Refused


@dataclass(frozen=True)
class CourseOnSale:
    """What pricing has to know of a course."""

    id: UUID
    title: str
    kind: CourseKind
    status: CourseStatus
    price: Money
    enrollment_closes_at: datetime | None
    lessons_included: int | None


@dataclass(frozen=True)
class CouponOffer:
    """What pricing has to know of a coupon. Exactly one of `percent` and `amount` is set."""

    code: str
    kind: CouponKind
    percent: Decimal | None
    amount: Money | None
    expires_on: date | None
    usage_limit: int | None
    uses: int


def quote_order(
    lines: Sequence[OrderLineRequest],
    courses: Mapping[UUID, CourseOnSale],
    coupon: CouponOffer | None,
    *,
    academy_zone: ZoneInfo,
    moment: datetime,
) -> Quote | Refused:
    """Price the lines at `moment` (UTC), or say why they cannot be bought."""
    for line in lines:
        if refused := _why_not(line, courses.get(line.course_id), moment):
            return refused
    currencies = {courses[line.course_id].price.currency for line in lines}
    if len(currencies) > 1:
        return Refused(Reason.MIXED_CURRENCIES, f"One order has one currency, not {' and '.join(sorted(currencies))}.")
    currency = currencies.pop()
    listed = [courses[line.course_id].price.amount for line in lines]
    reasons = [f"list price of {len(lines)} line{'s' if len(lines) > 1 else ''}"]
    discount, step = 0, charge_step(currency)
    if coupon is not None:
        if refused := _why_no_coupon(coupon, currency, academy_zone, moment):
            return refused
        discount = _discount(coupon, sum(listed), step)
        reasons.append(f"coupon {coupon.code}: {_describe(coupon)} off")
    discounts = [part * step for part in split(discount // step, listed)]
    return _add_up(lines, courses, currency, listed, discounts, tuple(reasons))


def _why_not(line: OrderLineRequest, course: CourseOnSale | None, moment: datetime) -> Refused | None:
    if course is None:
        return Refused(Reason.UNKNOWN_COURSE, f"There is no course {line.course_id}.")
    if course.status is not CourseStatus.PUBLISHED:
        return Refused(Reason.COURSE_NOT_PUBLISHED, f"Course {course.id} is not on sale.")
    if course.enrollment_closes_at is not None and moment >= course.enrollment_closes_at:
        return Refused(Reason.ENROLLMENT_CLOSED, f"Enrollment in course {course.id} has closed.")
    if course.kind is not CourseKind.TUTOR_PACK and line.slot_ids:
        return Refused(Reason.SLOTS_NOT_ALLOWED, f"Course {course.id} has no lesson slots to book.")
    if course.kind is CourseKind.TUTOR_PACK and (
        len(line.slot_ids) != course.lessons_included or len(set(line.slot_ids)) < len(line.slot_ids)
    ):
        return Refused(
            Reason.SLOTS_REQUIRED, f"Course {course.id} is booked with {course.lessons_included} different slots."
        )
    return None


def _why_no_coupon(coupon: CouponOffer, currency: str, zone: ZoneInfo, moment: datetime) -> Refused | None:
    if coupon.expires_on is not None and moment.astimezone(zone).date() > coupon.expires_on:
        return Refused(Reason.COUPON_EXPIRED, "The coupon's last day has passed.")
    if coupon.usage_limit is not None and coupon.uses >= coupon.usage_limit:
        return Refused(Reason.COUPON_USED_UP, "The coupon has been used as often as it may be.")
    if coupon.amount is not None and coupon.amount.currency != currency:
        return Refused(Reason.COUPON_CURRENCY, f"The coupon is good for {coupon.amount.currency} only.")
    return None


def _discount(coupon: CouponOffer, subtotal: int, step: int) -> int:
    """What is taken off, in whole steps of what can be charged."""
    if coupon.percent is not None:
        return percent_of(subtotal, coupon.percent, step)
    assert coupon.amount is not None  # noqa: S101 - the table's CHECK says so
    return min(coupon.amount.amount, subtotal) // step * step


def _describe(coupon: CouponOffer) -> str:
    return (
        f"{coupon.percent.normalize():f} %"
        if coupon.percent is not None
        else str(coupon.amount and coupon.amount.format())
    )


def _add_up(
    lines: Sequence[OrderLineRequest],
    courses: Mapping[UUID, CourseOnSale],
    currency: str,
    listed: Sequence[int],
    discounts: Sequence[int],
    reasons: tuple[str, ...],
) -> Quote:
    quoted = tuple(
        QuotedLine(
            course_id=line.course_id,
            student_id=line.student_id,
            title=courses[line.course_id].title,
            list_amount=price,
            discount_amount=off,
            total_amount=price - off,
        )
        for line, price, off in zip(lines, listed, discounts, strict=True)
    )
    return Quote(
        currency=currency,
        lines=quoted,
        list_amount=sum(listed),
        discount_amount=sum(discounts),
        total_amount=sum(listed) - sum(discounts),
        reasons=reasons,
    )
