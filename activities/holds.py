"""Seats, slots and coupons of an order: held together, given back together, whatever the number of lines.

Every statement touches rows in the order courses, slots, coupon, number series, so that two orders never deadlock.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from uuid import UUID

from sqlalchemy import ARRAY, Integer, Select, TableValuedAlias, Update, Uuid, bindparam, column, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.audit import StateChange
from models.errors import Reason
from models.tables import Coupon, Course, Enrollment, LessonSlot, OrderLine
from models.tables.columns import now
from models.vocabulary import EnrollmentStatus, SlotStatus
from rules.decision import Refused


async def hold_seats(session: AsyncSession, wanted: Sequence[UUID], limited: frozenset[UUID]) -> Refused | None:
    """Take a seat per wanted place in the courses that have a capacity, or refuse and take none."""
    counts = Counter(course_id for course_id in wanted if course_id in limited)
    if not counts:
        return None
    places = _places(counts)
    taken = (
        update(Course)
        .where(col(Course.id).in_(_locked(counts)), col(Course.id) == places.c.course_id)
        .where(col(Course.seats_taken) + places.c.seats <= col(Course.capacity))
        .values(seats_taken=col(Course.seats_taken) + places.c.seats)
        .returning(col(Course.id))
    )
    got = set((await session.execute(taken)).scalars())
    missing = sorted(str(course_id) for course_id in counts if course_id not in got)
    return Refused(Reason.COURSE_FULL, f"No seat is left in course {missing[0]}.") if missing else None


async def hold_slots(
    session: AsyncSession, line_id: UUID, course_id: UUID, student_id: UUID, slot_ids: Sequence[UUID]
) -> Refused | None:
    """Hold all the slots of a line, or refuse if one is taken or not of this course (TutorHub R3, R4)."""
    if not slot_ids:
        return None
    free = (
        select(col(LessonSlot.id))
        .where(
            col(LessonSlot.id).in_(slot_ids),
            col(LessonSlot.course_id) == course_id,
            col(LessonSlot.status) == SlotStatus.FREE,
            col(LessonSlot.starts_at) > now(),
        )
        .order_by(col(LessonSlot.id))
        .with_for_update()
    )
    held = (
        update(LessonSlot)
        .where(col(LessonSlot.id).in_(free))
        .values(status=SlotStatus.HELD, order_line_id=line_id, student_id=student_id)
        .returning(col(LessonSlot.id))
    )
    result = await session.execute(held)
    if len(result.all()) < len(set(slot_ids)):
        return Refused(Reason.SLOTS_UNAVAILABLE, f"Not every chosen slot of course {course_id} is free.")
    return None


async def reserve_coupon(session: AsyncSession, coupon_id: UUID | None) -> Refused | None:
    """Count one use of the coupon, or refuse if somebody else took the last one."""
    if coupon_id is None:
        return None
    reserved = (
        update(Coupon)
        .where(col(Coupon.id) == coupon_id)
        .where(col(Coupon.usage_limit).is_(None) | (col(Coupon.uses) < col(Coupon.usage_limit)))
        .values(uses=col(Coupon.uses) + 1)
        .returning(col(Coupon.id))
    )
    if (await session.execute(reserved)).first() is None:
        return Refused(Reason.COUPON_USED_UP, "The coupon has been used as often as it may be.")
    return None


async def book_slots(session: AsyncSession, order_id: UUID) -> list[StateChange]:
    """The order is paid: its held slots are booked."""
    booked = _held_slots(order_id).values(status=SlotStatus.BOOKED).returning(col(LessonSlot.id))
    return _slots_go((await session.execute(booked)).scalars(), SlotStatus.HELD, SlotStatus.BOOKED)


async def release_holds(session: AsyncSession, order_id: UUID, coupon_id: UUID | None) -> list[StateChange]:
    """Cancel the order's waiting enrollments and give back seats, slots and coupon."""
    canceled = (
        update(Enrollment)
        .where(
            col(Enrollment.order_line_id).in_(_lines_of(order_id)),
            col(Enrollment.status) == EnrollmentStatus.PENDING_PAYMENT,
        )
        .values(status=EnrollmentStatus.CANCELED, updated_at=now())
        .returning(col(Enrollment.id), col(Enrollment.course_id))
    )
    freed = (await session.execute(canceled)).all()
    counts = Counter(course_id for _, course_id in freed)
    places = _places(counts)
    await session.execute(
        update(Course)
        .where(col(Course.id).in_(_locked(counts)), col(Course.id) == places.c.course_id)
        .values(seats_taken=col(Course.seats_taken) - places.c.seats)
    )
    nobodys = {"status": SlotStatus.FREE, "order_line_id": None, "student_id": None}
    free_again = _held_slots(order_id).values(nobodys).returning(col(LessonSlot.id))
    slots = (await session.execute(free_again)).scalars()
    if coupon_id is not None:
        await session.execute(update(Coupon).where(col(Coupon.id) == coupon_id).values(uses=col(Coupon.uses) - 1))
    return [
        *(
            StateChange("enrollment", row, EnrollmentStatus.PENDING_PAYMENT, EnrollmentStatus.CANCELED)
            for row, _ in freed
        ),
        *_slots_go(slots, SlotStatus.HELD, SlotStatus.FREE),
    ]


def _slots_go(slot_ids: Iterable[UUID], from_state: SlotStatus, to_state: SlotStatus) -> list[StateChange]:
    return [StateChange("lesson_slot", slot_id, from_state, to_state) for slot_id in slot_ids]


def _places(counts: Counter[UUID]) -> TableValuedAlias:
    """The counts as a table of (course_id, seats)."""
    ids = bindparam("course_ids", list(counts), type_=ARRAY(Uuid))
    seats = bindparam("seats", list(counts.values()), type_=ARRAY(Integer))
    return func.unnest(ids, seats).table_valued(column("course_id", Uuid), column("seats", Integer)).render_derived()


def _locked(counts: Counter[UUID]) -> Select[UUID]:
    """The limited ones among the courses, locked in the order of their ids."""
    limited = select(col(Course.id)).where(col(Course.id).in_(counts), col(Course.capacity).is_not(None))
    return limited.order_by(col(Course.id)).with_for_update()


def _held_slots(order_id: UUID) -> Update:
    return update(LessonSlot).where(
        col(LessonSlot.order_line_id).in_(_lines_of(order_id)), col(LessonSlot.status) == SlotStatus.HELD
    )


def _lines_of(order_id: UUID) -> Select[UUID]:
    return select(col(OrderLine.id)).where(col(OrderLine.order_id) == order_id)
