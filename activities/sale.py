"""What has to be known to sell: the courses, the coupon, that the people exist, the academy's day."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models.errors import Reason
from models.messages.orders import OrderRequest
from models.money import Money
from models.tables import Academy, Coupon, Course, Person
from models.vocabulary import CouponKind, CourseKind, CourseStatus, RefundPolicy
from rules.decision import Refused
from rules.pricing import CouponOffer, CourseOnSale


@dataclass(frozen=True)
class Sale:
    """The facts of one order at one moment."""

    academy_zone: str
    courses: dict[UUID, CourseOnSale]
    limited: frozenset[UUID]
    refund_policies: dict[UUID, RefundPolicy]
    coupon: CouponOffer | None
    coupon_id: UUID | None


async def load_sale(session: AsyncSession, request: OrderRequest) -> Sale | Refused:
    """Read the facts in two statements; refuse an unknown person or coupon. Unknown courses are left to pricing."""
    people = {request.payer_id, *(line.student_id for line in request.lines)}
    known = select(func.count()).select_from(Person).where(col(Person.id).in_(people)).scalar_subquery()
    around = (
        select(col(Academy.time_zone), known, Coupon)
        .join(Coupon, func.lower(Coupon.code) == func.lower(request.coupon_code or ""), isouter=True)
        .limit(1)
    )
    zone, known_people, coupon = (await session.execute(around)).one()
    if known_people < len(people):
        return Refused(Reason.UNKNOWN_PERSON, "The payer or a student is not known here.")
    if request.coupon_code is not None and coupon is None:
        return Refused(Reason.UNKNOWN_COUPON, "There is no such coupon.")
    wanted = {line.course_id for line in request.lines}
    courses = (await session.execute(select(Course).where(col(Course.id).in_(wanted)))).scalars().all()
    return Sale(
        academy_zone=zone,
        courses={course.id: _on_sale(course) for course in courses},
        limited=frozenset(course.id for course in courses if course.capacity is not None),
        refund_policies={course.id: RefundPolicy(course.refund_policy) for course in courses},
        coupon=None if coupon is None else _offer(coupon),
        coupon_id=None if coupon is None else coupon.id,
    )


def _on_sale(course: Course) -> CourseOnSale:
    return CourseOnSale(
        id=course.id,
        title=course.title,
        kind=CourseKind(course.kind),
        status=CourseStatus(course.status),
        price=Money(amount=course.price_amount, currency=course.currency),
        enrollment_closes_at=course.enrollment_closes_at,
        lessons_included=course.lessons_included,
    )


def _offer(coupon: Coupon) -> CouponOffer:
    fixed = coupon.amount is not None and coupon.currency is not None
    return CouponOffer(
        code=coupon.code,
        kind=CouponKind(coupon.kind),
        percent=coupon.percent,
        amount=Money.model_validate({"amount": coupon.amount, "currency": coupon.currency}) if fixed else None,
        expires_on=coupon.expires_on,
        usage_limit=coupon.usage_limit,
        uses=coupon.uses,
    )
