"""What the decision about a refund depends on, read from the record."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from models.money import Money
from models.tables import (
    Academy,
    Course,
    Enrollment,
    Lesson,
    LessonRecord,
    LessonSlot,
    Order,
    OrderLine,
    RefundRequest,
)
from models.tables.columns import now
from models.vocabulary import (
    CourseKind,
    EnrollmentStatus,
    LessonOutcome,
    RefundPolicy,
    RefundRequestStatus,
    SlotStatus,
)
from rules.refund import LessonFact, RefundFacts

_YEAR = timedelta(days=365)


@dataclass(frozen=True)
class EnrollmentToRefund:
    """One enrollment with whose it is and what the rule wants to know."""

    enrollment: Enrollment
    order_id: UUID
    payer_id: UUID
    academy: Academy
    facts: RefundFacts


async def enrollment_to_refund(
    session: AsyncSession, enrollment_id: UUID, *, lock: bool = False
) -> EnrollmentToRefund | None:
    """The enrollment; none if there is none. Locked, no lesson of it is recorded meanwhile."""
    query = (
        select(Enrollment, OrderLine, Course, col(Order.payer_id), col(Order.currency), Academy)
        .join(OrderLine, col(OrderLine.id) == col(Enrollment.order_line_id))
        .join(Order, col(Order.id) == col(OrderLine.order_id))
        .join(Course, col(Course.id) == col(Enrollment.course_id))
        .join(Academy, true())
        .where(col(Enrollment.id) == enrollment_id)
    )
    if lock:
        query = query.with_for_update(of=Enrollment)
    found = (await session.execute(query)).one_or_none()
    if found is None:
        return None
    enrollment, line, course, payer_id, currency, academy = found
    lessons, lesson_count = await _lessons(session, enrollment, course)
    facts = RefundFacts(
        policy=RefundPolicy(enrollment.refund_policy),
        status=EnrollmentStatus(enrollment.status),
        paid=Money(amount=enrollment.share_amount, currency=currency),
        enrolled_at=enrollment.enrolled_at,
        course_starts_at=course.starts_at,
        lessons=lessons,
        lesson_count=lesson_count,
        refunds_in_a_year=await _refunds_in_a_year(session, payer_id),
        automatic_up_to=_limit(academy),
    )
    return EnrollmentToRefund(enrollment, line.order_id, payer_id, academy, facts)


async def _lessons(session: AsyncSession, enrollment: Enrollment, course: Course) -> tuple[tuple[LessonFact, ...], int]:
    """What is known of the place's lessons, and how many lessons it has in all (free previews left out)."""
    records = (
        select(col(LessonRecord.outcome), func.coalesce(col(Lesson.is_preview), False))
        .join(Lesson, col(Lesson.id) == col(LessonRecord.lesson_id), isouter=True)
        .where(col(LessonRecord.enrollment_id) == enrollment.id)
    )
    recorded = [
        LessonFact(LessonOutcome(outcome), is_preview=is_preview)
        for outcome, is_preview in (await session.execute(records)).all()
    ]
    if course.kind == CourseKind.TUTOR_PACK:
        booked = select(col(LessonSlot.ends_at)).where(
            col(LessonSlot.order_line_id) == enrollment.order_line_id, col(LessonSlot.status) == SlotStatus.BOOKED
        )
        hours = [LessonFact(None, ends_at=end) for end in (await session.execute(booked)).scalars()]
        return (*recorded, *hours), course.lessons_included or len(recorded) + len(hours)
    in_all = select(func.count()).where(col(Lesson.course_id) == course.id, col(Lesson.is_preview).is_(False))
    return tuple(recorded), (await session.execute(in_all)).scalar_one()


async def _refunds_in_a_year(session: AsyncSession, payer_id: UUID) -> int:
    """How many refunds this payer was granted in the last twelve months."""
    query = (
        select(func.count())
        .select_from(RefundRequest)
        .join(Enrollment, col(Enrollment.id) == col(RefundRequest.enrollment_id))
        .join(OrderLine, col(OrderLine.id) == col(Enrollment.order_line_id))
        .join(Order, col(Order.id) == col(OrderLine.order_id))
        .where(
            col(Order.payer_id) == payer_id,
            col(RefundRequest.status) == RefundRequestStatus.APPROVED,
            col(RefundRequest.created_at) > now() - _YEAR,
        )
    )
    return (await session.execute(query)).scalar_one()


def _limit(academy: Academy) -> Money | None:
    amount, currency = academy.automatic_refund_amount, academy.automatic_refund_currency
    return None if amount is None or currency is None else Money(amount=amount, currency=currency)
