"""What a cascade would do, read from the record a page at a time; nothing is written."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.cascades import live_places
from models.money import Money
from models.tables import Course, Enrollment, Lesson, LessonRecord, LessonSlot, Order, Refund
from models.tables.columns import now
from models.vocabulary import (
    CourseKind,
    EnrollmentStatus,
    LessonOutcome,
    OrderStatus,
    RefundPolicy,
    RefundShare,
    RefundStatus,
    SlotStatus,
)
from rules.refund import LessonFact, RefundFacts, granted

_PAGE = 500
_TAKEN = (EnrollmentStatus.ACTIVE, EnrollmentStatus.SUSPENDED)


@dataclass
class CascadePreview:
    """Places per state, orders that would be cancelled, and minor units per currency that would go back."""

    places: Counter[str] = field(default_factory=Counter)
    orders_to_cancel: int = 0
    amounts: Counter[str] = field(default_factory=Counter)


async def preview_cascade(
    session: AsyncSession, tutor_id: UUID | None, course_id: UUID | None, share: RefundShare
) -> CascadePreview:
    """Count it, with the amounts by the same rule that decides when it happens.

    A part of the money that a bank has taken back in a dispute, and an amount other than the price that staff accepted,
    are looked at only when a place ends.
    """
    preview = CascadePreview()
    open_order = col(Order.status) == OrderStatus.PENDING_PAYMENT
    orders = (
        live_places(tutor_id, course_id)
        .where(open_order)
        .with_only_columns(func.count(func.distinct(col(Order.id))), maintain_column_froms=True)
    )
    preview.orders_to_cancel = (await session.execute(orders)).scalar_one()
    states = (
        live_places(tutor_id, course_id)
        .with_only_columns(col(Enrollment.status), func.count(), maintain_column_froms=True)
        .group_by(col(Enrollment.status))
    )
    preview.places.update({str(row[0]): int(row[1]) for row in (await session.execute(states)).all()})
    after: UUID | None = None
    while True:
        page = await _page(session, tutor_id, course_id, after)
        for facts in page.values():
            amount = granted(facts, share, None, now())
            preview.amounts[amount.currency] += amount.amount
        if len(page) < _PAGE:
            return preview
        after = max(page)


async def _page(
    session: AsyncSession, tutor_id: UUID | None, course_id: UUID | None, after: UUID | None
) -> dict[UUID, RefundFacts]:
    """The facts of the next places that somebody has; five statements a page."""
    places = (
        live_places(tutor_id, course_id)
        .where(col(Enrollment.status).in_(_TAKEN))
        .with_only_columns(Enrollment, Course, col(Order.currency), maintain_column_froms=True)
        .order_by(col(Enrollment.id))
        .limit(_PAGE)
    )
    if after is not None:
        places = places.where(col(Enrollment.id) > after)
    rows = (await session.execute(places)).all()
    ids = [row[0].id for row in rows]
    lessons = await _lessons(session, ids)
    in_all = await _lesson_counts(session, {row[1].id for row in rows})
    refunded = await _refunded(session, ids)
    found: dict[UUID, RefundFacts] = {}
    for enrollment, course, currency in rows:
        known = tuple(lessons[enrollment.id])
        is_pack = course.kind == CourseKind.TUTOR_PACK
        found[enrollment.id] = RefundFacts(
            policy=RefundPolicy(enrollment.refund_policy),
            status=EnrollmentStatus(enrollment.status),
            paid=Money(amount=enrollment.share_amount, currency=currency),
            left=max(0, enrollment.share_amount - refunded[enrollment.id]),
            enrolled_at=enrollment.enrolled_at,
            course_starts_at=course.starts_at,
            lessons=known,
            lesson_count=(course.lessons_included or len(known)) if is_pack else in_all[course.id],
            refunds_in_a_year=0,
            automatic_up_to=None,
        )
    return found


async def _lessons(session: AsyncSession, ids: list[UUID]) -> dict[UUID, list[LessonFact]]:
    """What is recorded of each place, and the booked hours of packs."""
    lessons: dict[UUID, list[LessonFact]] = defaultdict(list)
    records = (
        select(col(LessonRecord.enrollment_id), col(LessonRecord.outcome), func.coalesce(col(Lesson.is_preview), False))
        .join(Lesson, col(Lesson.id) == col(LessonRecord.lesson_id), isouter=True)
        .where(col(LessonRecord.enrollment_id).in_(ids))
    )
    for enrollment_id, outcome, is_preview in (await session.execute(records)).all():
        lessons[enrollment_id].append(LessonFact(LessonOutcome(outcome), is_preview=is_preview))
    hours = (
        select(col(Enrollment.id), col(LessonSlot.ends_at))
        .join(LessonSlot, col(LessonSlot.order_line_id) == col(Enrollment.order_line_id))
        .join(Course, col(Course.id) == col(Enrollment.course_id))
        .where(
            col(Enrollment.id).in_(ids),
            col(Course.kind) == CourseKind.TUTOR_PACK,
            col(LessonSlot.status) == SlotStatus.BOOKED,
        )
    )
    for enrollment_id, ends_at in (await session.execute(hours)).all():
        lessons[enrollment_id].append(LessonFact(None, ends_at=ends_at))
    return lessons


async def _lesson_counts(session: AsyncSession, course_ids: set[UUID]) -> Counter[UUID]:
    query = (
        select(col(Lesson.course_id), func.count())
        .where(col(Lesson.course_id).in_(course_ids), col(Lesson.is_preview).is_(False))
        .group_by(col(Lesson.course_id))
    )
    return Counter({row[0]: int(row[1]) for row in (await session.execute(query)).all()})


async def _refunded(session: AsyncSession, ids: list[UUID]) -> Counter[UUID]:
    query = (
        select(col(Refund.enrollment_id), func.sum(col(Refund.amount)))
        .where(
            col(Refund.enrollment_id).in_(ids),
            (col(Refund.status) != RefundStatus.CANCELED) | col(Refund.stripe_refund_id).is_not(None),
        )
        .group_by(col(Refund.enrollment_id))
    )
    return Counter({UUID(str(row[0])): int(row[1]) for row in (await session.execute(query)).all()})
