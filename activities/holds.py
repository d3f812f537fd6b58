"""The places of an order: held together, given back together, taken again, ended, whatever the number of lines.

Every transaction locks its order, people, carts, courses, slots, enrollments, coupon and number series in this order,
and rows of a kind in the order of their ids, so that two orders never deadlock.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Integer,
    Select,
    TableValuedAlias,
    Uuid,
    bindparam,
    case,
    column,
    func,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.audit import StateChange
from activities.slots import WantedSlots, free_slots, hold_slots, lock_calendars, slot_changes
from models.errors import Reason
from models.tables import Course, Enrollment, LessonSlot, OrderLine
from models.tables.columns import now
from models.vocabulary import EnrollmentStatus, SlotStatus
from rules.decision import Refused

_WAITING = (EnrollmentStatus.PENDING_APPROVAL, EnrollmentStatus.PENDING_PAYMENT)
# A place that is completed holds no seat any more.
SEATED = (*_WAITING, EnrollmentStatus.ACTIVE, EnrollmentStatus.SUSPENDED)
_LIVE = (*SEATED, EnrollmentStatus.WAITLISTED)


@dataclass(frozen=True)
class _LapsedPlace:
    """A place that was given back while its payment was on its way."""

    enrollment_id: UUID
    course_id: UUID
    wanted: WantedSlots


async def hold_seats(session: AsyncSession, wanted: Sequence[UUID], limited: frozenset[UUID]) -> Refused | None:
    """Take a seat per wanted place in the courses that have a capacity, or refuse and take none."""
    counts = Counter(course_id for course_id in wanted if course_id in limited)
    if not counts:
        return None
    places = _places(counts)
    taken = (
        update(Course)
        .where(col(Course.id).in_(_limited(counts)), col(Course.id) == places.c.course_id)
        .where(col(Course.seats_taken) + places.c.seats <= col(Course.capacity))
        .values(seats_taken=col(Course.seats_taken) + places.c.seats)
        .returning(col(Course.id))
        .execution_options(synchronize_session=False)
    )
    got = set((await session.execute(taken)).scalars())
    missing = sorted(str(course_id) for course_id in counts if course_id not in got)
    return Refused(Reason.COURSE_FULL, f"No seat is left in course {missing[0]}.") if missing else None


async def book_slots(session: AsyncSession, order_id: UUID) -> list[StateChange]:
    """The order is paid: its held slots are booked."""
    booked = (
        update(LessonSlot)
        .where(col(LessonSlot.order_line_id).in_(_lines_of(order_id)), col(LessonSlot.status) == SlotStatus.HELD)
        .values(status=SlotStatus.BOOKED)
        .returning(col(LessonSlot.id))
    )
    return slot_changes((await session.execute(booked)).scalars(), SlotStatus.HELD, SlotStatus.BOOKED)


async def release_places(session: AsyncSession, order_id: UUID) -> list[StateChange]:
    """Cancel the order's waiting enrollments and give back their seats and held slots. The coupon stays reserved."""
    lines = _lines_of(order_id)
    waiting = col(Enrollment.order_line_id).in_(lines) & col(Enrollment.status).in_(_WAITING)
    changes = await _end(session, waiting, EnrollmentStatus.CANCELED)
    held = col(LessonSlot.order_line_id).in_(lines) & (col(LessonSlot.status) == SlotStatus.HELD)
    return changes + await free_slots(session, held)


async def end_places(session: AsyncSession, enrollment_ids: Collection[UUID]) -> list[StateChange]:
    """Cancel the enrollments, whether or not their access is over; give back the seats that they still hold, and the
    lessons that are still to come.

    Lessons that have begun stay as they are. Wants the order locked.
    """
    if not enrollment_ids:
        return []
    lines = select(col(Enrollment.order_line_id)).where(col(Enrollment.id).in_(enrollment_ids))
    open_ = (*SEATED, EnrollmentStatus.COMPLETED, EnrollmentStatus.EXPIRED)
    running = col(Enrollment.id).in_(enrollment_ids) & col(Enrollment.status).in_(open_)
    changes = await _end(session, running, EnrollmentStatus.CANCELED)
    to_come = (
        col(LessonSlot.order_line_id).in_(lines)
        & col(LessonSlot.status).in_((SlotStatus.HELD, SlotStatus.BOOKED))
        & (col(LessonSlot.starts_at) > now())
    )
    return changes + await free_slots(session, to_come)


