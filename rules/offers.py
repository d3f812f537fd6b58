"""What is on offer, as the rules of pricing see it: courses, a coupon, a tax rate."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from models.money import Money
from models.vocabulary import CostScheme, CouponKind, CourseKind, CourseStatus, TaxBehavior


@dataclass(frozen=True)
class IncludedCourse:
    """A course that comes with a bundle, and what it would cost alone, in minor units."""

    course_id: UUID
    amount: int


@dataclass(frozen=True)
class CourseOnSale:
    """What pricing has to know of a course. Amounts of `sale_price` are in the currency of `price`."""

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
    lessons_included: int | None = None
    included: tuple[IncludedCourse, ...] = ()


@dataclass(frozen=True)
class CouponOffer:
    """What pricing has to know of a coupon and of its payer. Exactly one of `percent` and `amount` is set.

    An empty set allows everybody and everything.
    """

    code: str
    kind: CouponKind
    percent: Decimal | None = None
    amount: Money | None = None
    expires_on: date | None = None
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
