"""What is on offer, as the rules of pricing see it: courses, a coupon, a tax rate."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from models.money import Money
from models.vocabulary import CostScheme, CouponKind, CourseKind, CourseStatus, TaxBehavior


@dataclass(frozen=True)
class IncludedCourse:
    """A course that comes with a bundle, and what it would cost alone, in minor units of the bundle's currency."""

    course_id: UUID
    amount: int


@dataclass(frozen=True)
class CourseOnSale:
    """What pricing has to know of a course.

    `sale_price` is in the currency of `price` and below it; it is asked from `sale_starts_at` until before
    `sale_ends_at`, and a bound that is missing is open (Academy of Mine R16). `access_until` is when access ends for
    everybody, if it does.
    """

    id: UUID
    title: str
    category: str
    kind: CourseKind
    status: CourseStatus
    price: Money
    cost_scheme: CostScheme = CostScheme.STUDENT
    sale_price: Money | None = None
    sale_starts_at: datetime | None = None
    sale_ends_at: datetime | None = None
    enrollment_closes_at: datetime | None = None
    access_until: datetime | None = None
    lessons_included: int | None = None
    included: tuple[IncludedCourse, ...] = ()


@dataclass(frozen=True)
class CouponOffer:
    """What pricing has to know of a coupon and of its payer (Academy of Mine R20-R24).

    Exactly one of `percent` and `amount` is set. An empty set of what is allowed allows everybody or everything.
    `minimum` is compared with what the coupon's own lines cost before it takes something off.
    """

    code: str
    kind: CouponKind
    percent: Decimal | None = None
    amount: Money | None = None
    expires_on: date | None = None
    expires_at: datetime | None = None
    usage_limit: int | None = None
    uses: int = 0
    per_person_limit: int | None = None
    uses_by_payer: int = 0
    minimum: Money | None = None
    allowed_emails: frozenset[str] = frozenset()
    allowed_course_ids: frozenset[UUID] = frozenset()
    excluded_course_ids: frozenset[UUID] = frozenset()
    allowed_categories: frozenset[str] = frozenset()
    excluded_categories: frozenset[str] = frozenset()
    excludes_sale_prices: bool = False


@dataclass(frozen=True)
class TaxRule:
    """The rate that sales to the payer's country are taxed with."""

    country: str
    name: str
    percent: Decimal
    behavior: TaxBehavior


@dataclass(frozen=True)
class PricedLine:
    """A line of an order before coupon and tax, in minor units. `asked_amount` is what is left after sale prices.

    A line that costs nothing (free, on sale for nothing, already entitled) has an `asked_amount` of 0.
    """

    course: CourseOnSale
    list_amount: int
    asked_amount: int
    on_sale: bool = False
    entitled: bool = False