async def seat_again(session: AsyncSession, course_ids: Sequence[UUID]) -> None:
    """Take a seat in each of the courses that has a limit, one that this transaction has just given back."""
    limited = await _lock_limited(session, course_ids)
    await _add_seats(session, Counter(course_id for course_id in course_ids if course_id in limited))


async def give_back_seat(session: AsyncSession, course: Course) -> None:
    """One place of a course that is locked, if it has a limit, needs its seat no more."""
    if course.capacity is not None:
        await _add_seats(session, Counter([course.id]), sign=-1)


async def expire_places(
    session: AsyncSession, enrollment_ids: Collection[UUID], course_ids: Collection[UUID]
) -> list[StateChange]:
    """Close the active enrollments whose access has ended and give back their seats, so that they can be had anew.

    `course_ids` are all the courses that seats will be taken in, so that their locks are taken together.
    """
    await _lock_limited(session, course_ids)
    over = (
        col(Enrollment.id).in_(enrollment_ids)
        & (col(Enrollment.status) == EnrollmentStatus.ACTIVE)
        & (col(Enrollment.access_ends_at) <= now())
    )
    return await _end(session, over, EnrollmentStatus.EXPIRED)


async def retake_places(session: AsyncSession, order_id: UUID) -> tuple[list[StateChange], list[UUID]]:
    """Take again what was given back while the payment was on its way; each place succeeds or fails on its own.

    Answers the changes, and the enrollments whose place is gone: the course is full, not all of their slots can be had,
    or the student has got into the course by another order. Somebody who does so at this very moment breaks the unique
    index of live enrollments (`IntegrityError`); the step is then repeated and finds the place gone. Wants the order
    locked.
    """
    lapsed = await _lapsed_places(session, order_id)
    if not lapsed:
        return [], []
    if any(place.wanted.slot_ids for place in lapsed):
        await lock_calendars(session, [place.wanted for place in lapsed])
    open_seats = await _lock_limited(session, {place.course_id for place in lapsed})
    elsewhere = await _in_by_another_order(session, lapsed)
    seated = [
        place for place in lapsed if place.enrollment_id not in elsewhere and _take_one(open_seats, place.course_id)
    ]
    wanted = [place.wanted for place in seated if place.wanted.slot_ids]
    slotless = await hold_slots(session, wanted) if wanted else {}
    kept = [place for place in seated if place.wanted.line_id not in slotless]
    await _add_seats(session, Counter(place.course_id for place in kept if place.course_id in open_seats))
    ids = {place.enrollment_id for place in kept}
    await session.execute(
        update(Enrollment)
        .where(col(Enrollment.id).in_(ids))
        .values(status=EnrollmentStatus.PENDING_PAYMENT, updated_at=now())
    )
    held = [slot_id for place in kept for slot_id in place.wanted.slot_ids]
    changes = [
        StateChange("enrollment", row, EnrollmentStatus.CANCELED, EnrollmentStatus.PENDING_PAYMENT)
        for row in sorted(ids)
    ]
    changes += slot_changes(held, SlotStatus.FREE, SlotStatus.HELD)
    return changes, [place.enrollment_id for place in lapsed if place.enrollment_id not in ids]


async def _lapsed_places(session: AsyncSession, order_id: UUID) -> list[_LapsedPlace]:
    query = (
        select(
            col(Enrollment.id),
            col(Enrollment.course_id),
            col(Enrollment.student_id),
            col(OrderLine.id),
            col(OrderLine.slot_ids),
        )
        .join(OrderLine, col(OrderLine.id) == col(Enrollment.order_line_id))
        .where(
            col(OrderLine.order_id) == order_id,
            col(Enrollment.status) == EnrollmentStatus.CANCELED,
            col(Enrollment.enrolled_at).is_(None),
        )
        .order_by(col(OrderLine.position), col(Enrollment.id))
    )
    return [
        _LapsedPlace(row_id, course_id, WantedSlots(line_id, course_id, student_id, tuple(slot_ids)))
        for row_id, course_id, student_id, line_id, slot_ids in (await session.execute(query)).all()
    ]


