"""The courses and students of a run, written into the sample academy before anybody comes."""

from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, text, update
from sqlmodel import SQLModel, col

from activities.database import Sessions
from chaos.plan import Deed, Plan
from models.tables import CertificateTemplate, Coupon, Course, CourseCertificate, Lesson, Person
from models.tables.columns import now
from models.vocabulary import CompletionRule, CouponKind, CourseKind, CourseStatus, RefundPolicy
from sandbox.sample_academy import sample_id

COUPON = "CHAOS"
LESSONS = 3
_SEATS = 12

# Names, languages and zones of the sample people in turn, so that papers and mails are set in as many scripts.
_STUDENTS = text(
    """
    INSERT INTO people (id, created_at, updated_at, email, full_name, locale, time_zone, country, may_pay_by_invoice)
    SELECT student.id, now(), now(), 'student' || student.n || '@chaos.registrar.test',
           sample.full_name, sample.locale, sample.time_zone, sample.country, true
    FROM unnest(CAST(:ids AS uuid[])) WITH ORDINALITY AS student (id, n)
    JOIN (SELECT people.*, row_number() OVER (ORDER BY email) - 1 AS place, count(*) OVER () AS places FROM people)
      AS sample ON sample.place = student.n % sample.places
    """
)


def student(number: int) -> UUID:
    """The student with this number."""
    return sample_id("person", f"chaos-{number}")


def course(name: str) -> UUID:
    """The course of this name."""
    return sample_id("course", f"chaos-{name}")


def lesson(number: int) -> UUID:
    """A lesson of the course that is learned, from 0."""
    return sample_id("lesson", f"chaos-{number}")


async def open_doors(sessions: Sessions, plan: Plan) -> None:
    """Write everybody and everything that the plan needs."""
    ids = [student(number) for number in range(plan.people)]
    rows: list[SQLModel] = [
        _course("open", 4900),
        _course("yen", 9800, currency="JPY"),
        _course("seats", 12000, capacity=_SEATS),
        _course("free", 0, refund_policy=RefundPolicy.NONE),
        _course("learned", 2500, completion_rule=CompletionRule.COMPLETE_ALL),
        *(_course(f"last-{number}", 9900, capacity=1) for number in range(plan.courses(Deed.LAST_SEAT))),
        *(_course(f"gone-{number}", 3900, capacity=5) for number in range(plan.courses(Deed.COURSE_REMOVED))),
        Coupon(
            id=sample_id("coupon", COUPON), code=COUPON, kind=CouponKind.PERCENT_AMOUNT, percent=Decimal(20),
            usage_limit=max(2, plan.people // 8), per_person_limit=1,
        ),
    ]  # fmt: skip
    async with sessions.begin() as session:
        session.add_all(rows)
        await session.flush()
        session.add_all(
            Lesson(id=lesson(number), course_id=course("learned"), position=number + 1, title=f"Lesson {number + 1}")
            for number in range(LESSONS)
        )
        template = (
            await session.execute(select(col(CertificateTemplate.id)).order_by(col(CertificateTemplate.name)).limit(1))
        ).scalar_one()
        await session.execute(
            insert(CourseCertificate).values(
                course_id=course("learned"), template_id=template, series="CHAOS", grace_days=0
            )
        )
        await session.execute(_STUDENTS, {"ids": ids})
        await session.execute(
            update(Person).where(col(Person.id).in_(ids)).values(legal_name="A Learner", legal_name_confirmed_at=now())
        )


def _course(name: str, price: int, *, capacity: int | None = None, **more: Any) -> Course:
    return Course(
        id=course(name), code=f"chaos-{name}", title=f"Chaos: {name}", category="Chaos",
        kind=CourseKind.SELF_PACED if capacity is None else CourseKind.COHORT, status=CourseStatus.PUBLISHED,
        price_amount=price, capacity=capacity, **({"currency": "EUR"} | more),
    )  # fmt: skip
