"""Whether a coupon is good for an order, and what it takes off each line (Academy of Mine R20-R26, newer 3.3).

One order takes one coupon: codes do not stack. A coupon acts on its eligible lines alone, on what they cost after sale
prices, so that no line and no order goes below nothing.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from models.errors import Reason
from models.money import Money, charge_step, percent_of, percent_text, split
from rules.decision import Refused
from rules.offers import CouponOffer, CourseOnSale, PricedLine


@dataclass(frozen=True)
class CouponDiscount:
    """What a coupon takes off each line of the order, in minor units, and the reason for the quote."""

    amounts: tuple[int, ...]
    reason: str


def apply_coupon(
    coupon: CouponOffer,
    lines: Sequence[PricedLine],
    currency: str,
    *,
    payer_email: str,
    academy_zone: ZoneInfo,
    moment: datetime,
) -> CouponDiscount | Refused:
    """Take the coupon off the lines at `moment` (UTC), or say why it is not good.

    The first of these that holds is the answer: expired, used up, not for this payer, used by them as often as
    allowed, other currency, no eligible line, minimum in another currency, below the minimum. What can be said without
    the order comes first, so that a code that is worthless sends nobody shopping.
    """
    if refused := _why_not_at_all(coupon, currency, payer_email, academy_zone, moment):
        return refused
    eligible = [line.asked_amount if _is_eligible(coupon, line) else 0 for line in lines]
    if refused := _why_not_on_these(coupon, Money(amount=sum(eligible), currency=currency)):
        return refused
    step = charge_step(currency)
    taken = _taken(coupon, sum(eligible), step)
    return CouponDiscount(split(taken, eligible, step), _describe(coupon, lines, eligible, taken, currency))


def _why_not_at_all(
    coupon: CouponOffer, currency: str, payer_email: str, zone: ZoneInfo, moment: datetime
) -> Refused | None:
    if _has_ended(coupon, zone, moment):
        return Refused(Reason.COUPON_EXPIRED, "The coupon's time has passed.")
    if coupon.usage_limit is not None and coupon.uses >= coupon.usage_limit:
        return Refused(Reason.COUPON_USED_UP, "The coupon has been used as often as it may be.")
    if coupon.allowed_emails and _plain(payer_email) not in map(_plain, coupon.allowed_emails):
        return Refused(Reason.COUPON_NOT_YOURS, "The coupon was made out to somebody else.")
    if coupon.per_person_limit is not None and coupon.uses_by_payer >= coupon.per_person_limit:
        return Refused(Reason.COUPON_USED_BY_YOU, "The payer has used the coupon as often as one person may.")
    if coupon.amount is not None and coupon.amount.currency != currency:
        return Refused(Reason.COUPON_CURRENCY, f"The coupon is good for {coupon.amount.currency} only.")
    return None


def _has_ended(coupon: CouponOffer, zone: ZoneInfo, moment: datetime) -> bool:
    """Whether its last day in the academy's zone, or its last moment, has passed."""
    if coupon.expires_at is not None and moment >= coupon.expires_at:
        return True
    return coupon.expires_on is not None and moment.astimezone(zone).date() > coupon.expires_on


def _why_not_on_these(coupon: CouponOffer, eligible: Money) -> Refused | None:
    if eligible.amount == 0:
        return Refused(Reason.COUPON_NOT_APPLICABLE, "The coupon is good for nothing in this order.")
    if coupon.minimum is None:
        return None
    if coupon.minimum.currency != eligible.currency:
        return Refused(Reason.COUPON_CURRENCY, f"The coupon is good for {coupon.minimum.currency} only.")
    if eligible.amount < coupon.minimum.amount:
        return Refused(
            Reason.COUPON_MINIMUM,
            f"The coupon is good from {coupon.minimum.format()} on; here it is for {eligible.format()}.",
        )
    return None


def _plain(email: str) -> str:
    """One spelling of an address, whatever its case and however its accents are encoded."""
    return unicodedata.normalize("NFC", email.strip().casefold())


def _is_eligible(coupon: CouponOffer, line: PricedLine) -> bool:
    """Whether the coupon may act on the line. On one that costs nothing it has nothing to act on."""
    return _is_for(coupon, line.course) and not (coupon.excludes_sale_prices and line.on_sale)


def _is_for(coupon: CouponOffer, course: CourseOnSale) -> bool:
    """A course or its category is enough to be allowed, and enough to be excluded; exclusion wins."""
    if course.id in coupon.excluded_course_ids or course.category in coupon.excluded_categories:
        return False
    if not coupon.allowed_course_ids and not coupon.allowed_categories:
        return True
    return course.id in coupon.allowed_course_ids or course.category in coupon.allowed_categories


def _taken(coupon: CouponOffer, subtotal: int, step: int) -> int:
    """What is taken off in all, in whole steps of what can be charged, never more than there is (R26)."""
    if coupon.percent is not None:
        return min(percent_of(subtotal, coupon.percent, step), subtotal)
    assert coupon.amount is not None  # noqa: S101 - the table's CHECK says so
    return min(coupon.amount.amount, subtotal) // step * step


def _describe(
    coupon: CouponOffer, lines: Sequence[PricedLine], eligible: Sequence[int], taken: int, currency: str
) -> str:
    """The discount in words: which lines it was for where it was not for all, and where a fixed one was cut short."""
    off = percent_text(coupon.percent) if coupon.percent is not None else coupon.amount and coupon.amount.format()
    told = f"coupon {coupon.code}: {off} off"
    took_part = sum(amount > 0 for amount in eligible)
    if took_part < sum(line.asked_amount > 0 for line in lines):
        subtotal = Money(amount=sum(eligible), currency=currency)
        told += f" {took_part} of {len(lines)} lines ({subtotal.format()})"
    if coupon.amount is not None and taken < coupon.amount.amount:
        told += f", of which {Money(amount=taken, currency=currency).format()} could be used"
    return told
