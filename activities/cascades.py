"""The steps of a cascade: which places end, and how far it is. Each is one transaction and asks the record once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Select, case, exists, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from temporalio import activity

from activities.audit import StateChange, write_audit
from activities.database import Sessions
from activities.slots import slot_changes
from models.messages.cascades import (
    PAGE,
    BeginCascade,
    CascadeCount,
    CascadeIds,
    CascadePage,
    CascadeWish,
    LookAtPlaces,
    MarkCascade,
)
from models.tables import Cascade, CascadePlace, Course, Enrollment, LessonSlot, Order, OrderLine, Refund
from models.tables.columns import now
from models.vocabulary import (
    CascadeKind,
    CascadeStatus,
    CourseStatus,
    EnrollmentStatus,
    OrderStatus,
    RefundStatus,
    SlotStatus,
)

# A suspended tutor may come back, and the courses with them; otherwise nobody sells them again.
_OFF_SALE = {
    CascadeKind.TUTOR_SUSPENDED: CourseStatus.DRAFT,
    CascadeKind.TUTOR_BANNED: CourseStatus.RETIRED,
    CascadeKind.COURSE_REMOVED: CourseStatus.RETIRED,
}
_TAKEN = (EnrollmentStatus.ACTIVE, EnrollmentStatus.SUSPENDED)
_PENDING = (EnrollmentStatus.PENDING_APPROVAL, EnrollmentStatus.WAITLISTED, EnrollmentStatus.PENDING_PAYMENT)
# An order that was being written while the courses went off sale is found a moment later.
_STILL_BEING_WRITTEN = timedelta(minutes=1)


@dataclass
class CascadeActivities:
    """Steps of a cascade. Each may be repeated: the second time finds the work done."""

    sessions: Sessions

    @activity.defn
    async def begin_cascade(self, step: BeginCascade) -> CascadeCount:
        """Take the courses off sale, cancel the free hours to come, and write down every place that is live."""
        wish = step.wish
        async with self.sessions.begin() as session:
            if await _write_cascade(session, step):
                changes = [StateChange("cascade", wish.cascade_id, None, CascadeStatus.RUNNING)]
                changes += await _take_off_sale(session, wish)
                changes += await cancel_free_slots(session, _slots_of(wish.tutor_id, wish.course_id))
                await _note_places(session, wish.cascade_id, wish.tutor_id, wish.course_id, now())
                await write_audit(
                    session, changes, actor=wish.actor, reason=wish.kind.value, workflow_id=step.workflow_id
                )
            return await count_places(session, wish.cascade_id)

    @activity.defn
    async def open_orders(self, step: CascadePage) -> CascadeIds:
        """The next orders with such a place that could still be paid."""
        async with self.sessions.begin() as session:
            if step.after is None:
                cascade = await session.get_one(Cascade, step.cascade_id)
                until = cascade.created_at + _STILL_BEING_WRITTEN
                await _note_places(session, cascade.id, cascade.tutor_id, cascade.course_id, until)
            query = (
                select(col(CascadePlace.order_id))
                .distinct()
                .join(Order, col(Order.id) == col(CascadePlace.order_id))
                .where(
                    col(CascadePlace.cascade_id) == step.cascade_id,
                    col(Order.status) == OrderStatus.PENDING_PAYMENT,
                    *([] if step.after is None else [col(CascadePlace.order_id) > step.after]),
                )
                .order_by(col(CascadePlace.order_id))
                .limit(PAGE)
            )
            return CascadeIds(ids=tuple((await session.execute(query)).scalars()))

    @activity.defn
    async def taken_places(self, step: CascadePage) -> CascadeIds:
        """The next places that are still somebody's."""
        query = (
            select(col(CascadePlace.enrollment_id))
            .join(Enrollment, col(Enrollment.id) == col(CascadePlace.enrollment_id))
            .where(
                col(CascadePlace.cascade_id) == step.cascade_id,
                col(Enrollment.status).in_(_TAKEN),
                *([] if step.after is None else [col(CascadePlace.enrollment_id) > step.after]),
            )
            .order_by(col(CascadePlace.enrollment_id))
            .limit(PAGE)
        )
        async with self.sessions() as session:
            return CascadeIds(ids=tuple((await session.execute(query)).scalars()))

    @activity.defn
    async def settled_places(self, step: LookAtPlaces) -> CascadeIds:
        """Those that are over, with their money sent or in a person's hands."""
        query = select(col(Enrollment.id)).where(
            col(Enrollment.id).in_(step.enrollment_ids), col(Enrollment.status).not_in(_TAKEN), ~_is_being_sent()
        )
        async with self.sessions() as session:
            return CascadeIds(ids=tuple((await session.execute(query)).scalars()))

    @activity.defn
    async def count_cascade(self, step: CascadePage) -> CascadeCount:
        """How far it is."""
        async with self.sessions() as session:
            return await count_places(session, step.cascade_id)

    @activity.defn
    async def mark_cascade(self, step: MarkCascade) -> None:
        """Write the status down. At the end the hours that became free are cancelled as well."""
        async with self.sessions.begin() as session:
            cascade = await session.get_one(Cascade, step.cascade_id, with_for_update=True)
            if cascade.status in (step.status, CascadeStatus.DONE):
                return
            changes = [StateChange("cascade", cascade.id, cascade.status, step.status)]
            cascade.status, cascade.updated_at = step.status, now()
            if step.status is CascadeStatus.DONE:
                cascade.ended_at = now()
                changes += await cancel_free_slots(session, _slots_of(cascade.tutor_id, cascade.course_id))
            await write_audit(session, changes, actor=step.actor, reason=cascade.kind, workflow_id=step.workflow_id)


