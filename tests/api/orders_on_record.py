"""Orders as they stand in the record, written by hand for tests that only read."""

from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from uuid import UUID

from activities.database import Sessions
from models.identifiers import new_id
from models.tables import Course, Document, Enrollment, LessonSlot, Order, OrderLine, Payment, Person
from models.tables.columns import now
from models.vocabulary import (
    CourseKind,
    CourseStatus,
    DocumentKind,
    EnrollmentStatus,
    OrderStatus,
    PaymentMethod,
    PaymentStatus,
    RefundPolicy,
    SlotStatus,
)


@dataclass(frozen=True)
class School:
    """Two students, a tutor, a course and a tutor's pack."""

    anna: UUID
    boris: UUID
    tutor: UUID
    course: UUID
    pack: UUID


async def write_school(sessions: Sessions) -> School:
    """Write the people and what they can buy."""
    people = [Person(email=f"{name}@example.org", full_name=name) for name in ("anna", "boris", "tutor")]
    course = Course(
        code="COURSE",
        title="Course",
        category="test",
        kind=CourseKind.COHORT,
        status=CourseStatus.PUBLISHED,
        price_amount=5000,
        currency="EUR",
        capacity=1000,
        seats_taken=3,
    )
    pack = Course(
        code="PACK",
        title="Pack",
        category="test",
        kind=CourseKind.TUTOR_PACK,
        status=CourseStatus.PUBLISHED,
        price_amount=9000,
        currency="EUR",
        tutor_id=people[2].id,
        lessons_included=2,
    )
    async with sessions.begin() as session:
        session.add_all(people)
        await session.flush()
        session.add_all([course, pack])
    return School(anna=people[0].id, boris=people[1].id, tutor=people[2].id, course=course.id, pack=pack.id)


async def write_order(
    sessions: Sessions,
    school: School,
    payer: UUID,
    number: int,
    *,
    method: PaymentMethod = PaymentMethod.CHECKOUT,
    paid: bool = False,
) -> UUID:
    """Write an order of the course and the pack, unpaid or paid."""
    moment = now() + timedelta(seconds=number)
    status = OrderStatus.COMPLETED if paid else OrderStatus.PENDING_PAYMENT
    order = Order(
        number=f"O-2026-{number:06}",
        payer_id=payer,
        status=status,
        payment_method=method,
        currency="EUR",
        list_amount=14000,
        discount_amount=0,
        total_amount=14000,
        quote={
            "currency": "EUR",
            "lines": [],
            "list_amount": 14000,
            "discount_amount": 0,
            "total_amount": 14000,
            "reasons": ["list price"],
        },
        request_digest="0" * 64,
        hold_expires_at=moment + timedelta(minutes=30),
        created_at=moment,
        completed_at=moment if paid else None,
    )
    checkout = method is PaymentMethod.CHECKOUT
    async with sessions.begin() as session:
        session.add(order)
        await session.flush()
        for position, course_id in enumerate((school.course, school.pack), start=1):
            # A student of their own per line, so that nobody takes a course twice.
            student = Person(email=f"{new_id()}@example.org", full_name="Student")
            line = OrderLine(
                order_id=order.id,
                position=position,
                course_id=course_id,
                student_id=student.id,
                title="Course" if course_id == school.course else "Pack",
                list_amount=7000,
                discount_amount=0,
                total_amount=7000,
            )
            session.add(student)
            await session.flush()
            session.add(line)
            await session.flush()
            session.add(
                Enrollment(
                    order_line_id=line.id,
                    course_id=course_id,
                    student_id=student.id,
                    status=EnrollmentStatus.ACTIVE if paid else EnrollmentStatus.PENDING_PAYMENT,
                    refund_policy=RefundPolicy.WINDOW,
                    enrolled_at=moment if paid else None,
                )
            )
            if course_id == school.pack:
                slots = [
                    LessonSlot(
                        course_id=course_id,
                        tutor_id=school.tutor,
                        starts_at=moment + timedelta(days=day, hours=number),
                        ends_at=moment + timedelta(days=day, hours=number, minutes=30),
                        status=SlotStatus.BOOKED if paid else SlotStatus.HELD,
                        order_line_id=line.id,
                        student_id=student.id,
                    )
                    for day in (2, 1)
                ]
                session.add_all(slots)
                line.slot_ids = [slot.id for slot in reversed(slots)]
        session.add(
            Payment(
                order_id=order.id,
                status=PaymentStatus.SUCCEEDED if paid else PaymentStatus.REQUIRES_PAYMENT_METHOD,
                amount=14000,
                currency="EUR",
                captured_amount=14000 if paid else 0,
                payment_intent_id=f"pi_{number}",
                checkout_session_id=f"cs_{number}" if checkout else None,
                checkout_url=f"https://checkout.test/{number}" if checkout and not paid else None,
                client_secret=f"pi_{number}_secret" if not checkout and not paid else None,
                succeeded_at=moment if paid else None,
            )
        )
        if paid:
            session.add(
                Document(
                    order_id=order.id,
                    kind=DocumentKind.RECEIPT,
                    printed={},
                    number=f"R-2026-{number:06}",
                    issued_at=moment,
                    file_key=f"receipts/{number}.pdf",
                    sha256=sha256(b"%PDF-1.4").hexdigest(),
                )
            )
    return order.id
