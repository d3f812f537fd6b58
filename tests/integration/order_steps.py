"""Orders of the sample academy as steps to place, complete and release, and what is counted afterwards."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import event, func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import aliased
from sqlmodel import SQLModel, col

from activities.database import Sessions
from activities.orders import OrderActivities
from models.errors import Reason
from models.identifiers import order_workflow_id
from models.messages.orders import (
    CompleteOrder,
    OrderLineRequest,
    OrderRequest,
    PaymentFacts,
    PlacedOrder,
    PlaceOrder,
    ReleaseOrder,
)
from models.money import Money
from models.tables import Coupon, Course, Enrollment, LessonSlot, NumberSeries, OrderLine, Person
from models.vocabulary import EnrollmentStatus, OrderStatus, PaymentMethod, PaymentStatus, SlotStatus
from sandbox.sample_academy import sample_id

LUKASZ = sample_id("person", "lukasz")
STUDENTS = [sample_id("person", key) for key in ("lukasz", "layla", "xiaoming", "aoife", "grace", "haruka")]

_SEATED = (
    EnrollmentStatus.PENDING_APPROVAL,
    EnrollmentStatus.PENDING_PAYMENT,
    EnrollmentStatus.ACTIVE,
    EnrollmentStatus.SUSPENDED,
)


def person(key: str) -> UUID:
    return sample_id("person", key)


def course(code: str) -> UUID:
    return sample_id("course", code)


def line(code: str, student: UUID = LUKASZ, *slots: UUID) -> OrderLineRequest:
    return OrderLineRequest(course_id=course(code), student_id=student, slot_ids=slots)


def placing(
    *lines: OrderLineRequest,
    payer: UUID = LUKASZ,
    coupon: str | None = None,
    method: PaymentMethod = PaymentMethod.CHECKOUT,
    by: str | None = None,
    is_test: bool = False,
) -> PlaceOrder:
    """A new order of these lines; unless said otherwise the payer asks for it."""
    request = OrderRequest(
        order_id=uuid4(), payer_id=payer, lines=lines, coupon_code=coupon, payment_method=method,
        requested_by=by or f"student:{payer}", digest="a" * 64, is_test=is_test,
    )  # fmt: skip
    return PlaceOrder(request=request, workflow_id=order_workflow_id(request.order_id))


async def newcomers(sessions: Sessions, count: int) -> list[UUID]:
    """People nobody has seen before."""
    people = [Person(email=f"{uuid4().hex}@newcomers.test", full_name="A Newcomer") for _ in range(count)]
    async with sessions.begin() as session:
        session.add_all(people)
    return [person.id for person in people]


def completing(step: PlaceOrder, placed: PlacedOrder) -> CompleteOrder:
    assert placed.total is not None
    paid = PaymentFacts(
        status=PaymentStatus.SUCCEEDED,
        captured=placed.total,
        payment_intent_id=f"pi_{step.request.order_id.hex}",
        charge_id=f"ch_{step.request.order_id.hex}",
    )
    return CompleteOrder(
        order_id=step.request.order_id, payment=paid if placed.total.amount else None, workflow_id=step.workflow_id
    )


def releasing(step: PlaceOrder, *, has_payment: bool = True) -> ReleaseOrder:
    nothing = PaymentFacts(status=PaymentStatus.CANCELED, captured=Money(amount=0, currency="EUR"))
    return ReleaseOrder(
        order_id=step.request.order_id, status=OrderStatus.CANCELLED, reason="hold_expired", actor="system",
        payment=nothing if has_payment else None, workflow_id=step.workflow_id,
    )  # fmt: skip


@contextmanager
def statements_of(engine: AsyncEngine) -> Iterator[list[str]]:
    """The statements that are sent meanwhile."""
    sent: list[str] = []

    def listen(*args: object) -> None:
        sent.append(str(args[2]))

    event.listen(engine.sync_engine, "before_cursor_execute", listen)
    try:
        yield sent
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", listen)


async def rows_written(engine: AsyncEngine) -> dict[str, int]:
    """How many rows each table has."""
    async with engine.connect() as connection:
        return {
            table.name: (await connection.execute(select(func.count()).select_from(table))).scalar_one()
            for table in SQLModel.metadata.sorted_tables
        }


async def seats_add_up(sessions: Sessions) -> None:
    """The counter of every limited course is the number of places that are held or taken in it."""
    counted = (
        select(func.count())
        .where(col(Enrollment.course_id) == col(Course.id), col(Enrollment.status).in_(_SEATED))
        .scalar_subquery()
    )
    async with sessions() as session:
        for taken, real in await session.execute(
            select(col(Course.seats_taken), counted).where(col(Course.capacity).is_not(None))
        ):
            assert taken == real


async def set_course(sessions: Sessions, code: str, **values: object) -> None:
    """Change a course as told."""
    async with sessions.begin() as session:
        await session.execute(update(Course).where(col(Course.id) == course(code)).values(**values))


async def refuses(orders: OrderActivities, engine: AsyncEngine, step: PlaceOrder, reason: Reason) -> None:
    """The step is refused for this reason; no row is written, no seat, slot or use of a coupon is taken."""
    before = await _everything(engine)
    assert (await orders.place_order(step)).refusal is reason
    assert await _everything(engine) == before


async def _everything(engine: AsyncEngine) -> dict[str, object]:
    async with engine.connect() as connection:
        kept = [
            (await connection.execute(query)).all()
            for query in (
                select(col(Course.id), col(Course.seats_taken)).order_by(col(Course.id)),
                select(LessonSlot).order_by(col(LessonSlot.id)),
                select(col(Coupon.id), col(Coupon.uses)).order_by(col(Coupon.id)),
                select(NumberSeries).order_by(col(NumberSeries.name)),
            )
        ]
    return {**await rows_written(engine), "kept": kept}


async def slots_of(sessions: Sessions, code: str) -> list[LessonSlot]:
    """The slots of a pack by time."""
    query = select(LessonSlot).where(col(LessonSlot.course_id) == course(code)).order_by(col(LessonSlot.starts_at))
    async with sessions() as session:
        return list((await session.execute(query)).scalars())


async def add_slots(sessions: Sessions, code: str, *starts: datetime, minutes: int = 45) -> list[UUID]:
    """More slots of a pack, free ones of its tutor. Answers their ids in the same order."""
    async with sessions.begin() as session:
        pack = await session.get_one(Course, course(code))
        slots = [
            LessonSlot(course_id=pack.id, tutor_id=pack.tutor_id, starts_at=at, ends_at=at + timedelta(minutes=minutes))
            for at in starts
        ]
        session.add_all(slots)
    return [slot.id for slot in slots]


async def enroll(
    sessions: Sessions,
    orders: OrderActivities,
    code: str,
    student: UUID = LUKASZ,
    *,
    slots: Sequence[UUID] = (),
    **changes: object,
) -> PlaceOrder:
    """Have a student buy a course and finish; afterwards the enrollment is changed as told."""
    step = placing(line(code, student, *slots), payer=student)
    placed = await orders.place_order(step)
    assert placed.refusal is None, placed.refusal_detail
    await orders.complete_order(completing(step, placed))
    if changes:
        async with sessions.begin() as session:
            of_order = select(col(OrderLine.id)).where(col(OrderLine.order_id) == step.request.order_id)
            await session.execute(
                update(Enrollment).where(col(Enrollment.order_line_id).in_(of_order)).values(**changes)
            )
    return step


async def enrollments_of(sessions: Sessions, step: PlaceOrder) -> list[Enrollment]:
    """What the order brought, by line and then in no order."""
    query = (
        select(Enrollment)
        .join(OrderLine, col(OrderLine.id) == col(Enrollment.order_line_id))
        .where(col(OrderLine.order_id) == step.request.order_id)
        .order_by(col(OrderLine.position))
    )
    async with sessions() as session:
        return list((await session.execute(query)).scalars())


async def nobody_is_in_two_lessons(sessions: Sessions) -> None:
    """No tutor and no student has two taken slots that overlap."""
    one, other = aliased(LessonSlot), aliased(LessonSlot)
    taken = (SlotStatus.HELD, SlotStatus.BOOKED, SlotStatus.COMPLETED)
    clashes = (
        select(col(one.id), col(other.id))
        .join(other, (col(one.tutor_id) == col(other.tutor_id)) | (col(one.student_id) == col(other.student_id)))
        .where(col(one.id) < col(other.id), col(one.status).in_(taken), col(other.status).in_(taken))
        .where(col(one.starts_at) < col(other.ends_at), col(one.ends_at) > col(other.starts_at))
    )
    async with sessions() as session:
        assert (await session.execute(clashes)).all() == []


async def placed(orders: OrderActivities, step: PlaceOrder) -> PlacedOrder:
    """The step's answer, which is not a refusal."""
    answer = await orders.place_order(step)
    assert answer.refusal is None, answer.refusal_detail
    return answer


async def all_slots(sessions: Sessions) -> Sequence[LessonSlot]:
    """Every slot of the academy."""
    async with sessions() as session:
        return (await session.execute(select(LessonSlot).order_by(col(LessonSlot.id)))).scalars().all()


async def states_of(sessions: Sessions, slot_ids: Sequence[UUID]) -> list[str]:
    """The states of these slots, in this order."""
    by_id = {slot.id: slot for slot in await all_slots(sessions)}
    return [by_id[slot_id].status for slot_id in slot_ids]


def by_weekday(slots: Sequence[LessonSlot], weekday: int, count: int) -> list[UUID]:
    """The first slots on this weekday (Monday is 0), one a day."""
    days = {slot.starts_at.date(): slot.id for slot in reversed(slots) if slot.starts_at.weekday() == weekday}
    return [days[day] for day in sorted(days)][:count]