def courses_of(tutor_id: UUID | None, course_id: UUID | None) -> ColumnElement[bool]:
    """The courses that are gone."""
    return col(Course.id) == course_id if tutor_id is None else col(Course.tutor_id) == tutor_id


def live_places(tutor_id: UUID | None, course_id: UUID | None) -> Select[UUID, UUID]:
    """Enrollment and order of every place in these courses that somebody has, or could still get.

    A place that was given back while a bank works on its payment comes back with the money, so it counts.
    """
    comes_back = (col(Enrollment.status) == EnrollmentStatus.CANCELED) & col(Order.hold_lapsed_at).is_not(None)
    return (
        select(col(Enrollment.id), col(Order.id))
        .join(OrderLine, col(OrderLine.id) == col(Enrollment.order_line_id))
        .join(Order, col(Order.id) == col(OrderLine.order_id))
        .join(Course, col(Course.id) == col(Enrollment.course_id))
        .where(
            courses_of(tutor_id, course_id),
            or_(
                col(Enrollment.status).in_((*_TAKEN, *_PENDING)),
                comes_back & (col(Order.status) == OrderStatus.PENDING_PAYMENT),
            ),
        )
    )


async def count_places(session: AsyncSession, cascade_id: UUID) -> CascadeCount:
    """How far a cascade is, in one statement."""
    return (await counts_of(session, [cascade_id]))[cascade_id]


async def counts_of(session: AsyncSession, cascade_ids: Sequence[UUID]) -> dict[UUID, CascadeCount]:
    """How far each of these cascades is, in one statement."""
    is_left = or_(
        col(Enrollment.status).in_(_TAKEN), col(Order.status) == OrderStatus.PENDING_PAYMENT, _is_being_sent()
    )
    needs_person = exists().where(
        col(Refund.enrollment_id) == col(Enrollment.id),
        col(Refund.status).in_((RefundStatus.FAILED, RefundStatus.REQUIRES_ACTION)),
    )
    state = case((is_left, "left"), (needs_person, "waiting"), else_="ended").label("state")
    places = (
        select(col(CascadePlace.cascade_id), state)
        .select_from(CascadePlace)
        .join(Enrollment, col(Enrollment.id) == col(CascadePlace.enrollment_id))
        .join(Order, col(Order.id) == col(CascadePlace.order_id))
        .where(col(CascadePlace.cascade_id).in_(cascade_ids))
        .subquery()
    )
    query = select(places.c.cascade_id, places.c.state, func.count()).group_by(places.c.cascade_id, places.c.state)
    counts: dict[UUID, dict[str, int]] = {cascade_id: {} for cascade_id in cascade_ids}
    for cascade_id, name, number in (await session.execute(query)).all():
        counts[cascade_id][name] = number
    return {
        cascade_id: CascadeCount(total=sum(by_state.values()), **by_state) for cascade_id, by_state in counts.items()
    }


def _is_being_sent() -> ColumnElement[bool]:
    """The refund of the place is written, and Stripe has not answered yet."""
    return exists().where(
        col(Refund.enrollment_id) == col(Enrollment.id),
        col(Refund.status) == RefundStatus.PENDING,
        col(Refund.stripe_refund_id).is_(None),
    )


async def _write_cascade(session: AsyncSession, step: BeginCascade) -> bool:
    """Whether it is new."""
    wish, moment = step.wish, now()
    row = insert(Cascade).values(
        id=wish.cascade_id,
        created_at=moment,
        updated_at=moment,
        kind=wish.kind,
        tutor_id=wish.tutor_id,
        course_id=wish.course_id,
        share=wish.share,
        status=CascadeStatus.RUNNING,
        requested_by=wish.actor,
        workflow_id=step.workflow_id,
    )
    return (await session.execute(row.on_conflict_do_nothing().returning(col(Cascade.id)))).first() is not None


async def _take_off_sale(session: AsyncSession, wish: CascadeWish) -> Sequence[StateChange]:
    status = _OFF_SALE[wish.kind]
    gone = (
        update(Course)
        .where(courses_of(wish.tutor_id, wish.course_id), col(Course.status) == CourseStatus.PUBLISHED)
        .values(status=status)
        .returning(col(Course.id))
        .execution_options(synchronize_session=False)
    )
    ids = (await session.execute(gone)).scalars()
    return [StateChange("course", course_id, CourseStatus.PUBLISHED, status) for course_id in ids]


def _slots_of(tutor_id: UUID | None, course_id: UUID | None) -> ColumnElement[bool]:
    return col(LessonSlot.course_id) == course_id if tutor_id is None else col(LessonSlot.tutor_id) == tutor_id


async def cancel_free_slots(session: AsyncSession, of_them: ColumnElement[bool]) -> list[StateChange]:
    """Nobody books these hours any more. Those that are booked become free with their place (TutorHub G21)."""
    canceled = (
        update(LessonSlot)
        .where(of_them, col(LessonSlot.status) == SlotStatus.FREE, col(LessonSlot.starts_at) > now())
        .values(status=SlotStatus.CANCELED)
        .returning(col(LessonSlot.id))
        .execution_options(synchronize_session=False)
    )
    return slot_changes((await session.execute(canceled)).scalars(), SlotStatus.FREE, SlotStatus.CANCELED)


async def _note_places(
    session: AsyncSession, cascade_id: UUID, tutor_id: UUID | None, course_id: UUID | None, until: object
) -> None:
    """Write down the places that there are, if they were taken until then."""
    live = live_places(tutor_id, course_id).where(col(Enrollment.created_at) <= until).subquery()
    places = insert(CascadePlace).from_select(
        ["cascade_id", "enrollment_id", "order_id"], select(literal(cascade_id), live)
    )
    await session.execute(places.on_conflict_do_nothing())
