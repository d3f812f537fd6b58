"""What has to be known to sell: who buys, the courses, the coupon, the tax, what the students have already."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import ARRAY, ColumnElement, ScalarSelect, Uuid, bindparam, func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models.errors import Reason
from models.messages.orders import OrderLineRequest
from models.money import Money
from models.quote import Quote
from models.tables import (
    Academy,
    BundleCourse,
    Coupon,
    CouponUse,
    Course,
    Enrollment,
    LessonSlot,
    Person,
    ScreeningMeeting,
    TaxRate,
)
from models.vocabulary import (
    CostScheme,
    CouponKind,
    CouponUseStatus,
    CourseKind,
    CourseStatus,
    EnrollmentStatus,
    ScreeningDecision,
    TaxBehavior,
)
from rules.decision import Refused
from rules.entitlement import Place, WantedPlaces, wanted_places
from rules.offers import CouponOffer, CourseOnSale, IncludedCourse, TaxRule
from rules.pricing import quote_order

_IN_A_BUNDLE = (CourseKind.SELF_PACED, CourseKind.COHORT)
_STANDING = (
    EnrollmentStatus.PENDING_APPROVAL,
    EnrollmentStatus.WAITLISTED,
    EnrollmentStatus.PENDING_PAYMENT,
    EnrollmentStatus.ACTIVE,
    EnrollmentStatus.SUSPENDED,
    EnrollmentStatus.COMPLETED,
)


@dataclass(frozen=True)
class Sale:
    """The facts of one order at one moment.

    `offers` are the courses asked for, `courses` these and those that come with a bundle. `slot_starts` are the chosen
    slots that belong to the course they were chosen for; `screened` the pairs (course, student) that a tutor approved.
    """

    zone: ZoneInfo
    payer_email: str
    may_pay_by_invoice: bool
    offers: Mapping[UUID, CourseOnSale]
    courses: Mapping[UUID, Course]
    coupon: CouponOffer | None
    coupon_id: UUID | None
    tax: TaxRule | None
    places: Sequence[Place]
    slot_starts: Mapping[UUID, datetime]
    screened: frozenset[tuple[UUID, UUID]]

    def quoted(
        self, lines: Sequence[OrderLineRequest], moment: datetime, *, has_slots: bool = True
    ) -> tuple[WantedPlaces, Quote] | Refused:
        """Which places the lines ask for and what they cost at `moment` (UTC), or why they cannot be bought.

        Without `has_slots` the hours of tutors' packs are chosen later.
        """
        wanted = wanted_places(lines, self.offers, self.places, moment)
        if isinstance(wanted, Refused):
            return wanted
        quote = quote_order(
            lines,
            self.offers,
            self.coupon,
            self.tax,
            entitled=wanted.entitled,
            payer_email=self.payer_email,
            academy_zone=self.zone,
            moment=moment,
            has_slots=has_slots,
        )
        return quote if isinstance(quote, Refused) else (wanted, quote)

    def screening_missing(self, lines: Sequence[OrderLineRequest], wanted: WantedPlaces) -> Refused | None:
        """Whether a tutor has to meet a student before one of the lines can be bought (TutorHub G24)."""
        for line, new in zip(lines, wanted.missing, strict=True):
            is_flagged = self.courses[line.course_id].preliminary_meeting_required
            if new and is_flagged and (line.course_id, line.student_id) not in self.screened:
                return Refused(
                    Reason.SCREENING_REQUIRED, f"The tutor of course {line.course_id} has to meet the student first."
                )
        return None

    def with_coupon(self, coupon: CouponOffer | None) -> Self:
        """The same with this coupon, to see what it would cost."""
        return replace(self, coupon=coupon, coupon_id=None)

    @property
    def limited(self) -> frozenset[UUID]:
        """The courses that have a number of seats."""
        return frozenset(course.id for course in self.courses.values() if course.capacity is not None)


async def load_sale(
    session: AsyncSession, payer_id: UUID, lines: Sequence[OrderLineRequest], coupon_code: str | None
) -> Sale | Refused:
    """Read the facts in three statements, one more each for slots and screenings where there are any.

    Refuses an unknown person or coupon. Unknown courses are left to pricing.
    """
    people = {payer_id, *(line.student_id for line in lines)}
    known = select(func.count()).select_from(Person).where(col(Person.id).in_(people)).scalar_subquery()
    around = (
        select(
            col(Academy.time_zone),
            known,
            col(Person.email),
            col(Person.may_pay_by_invoice),
            Coupon,
            _uses_by(payer_id),
            TaxRate,
        )
        .select_from(Academy)
        .join(Person, col(Person.id) == payer_id, isouter=True)
        .join(Coupon, func.lower(Coupon.code) == func.lower(coupon_code or ""), isouter=True)
        .join(TaxRate, col(TaxRate.country) == func.coalesce(col(Person.country), col(Academy.country)), isouter=True)
    )
    zone, known_people, email, may_pay_by_invoice, coupon, uses, rate = (await session.execute(around)).one()
    if known_people < len(people):
        return Refused(Reason.UNKNOWN_PERSON, "The payer or a student is not known here.")
    if coupon_code is not None and coupon is None:
        return Refused(Reason.UNKNOWN_COUPON, "There is no such coupon.")
    wanted = {line.course_id for line in lines}
    courses, included = await _load_courses(session, wanted)
    return Sale(
        zone=ZoneInfo(zone),
        payer_email=email,
        may_pay_by_invoice=may_pay_by_invoice,
        offers={each: _on_sale(courses[each], included.get(each, ())) for each in wanted if each in courses},
        courses=courses,
        coupon=None if coupon is None else _offer(coupon, uses),
        coupon_id=None if coupon is None else coupon.id,
        tax=None if rate is None else TaxRule(rate.country, rate.name, rate.percent, TaxBehavior(rate.behavior)),
        places=await _load_places(session, courses, people),
        slot_starts=await _load_slot_starts(session, lines),
        screened=await _load_screened(session, lines, courses),
    )


async def load_coupons(
    session: AsyncSession, payer_id: UUID, wanted: ColumnElement[bool], own_orders: Collection[UUID]
) -> list[CouponOffer]:
    """The coupons that are wanted, as they stood if these orders, which are not paid, had given their uses back."""
    reserved = (
        select(func.count())
        .select_from(CouponUse)
        .where(
            col(CouponUse.coupon_id) == col(Coupon.id),
            col(CouponUse.order_id).in_(own_orders),
            col(CouponUse.status) == CouponUseStatus.RESERVED,
        )
        .correlate(Coupon)
        .scalar_subquery()
    )
    query = select(Coupon, _uses_by(payer_id), reserved).where(wanted).order_by(col(Coupon.id))
    offers = [(_offer(coupon, uses), own) for coupon, uses, own in (await session.execute(query)).all()]
    return [replace(each, uses=each.uses - own, uses_by_payer=each.uses_by_payer - own) for each, own in offers]


def _uses_by(payer_id: UUID) -> ScalarSelect[int]:
    return (
        select(func.count())
        .select_from(CouponUse)
        .where(
            col(CouponUse.coupon_id) == col(Coupon.id),
            col(CouponUse.person_id) == payer_id,
            col(CouponUse.status) != CouponUseStatus.RELEASED,
        )
        .correlate(Coupon)
        .scalar_subquery()
    )


async def _load_courses(
    session: AsyncSession, wanted: Collection[UUID]
) -> tuple[dict[UUID, Course], dict[UUID, list[Course]]]:
    """The courses by id, and those that come with a bundle in its order."""
    asked = select(func.unnest(bindparam("wanted", list(wanted), type_=ARRAY(Uuid))))
    coming = select(col(BundleCourse.course_id)).where(col(BundleCourse.bundle_id).in_(wanted))
    query = (
        select(Course, col(BundleCourse.bundle_id))
        .join(
            BundleCourse,
            (col(BundleCourse.course_id) == col(Course.id)) & col(BundleCourse.bundle_id).in_(wanted),
            isouter=True,
        )
        .where(col(Course.id).in_(asked.union(coming)))
        .order_by(col(BundleCourse.bundle_id), col(BundleCourse.position), col(BundleCourse.course_id))
    )
    courses: dict[UUID, Course] = {}
    included: dict[UUID, list[Course]] = {}
    for course, bundle_id in (await session.execute(query)).all():
        courses[course.id] = course
        if bundle_id is not None:
            included.setdefault(bundle_id, []).append(course)
    return courses, included


async def _load_places(session: AsyncSession, courses: Collection[UUID], people: Collection[UUID]) -> list[Place]:
    query = select(
        col(Enrollment.id),
        col(Enrollment.course_id),
        col(Enrollment.student_id),
        col(Enrollment.status),
        col(Enrollment.access_ends_at),
    ).where(
        col(Enrollment.student_id).in_(people),
        col(Enrollment.course_id).in_(courses),
        col(Enrollment.status).in_(_STANDING),
    )
    return [
        Place(row_id, course_id, student_id, EnrollmentStatus(status), access_ends_at)
        for row_id, course_id, student_id, status, access_ends_at in (await session.execute(query)).all()
    ]


async def _load_slot_starts(session: AsyncSession, lines: Sequence[OrderLineRequest]) -> dict[UUID, datetime]:
    chosen = {(slot_id, line.course_id) for line in lines for slot_id in line.slot_ids}
    if not chosen:
        return {}
    query = select(col(LessonSlot.id), col(LessonSlot.course_id), col(LessonSlot.starts_at)).where(
        col(LessonSlot.id).in_({slot_id for slot_id, _ in chosen})
    )
    return {
        slot_id: starts_at
        for slot_id, course_id, starts_at in (await session.execute(query)).all()
        if (slot_id, course_id) in chosen
    }


async def _load_screened(
    session: AsyncSession, lines: Sequence[OrderLineRequest], courses: Mapping[UUID, Course]
) -> frozenset[tuple[UUID, UUID]]:
    """The latest decision counts, and for good (TutorHub G24). A meeting that is still to come decides nothing."""
    flagged = [
        line for line in lines if line.course_id in courses and courses[line.course_id].preliminary_meeting_required
    ]
    if not flagged:
        return frozenset()
    of_pair = (col(ScreeningMeeting.course_id), col(ScreeningMeeting.student_id))
    latest = (
        select(*of_pair, col(ScreeningMeeting.decision))
        .ext(distinct_on(*of_pair))
        .where(
            col(ScreeningMeeting.course_id).in_({line.course_id for line in flagged}),
            col(ScreeningMeeting.student_id).in_({line.student_id for line in flagged}),
            col(ScreeningMeeting.decision) != ScreeningDecision.PENDING,
        )
        .order_by(*of_pair, col(ScreeningMeeting.decided_at).desc(), col(ScreeningMeeting.id).desc())
    )
    return frozenset(
        (course_id, student_id)
        for course_id, student_id, decision in (await session.execute(latest)).all()
        if decision == ScreeningDecision.APPROVED
    )


def _on_sale(course: Course, included: Sequence[Course]) -> CourseOnSale:
    """The course as an offer. A bundle shares its courses' deadlines, and is on sale only while all of them are."""
    of_all = (course, *included)
    is_whole = all(each.status == CourseStatus.PUBLISHED and each.kind in _IN_A_BUNDLE for each in included)
    deadlines = [each.enrollment_closes_at for each in of_all if each.enrollment_closes_at is not None]
    ends = [each.access_until for each in of_all if each.access_until is not None]
    # Prices in several currencies cannot be weighed against each other.
    is_comparable = {each.currency for each in included} == {course.currency}
    return CourseOnSale(
        id=course.id,
        title=course.title,
        category=course.category,
        kind=CourseKind(course.kind),
        status=CourseStatus(course.status),
        price=Money(amount=course.price_amount, currency=course.currency),
        cost_scheme=CostScheme(course.cost_scheme),
        sale_price=_money(course.sale_price_amount, course.currency),
        sale_starts_at=course.sale_starts_at,
        sale_ends_at=course.sale_ends_at,
        enrollment_closes_at=min(deadlines, default=None),
        access_until=min(ends, default=None),
        lessons_included=course.lessons_included,
        included=tuple(IncludedCourse(each.id, each.price_amount if is_comparable else 1) for each in included)
        if is_whole
        else (),
    )


def _offer(coupon: Coupon, uses_by_payer: int) -> CouponOffer:
    return CouponOffer(
        code=coupon.code,
        kind=CouponKind(coupon.kind),
        percent=coupon.percent,
        amount=_money(coupon.amount, coupon.currency),
        expires_on=coupon.expires_on,
        expires_at=coupon.expires_at,
        usage_limit=coupon.usage_limit,
        uses=coupon.uses,
        per_person_limit=coupon.per_person_limit,
        uses_by_payer=uses_by_payer,
        minimum=_money(coupon.minimum_amount, coupon.minimum_currency),
        allowed_emails=frozenset(coupon.allowed_emails),
        allowed_course_ids=frozenset(coupon.allowed_course_ids),
        excluded_course_ids=frozenset(coupon.excluded_course_ids),
        allowed_categories=frozenset(coupon.allowed_categories),
        excluded_categories=frozenset(coupon.excluded_categories),
        excludes_sale_prices=coupon.excludes_sale_prices,
    )


def _money(amount: int | None, currency: str | None) -> Money | None:
    return None if amount is None or currency is None else Money(amount=amount, currency=currency)
