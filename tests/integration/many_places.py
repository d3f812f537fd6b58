"""Many places written straight into the record, a few orders for all of them."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import insert, update
from sqlmodel import col

from activities.database import Sessions
from models.identifiers import new_id
from models.tables import Enrollment, Order, OrderLine, Payment, Person
from models.tables.columns import now
from models.vocabulary import EnrollmentStatus, RefundPolicy
from sandbox.sample_academy import sample_id
from tests.integration.written_orders import Sold, write_order

PRICE = 4500


_STUDENTS = ("grace", "aoife", "haruka", "layla", "xiaoming")


async def write_places(
    sessions: Sessions, count: int, code: str = "photography", *, whose: int = 0
) -> tuple[UUID, list[UUID]]:
    """One paid order with a place for each of so many students, the first a sample person; the order and its places.

    `whose` tells several orders of one course apart.
    """
    written = await write_order(sessions, [Sold(code, PRICE, student=_STUDENTS[whose])])
    course_id = sample_id("course", code)
    people = [
        {"id": new_id(), "email": f"{new_id()}@students.test", "full_name": "A student"} for _ in range(count - 1)
    ]
    lines = [
        {
            "id": new_id(), "order_id": written.order_id, "position": n, "course_id": course_id,
            "student_id": person["id"], "title": code, "list_amount": PRICE, "discount_amount": 0,
            "total_amount": PRICE,
        }
        for n, person in enumerate(people, start=10)
    ]  # fmt: skip
    places = [
        {
            "id": new_id(), "order_line_id": line["id"], "course_id": course_id, "student_id": line["student_id"],
            "status": EnrollmentStatus.ACTIVE, "refund_policy": RefundPolicy.FIRST_LESSON, "share_amount": PRICE,
            "enrolled_at": now(),
        }
        for line in lines
    ]  # fmt: skip
    total = PRICE * count
    async with sessions.begin() as session:
        for table, rows in ((Person, people), (OrderLine, lines), (Enrollment, places)):
            if rows:
                await session.execute(insert(table), rows)
        changed = {"list_amount": total, "total_amount": total}
        await session.execute(update(Order).where(col(Order.id) == written.order_id).values(**changed))
        paid = {"amount": total, "captured_amount": total}
        await session.execute(update(Payment).where(col(Payment.order_id) == written.order_id).values(**paid))
    return written.order_id, [*written.place_ids, *(UUID(str(place["id"])) for place in places)]


async def set_places(sessions: Sessions, enrollment_ids: Sequence[UUID], status: EnrollmentStatus) -> None:
    async with sessions.begin() as session:
        await session.execute(update(Enrollment).where(col(Enrollment.id).in_(enrollment_ids)).values(status=status))