async def _in_by_another_order(session: AsyncSession, lapsed: Sequence[_LapsedPlace]) -> set[UUID]:
    """Those of the places that the student has got meanwhile by another order."""
    query = select(col(Enrollment.course_id), col(Enrollment.student_id)).where(
        col(Enrollment.course_id).in_({place.course_id for place in lapsed}),
        col(Enrollment.student_id).in_({place.wanted.student_id for place in lapsed}),
        col(Enrollment.status).in_(_LIVE),
    )
    live = {(course_id, student_id) for course_id, student_id in (await session.execute(query)).all()}
    return {place.enrollment_id for place in lapsed if (place.course_id, place.wanted.student_id) in live}


def _take_one(open_seats: dict[UUID, int], course_id: UUID) -> bool:
    """Whether the course still has a seat, which is then counted as taken. A course without a limit always has."""
    left = open_seats.get(course_id)
    if left is not None and left > 0:
        open_seats[course_id] = left - 1
    return left is None or left > 0


async def _end(session: AsyncSession, which: ColumnElement[bool], to_state: EnrollmentStatus) -> list[StateChange]:
    """End the enrollments and give back their seats. Jobs that follow them look at them at once."""
    moment = now()
    wakes_at = case((col(Enrollment.planned_at).is_not(None), moment))
    limited = await _lock_limited(session, select(col(Enrollment.course_id)).where(which))
    ending = (
        select(col(Enrollment.id), col(Enrollment.status), col(Enrollment.course_id))
        .where(which)
        .order_by(col(Enrollment.id))
        .with_for_update(key_share=True)
        .subquery("ending")
    )
    ended = (
        update(Enrollment)
        .where(col(Enrollment.id) == ending.c.id)
        .values(status=to_state, updated_at=moment, wakes_at=wakes_at)
        .returning(ending.c.id, ending.c.status, ending.c.course_id)
        .execution_options(synchronize_session=False)
    )
    rows = (await session.execute(ended)).all()
    given_back = [course_id for _, status, course_id in rows if course_id in limited and status in SEATED]
    await _add_seats(session, Counter(given_back), sign=-1)
    return [StateChange("enrollment", row_id, from_state, to_state) for row_id, from_state, _ in rows]


async def _lock_limited(session: AsyncSession, course_ids: Collection[UUID] | Select[UUID]) -> dict[UUID, int]:
    """The seats left in those of the courses that have a limit; nobody else changes them until the transaction ends."""
    limited = select(col(Course.id), col(Course.capacity), col(Course.seats_taken)).where(
        col(Course.id).in_(course_ids), col(Course.capacity).is_not(None)
    )
    locked = limited.order_by(col(Course.id)).with_for_update(key_share=True)
    rows = (await session.execute(locked)).all()
    return {course_id: capacity - taken for course_id, capacity, taken in rows if capacity is not None}


async def _add_seats(session: AsyncSession, counts: Counter[UUID], *, sign: int = 1) -> None:
    """Count seats of locked courses as taken, or with `sign=-1` as free again."""
    if not counts:
        return
    places = _places(counts)
    await session.execute(
        update(Course)
        .where(col(Course.id) == places.c.course_id)
        .values(seats_taken=col(Course.seats_taken) + sign * places.c.seats)
        .execution_options(synchronize_session=False)
    )


def _places(counts: Counter[UUID]) -> TableValuedAlias:
    """The counts as a table of (course_id, seats)."""
    ids = bindparam("course_ids", list(counts), type_=ARRAY(Uuid))
    seats = bindparam("seats", list(counts.values()), type_=ARRAY(Integer))
    return func.unnest(ids, seats).table_valued(column("course_id", Uuid), column("seats", Integer)).render_derived()


def _limited(counts: Counter[UUID]) -> Select[UUID]:
    """The limited ones among the courses, locked in the order of their ids."""
    limited = select(col(Course.id)).where(col(Course.id).in_(counts), col(Course.capacity).is_not(None))
    return limited.order_by(col(Course.id)).with_for_update(key_share=True)


def _lines_of(order_id: UUID) -> Select[UUID]:
    return select(col(OrderLine.id)).where(col(OrderLine.order_id) == order_id)
