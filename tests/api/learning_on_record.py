"""Somebody who learns, as it stands in the record, and a Temporal that answers what is told to their job."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from activities.database import Sessions
from models.messages.learning import (
    ChangeEnrollment,
    CourseChangeBegun,
    EnrollmentChanged,
    LessonRecorded,
    RecordLesson,
)
from models.tables import (
    ClassSession,
    Course,
    Enrollment,
    Lesson,
    LessonRelease,
    Order,
    OrderLine,
    Person,
)
from models.tables.columns import now
from models.vocabulary import (
    CourseKind,
    CourseStatus,
    DripKind,
    EnrollmentStatus,
    LessonStatus,
    OrderStatus,
    PaymentMethod,
    RefundPolicy,
)
from tests.api.carts_on_record import write_academy
from tests.api.recording_temporal import RecordingTemporal

AFTER_THE_FIRST = {"kind": "after_registration", "amount": 3, "unit": "days"}


@dataclass(frozen=True)
class Learners:
    """A tutor's course with two lessons, of which the second is graded and still closed, and two who learn in it."""

    anna: UUID
    boris: UUID
    tutor: UUID
    course: UUID
    first: UUID
    graded: UUID
    meeting: UUID
    annas: UUID
    boriss: UUID


async def write_learners(sessions: Sessions, *, policy: RefundPolicy = RefundPolicy.WINDOW) -> Learners:
    """Write them, enrolled three days ago. The first lesson is open for both."""
    await write_academy(sessions)
    people = [
        Person(email=f"{name}@example.org", full_name=name, time_zone="Europe/Warsaw")
        for name in ("anna", "boris", "tutor")
    ]
    enrolled_at = now() - timedelta(days=2)
    async with sessions.begin() as session:
        session.add_all(people)
        await session.flush()
        course = Course(
            code="COURSE",
            title="Course",
            category="test",
            kind=CourseKind.COHORT,
            status=CourseStatus.PUBLISHED,
            price_amount=5000,
            currency="EUR",
            tutor_id=people[2].id,
        )
        session.add(course)
        await session.flush()
        lessons = [
            Lesson(course_id=course.id, position=1, title="First"),
            Lesson(
                course_id=course.id,
                position=2,
                title="Graded",
                drip_rule=AFTER_THE_FIRST,
                max_attempts=3,
                total_marks=Decimal(10),
                passing_marks=Decimal(6),
            ),
        ]
        meeting = ClassSession(
            course_id=course.id,
            title="Meeting",
            starts_at=now() - timedelta(hours=2),
            ends_at=now() - timedelta(hours=1),
        )
        session.add_all([*lessons, meeting])
        await session.flush()
        places = [_place(number, person, course, enrolled_at, policy) for number, person in enumerate(people[:2], 1)]
        for order, line, enrollment in places:
            for row in (order, line, enrollment):
                session.add(row)
                await session.flush()
            session.add(
                LessonRelease(
                    enrollment_id=enrollment.id,
                    lesson_id=lessons[0].id,
                    opened_at=enrolled_at,
                    reason=DripKind.IMMEDIATELY,
                    actor="system",
                )
            )
    return Learners(
        anna=people[0].id,
        boris=people[1].id,
        tutor=people[2].id,
        course=course.id,
        first=lessons[0].id,
        graded=lessons[1].id,
        meeting=meeting.id,
        annas=places[0][2].id,
        boriss=places[1][2].id,
    )


def _place(
    number: int, person: Person, course: Course, enrolled_at: datetime, policy: RefundPolicy
) -> tuple[Order, OrderLine, Enrollment]:
    order = Order(
        number=f"O-2026-{number:06}",
        payer_id=person.id,
        status=OrderStatus.COMPLETED,
        payment_method=PaymentMethod.CHECKOUT,
        currency="EUR",
        list_amount=5000,
        discount_amount=0,
        total_amount=5000,
        quote={"currency": "EUR", "lines": [], "list_amount": 5000, "discount_amount": 0, "total_amount": 5000,
               "reasons": []},
        request_digest="0" * 64,
        hold_expires_at=enrolled_at,
        completed_at=enrolled_at,
    )  # fmt: skip
    line = OrderLine(
        order_id=order.id,
        position=1,
        course_id=course.id,
        student_id=person.id,
        title="Course",
        list_amount=5000,
        discount_amount=0,
        total_amount=5000,
    )
    enrollment = Enrollment(
        order_line_id=line.id,
        course_id=course.id,
        student_id=person.id,
        status=EnrollmentStatus.ACTIVE,
        refund_policy=policy,
        enrolled_at=enrolled_at,
    )
    return order, line, enrollment


@dataclass
class LearningTemporal(RecordingTemporal):
    """Answers updates as a worker would: `work` is what its steps write. It fails first with each of `failures`."""

    work: Callable[[Any], Awaitable[object]] | None = None
    failures: list[Exception] = field(default_factory=list)

    async def execute_update_with_start_workflow(
        self, update: Any, argument: Any = None, *, start_workflow_operation: Any, **_options: object
    ) -> object:
        """Record the update as (workflow id, update, argument), and have it done."""
        start = start_workflow_operation._start_workflow_input
        start_workflow_operation._workflow_handle.cancel()
        told = start.args[0] if argument is None else argument
        self.started.append((start.id, start.args[0]))
        self.updates.append((start.id, update.__name__ if hasattr(update, "__name__") else "update", told))
        if self.failures:
            raise self.failures.pop(0)
        return await (self.work or agree)(told)


async def agree(told: object) -> object:
    """Says yes to everything, and writes nothing."""
    if isinstance(told, RecordLesson):
        return LessonRecorded(
            enrollment_id=told.enrollment_id,
            lesson_id=told.lesson_id,
            status=None if told.outcome or told.attendance else LessonStatus.COMPLETED,
            outcome=told.outcome,
            attendance=told.attendance,
            attempts=int(told.is_finished),
            recorded_by=told.actor,
            recorded_at=now(),
        )
    if isinstance(told, ChangeEnrollment):
        return EnrollmentChanged(
            enrollment_id=told.enrollment_id, status=EnrollmentStatus.ACTIVE, paused_until=told.until
        )
    return CourseChangeBegun(change_id=told.change_id)  # type: ignore[attr-defined]
