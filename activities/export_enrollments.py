"""The export of enrollments and how far they are: the course detail report of Academy of Mine, in our words."""

from functools import reduce
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, FromClause, case, func, literal, select, true
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.elements import SQLCoreOperations
from sqlmodel import col

from activities.export_columns import Column, ColumnType, Listing, listing, money
from activities.export_custom_fields import custom_fields
from activities.export_filters import among, but_tests, within
from activities.export_progress import progress
from models.messages.exports import ExportFilters
from models.tables import Certificate, Course, Enrollment, Order, OrderLine, Person
from models.vocabulary import CertificateStatus, EnrollmentStatus, ExportReport

_NOT_YET = (EnrollmentStatus.PENDING_APPROVAL, EnrollmentStatus.WAITLISTED, EnrollmentStatus.PENDING_PAYMENT)
_COUNTED = (CertificateStatus.ISSUED, CertificateStatus.EXPIRED)


async def enrollments(session: AsyncSession, filters: ExportFilters, zone: ZoneInfo) -> Listing:
    """A row for each enrollment."""
    learned, certified = progress(), _certified()
    begun_at = func.coalesce(col(Enrollment.enrolled_at), col(Enrollment.created_at))
    extra = await custom_fields(session, ExportReport.ENROLLMENTS, col(Enrollment.student_id))
    source: FromClause = (
        Enrollment.__table__.join(Course, col(Course.id) == col(Enrollment.course_id))  # type: ignore[attr-defined]
        .join(Person, col(Person.id) == col(Enrollment.student_id))
        .join(OrderLine, col(OrderLine.id) == col(Enrollment.order_line_id))
        .join(Order, col(Order.id) == col(OrderLine.order_id))
    )
    return listing(
        "Enrollments and progress",
        (
            (Column("student", "Student"), col(Person.full_name)),
            (Column("email", "E-mail"), col(Person.email)),
            (Column("course_code", "Course code"), col(Course.code)),
            (Column("course", "Course"), col(Course.title)),
            (Column("category", "Category"), col(Course.category)),
            (Column("kind", "Kind"), col(Course.kind)),
            (Column("status", "Status"), col(Enrollment.status)),
            (Column("progress", "Progress"), _progress_in_a_word()),
            (Column("percent_done", "Done", ColumnType.PERCENT), learned.percent_done),
            (Column("percent_achieved", "Achieved", ColumnType.PERCENT), learned.percent_achieved),
            (Column("attempts", "Attempts", ColumnType.INTEGER, is_totalled=True), learned.attempts),
            (
                Column("time_spent_minutes", "Time spent (minutes)", ColumnType.INTEGER, is_totalled=True),
                learned.time_spent_minutes,
            ),
            (Column("access", "Access"), _access()),
            (Column("enrolled_at", "Enrolled", ColumnType.MOMENT), col(Enrollment.enrolled_at)),
            (Column("started_at", "Started", ColumnType.MOMENT), col(Enrollment.started_at)),
            (Column("last_accessed_at", "Last access", ColumnType.MOMENT), learned.last_accessed_at),
            (Column("completed_at", "Completed", ColumnType.MOMENT), col(Enrollment.completed_at)),
            (Column("access_ends_at", "Access ends", ColumnType.MOMENT), col(Enrollment.access_ends_at)),
            (Column("judgement", "Judgement"), col(Enrollment.judgement)),
            (Column("has_certificate", "Certificate", ColumnType.BOOLEAN), certified.c.is_issued),
            (Column("certificates", "Certificates", ColumnType.INTEGER, is_totalled=True), certified.c.count),
            (Column("certificate", "Latest certificate"), certified.c.number),
            (Column("certificate_issued_at", "Certificate issued", ColumnType.MOMENT), certified.c.issued_at),
            (Column("certificate_expires_at", "Certificate expires", ColumnType.MOMENT), certified.c.expires_at),
            (Column("order", "Order"), col(Order.number)),
            (Column("currency", "Currency"), col(Order.currency)),
            (money("share_amount", "Price"), col(Enrollment.share_amount)),
            (Column("is_test", "Test", ColumnType.BOOLEAN), col(Order.is_test)),
            (Column("enrollment_id", "Enrollment id"), col(Enrollment.id)),
            (Column("student_id", "Student id"), col(Enrollment.student_id)),
            *extra,
        ),
        reduce(_joined, (*learned.parts, certified), source),
        (
            *within(begun_at, filters, zone),
            *among(col(Enrollment.status), filters.statuses),
            *among(col(Enrollment.course_id), filters.course_ids),
            *among(col(Enrollment.student_id), filters.person_ids),
            *but_tests(col(Order.is_test), filters),
        ),
        (begun_at, col(Enrollment.id)),
    )


def _joined(source: FromClause, part: FromClause) -> FromClause:
    return source.join(part, true())


def _progress_in_a_word() -> ColumnElement[str]:
    """The three words of the reference systems: Not Started, In Progress, Completed."""
    return case(
        (col(Enrollment.completed_at).is_not(None), literal("completed")),
        (col(Enrollment.started_at).is_not(None), literal("in_progress")),
        else_=literal("not_started"),
    )


def _access() -> ColumnElement[str]:
    """Whether the course is open for them at the moment of the snapshot."""
    is_over = col(Enrollment.access_ends_at) <= func.now()
    return case(
        (col(Enrollment.status) == EnrollmentStatus.SUSPENDED, literal("suspended")),
        (
            col(Enrollment.status).in_((EnrollmentStatus.ACTIVE, EnrollmentStatus.COMPLETED)) & is_over.is_not(True),
            literal("open"),
        ),
        (col(Enrollment.status).in_(_NOT_YET), literal("not_yet")),
        else_=literal("over"),
    )


def _certified() -> FromClause:
    """The certificates that count or have counted, and the latest of them. Always one row."""
    newest_first = (col(Certificate.issued_at).desc(), col(Certificate.id).desc())

    def latest(column: SQLCoreOperations[Any]) -> ColumnElement[Any]:
        return func.array_agg(aggregate_order_by(column, *newest_first))[1]

    return (
        select(
            func.count().label("count"),
            func.coalesce(func.bool_or(col(Certificate.status) == CertificateStatus.ISSUED), False).label("is_issued"),
            latest(col(Certificate.number)).label("number"),
            latest(col(Certificate.issued_at)).label("issued_at"),
            latest(col(Certificate.expires_at)).label("expires_at"),
        )
        .where(col(Certificate.enrollment_id) == col(Enrollment.id), col(Certificate.status).in_(_COUNTED))
        .lateral("certified")
    )
