"""What the decision about a refund depends on, read from the record."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, ScalarSelect, any_, exists, func, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.refund_record import refundable
from models.money import Money
from models.tables import (
    Academy,
    Certificate,
    ClassSession,
    Course,
    Dispute,
    Enrollment,
    EnrollmentPause,
    Lesson,
    LessonRecord,
    LessonSlot,
    Order,
    OrderLine,
    Payment,
    Refund,
    RefundRequest,
)
from models.tables.columns import now
from models.vocabulary import (
    CertificateStatus,
    CourseKind,
    DisputeStatus,
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
    """One enrollment with whose it is and what the rule wants to know. `tutor_id` is the course's own tutor."""

    enrollment: Enrollment
    tutor_id: UUID | None
    order_id: UUID
    payer_id: UUID
    academy: Academy
    facts: RefundFacts


async def enrollment_to_refund(
    session: AsyncSession, enrollment_id: UUID, *, lock: bool = False
) -> EnrollmentToRefund | None:
    """The enrollment; none if there is none. Locked, no lesson of it is recorded meanwhile."""
    query = (
        select(Enrollment, Order, Course, Academy, _has_certificate())
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
    enrollment, order, course, academy, certificate_issued = found
    lessons, lesson_count = await _lessons(session, enrollment, course)
    granted = select(_promised(enrollment.id), _refunds_in_a_year(order.payer_id), _disputes(order.id))
    # In this order what goes from granted to asked for meanwhile is counted twice, never not at all.
    promised, refunds_in_a_year, disputes = (await session.execute(granted)).one()
    paid, left = await refundable(session, order, enrollment.id)
    facts = RefundFacts(
        policy=RefundPolicy(enrollment.refund_policy),
        status=EnrollmentStatus(enrollment.status),
        paid=Money(amount=paid, currency=order.currency),
        left=max(0, left - int(promised)),
        enrolled_at=enrollment.enrolled_at,
        course_starts_at=course.starts_at,
        lessons=lessons,
        lesson_count=lesson_count,
        refunds_in_a_year=refunds_in_a_year,
        automatic_up_to=_limit(academy),
        certificate_issued=certificate_issued,
        disputes=tuple(DisputeStatus(status) for status in disputes or ()),
    )
    return EnrollmentToRefund(enrollment, course.tutor_id, order.id, order.payer_id, academy, facts)


def _has_certificate() -> ColumnElement[bool]:
    return exists().where(
        col(Certificate.enrollment_id) == col(Enrollment.id), col(Certificate.status) == CertificateStatus.ISSUED
    )


def _disputes(order_id: UUID) -> ScalarSelect[list[str] | None]:
    """Those of the order's payment; one of a payment beside it does not concern the places."""
    return (
        select(func.array_agg(col(Dispute.status)))
        .join(Payment, col(Payment.payment_intent_id) == col(Dispute.payment_intent_id))
        .where(col(Payment.order_id) == order_id)
        .scalar_subquery()
    )


def _promised(enrollment_id: UUID) -> ScalarSelect[int]:
    """What was granted of the place's money and is not asked of Stripe yet, in minor units."""
    return (
        select(func.coalesce(func.sum(col(RefundRequest.amount)), 0))
        .join(Refund, col(Refund.request_id) == col(RefundRequest.id), isouter=True)
        .where(
            col(RefundRequest.enrollment_id) == enrollment_id,
            col(RefundRequest.status) == RefundRequestStatus.APPROVED,
            col(Refund.id).is_(None),
        )
        .scalar_subquery()
    )


async def _lessons(session: AsyncSession, enrollment: Enrollment, course: Course) -> tuple[tuple[LessonFact, ...], int]:
    """What is known of the place's lessons, and how many lessons it has in all (free previews left out).

    Meetings of a cohort count as booked hours do: those since the enrollment that are not canceled.
    """
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
    is_had = exists().where(
        col(LessonRecord.enrollment_id) == enrollment.id, col(LessonRecord.lesson_id) == col(Lesson.id)
    )
    is_taught = col(Lesson.removed_at).is_(None) & (
        col(Lesson.applies_from).is_(None) | (col(Lesson.applies_from) <= enrollment.enrolled_at)
    )
    in_all = select(func.count()).where(
        col(Lesson.course_id) == course.id, col(Lesson.is_preview).is_(False), is_had | is_taught
    )
    lesson_count = (await session.execute(in_all)).scalar_one()
    if course.kind != CourseKind.COHORT or enrollment.enrolled_at is None:
        return tuple(recorded), lesson_count
    meetings = await _meetings(session, enrollment, course)
    silent = [LessonFact(None, ends_at=ends_at) for ends_at, is_recorded in meetings if not is_recorded]
    return (*recorded, *silent), lesson_count + len(meetings)


async def _meetings(session: AsyncSession, enrollment: Enrollment, course: Course) -> list[tuple[datetime, bool]]:
    """When each meeting ends that the place has, and whether anything is recorded of it. One in a pause counts only if
    something is (activities/learning_facts.py)."""
    is_recorded = exists().where(
        col(LessonRecord.enrollment_id) == enrollment.id, col(LessonRecord.meeting_id) == col(ClassSession.id)
    )
    was_away = exists().where(
        col(EnrollmentPause.enrollment_id) == enrollment.id,
        col(EnrollmentPause.paused_at) <= col(ClassSession.ends_at),
        func.coalesce(col(EnrollmentPause.resumed_at), col(EnrollmentPause.until)) > col(ClassSession.ends_at),
    )
    query = select(col(ClassSession.ends_at), is_recorded).where(
        ~was_away | is_recorded,
        col(ClassSession.course_id) == course.id,
        col(ClassSession.ends_at) > enrollment.enrolled_at,
        col(ClassSession.canceled_at).is_(None) | is_recorded,
    )
    return [(ends_at, bool(known)) for ends_at, known in (await session.execute(query)).all()]


def _refunds_in_a_year(payer_id: UUID) -> ScalarSelect[int]:
    """How many refunds this payer was granted in the last twelve months."""
    return (
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
        .scalar_subquery()
    )


def _limit(academy: Academy) -> Money | None:
    amount, currency = academy.automatic_refund_amount, academy.automatic_refund_currency
    return None if amount is None or currency is None else Money(amount=amount, currency=currency)


async def tutors_of(session: AsyncSession, found: EnrollmentToRefund) -> Sequence[UUID]:
    """Who teaches the place: the course's tutor, or those of the hours that were chosen."""
    if found.tutor_id is not None:
        return [found.tutor_id]
    of_hours = (
        select(col(LessonSlot.tutor_id))
        .join(OrderLine, col(LessonSlot.id) == any_(col(OrderLine.slot_ids)))
        .where(col(OrderLine.id) == found.enrollment.order_line_id)
        .distinct()
        .order_by(col(LessonSlot.tutor_id))
    )
    return (await session.execute(of_hours)).scalars().all()
