"""The exports about people: everybody who is known, and who has applied to become a tutor."""

from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, ScalarSelect, exists, func, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from activities.export_columns import SEPARATOR, Column, ColumnType, Listing, in_one, listing
from activities.export_custom_fields import custom_fields
from activities.export_filters import among, within
from models.messages.exports import ExportFilters
from models.tables import (
    ApplicationDecision,
    Enrollment,
    LessonProgress,
    Order,
    OrderLine,
    Person,
    RoleGrant,
    TutorApplication,
)
from models.vocabulary import EnrollmentStatus, ExportReport

_HAS_PLACE = (
    EnrollmentStatus.ACTIVE,
    EnrollmentStatus.SUSPENDED,
    EnrollmentStatus.COMPLETED,
    EnrollmentStatus.EXPIRED,
)


async def users(session: AsyncSession, filters: ExportFilters, zone: ZoneInfo) -> Listing:
    """A row for each person, guests and those who are forgotten as the record still has them."""
    places = (
        select(
            func.count().filter(col(Enrollment.status).in_(_HAS_PLACE)).label("all"),
            func.count()
            .filter(
                col(Enrollment.status).in_(_HAS_PLACE),
                col(Enrollment.started_at).is_(None),
                col(Enrollment.completed_at).is_(None),
            )
            .label("not_started"),
            func.count().filter(col(Enrollment.completed_at).is_not(None)).label("completed"),
            func.max(_last_accessed()).label("last_accessed_at"),
        )
        .select_from(Enrollment)
        .join(OrderLine, col(OrderLine.id) == col(Enrollment.order_line_id))
        .join(Order, col(Order.id) == col(OrderLine.order_id))
        .where(col(Enrollment.student_id) == col(Person.id), ~col(Order.is_test))
        .lateral("places")
    )
    extra = await custom_fields(session, ExportReport.USERS, col(Person.id))
    return listing(
        "Users",
        (
            (Column("full_name", "Name"), col(Person.full_name)),
            (Column("email", "E-mail"), col(Person.email)),
            (Column("roles", "Roles"), _roles()),
            (Column("is_guest", "Guest", ColumnType.BOOLEAN), col(Person.is_guest)),
            (Column("known_since", "Known since", ColumnType.MOMENT), col(Person.created_at)),
            (Column("last_accessed_at", "Last access", ColumnType.MOMENT), places.c.last_accessed_at),
            (Column("country", "Country"), col(Person.country)),
            (Column("locale", "Language"), col(Person.locale)),
            (Column("time_zone", "Time zone"), col(Person.time_zone)),
            (Column("company", "Company"), col(Person.billing_name)),
            (Column("orders", "Orders", ColumnType.INTEGER, is_totalled=True), _orders()),
            (Column("places", "Courses", ColumnType.INTEGER, is_totalled=True), places.c["all"]),
            (Column("not_started", "Not started", ColumnType.INTEGER, is_totalled=True), places.c.not_started),
            (Column("completed", "Completed", ColumnType.INTEGER, is_totalled=True), places.c.completed),
            (Column("person_id", "Person id"), col(Person.id)),
            *extra,
        ),
        Person.__table__.join(places, true()),  # type: ignore[attr-defined]
        (
            *within(col(Person.created_at), filters, zone),
            *among(col(Person.id), filters.person_ids),
            *_in_courses(filters),
        ),
        (col(Person.created_at), col(Person.id)),
    )


async def tutor_applications(session: AsyncSession, filters: ExportFilters, zone: ZoneInfo) -> Listing:
    """A row for each application. What applicants wrote and showed is not in it."""
    reviewer = aliased(Person)
    latest = (
        select(
            col(ApplicationDecision.action).label("action"),
            func.array_to_string(col(ApplicationDecision.reasons), SEPARATOR).label("reasons"),
            col(ApplicationDecision.is_override).label("is_override"),
        )
        .where(col(ApplicationDecision.application_id) == col(TutorApplication.id))
        .order_by(col(ApplicationDecision.created_at).desc(), col(ApplicationDecision.id).desc())
        .limit(1)
        .lateral("latest")
    )
    return listing(
        "Tutor applications",
        (
            (Column("begun_at", "Begun", ColumnType.MOMENT), col(TutorApplication.created_at)),
            (Column("applicant", "Applicant"), col(Person.full_name)),
            (Column("email", "E-mail"), col(Person.email)),
            (Column("status", "Status"), col(TutorApplication.status)),
            (Column("subjects", "Subjects"), func.array_to_string(col(TutorApplication.subjects), SEPARATOR)),
            (Column("reviewer", "Reviewer"), col(reviewer.full_name)),
            (Column("submitted_at", "Submitted", ColumnType.MOMENT), col(TutorApplication.submitted_at)),
            (Column("rounds", "Rounds of questions", ColumnType.INTEGER), col(TutorApplication.rounds)),
            (Column("info_due_at", "Answer due", ColumnType.MOMENT), col(TutorApplication.info_due_at)),
            (Column("decision", "Latest decision"), latest.c.action),
            (Column("reasons", "Reasons"), latest.c.reasons),
            (Column("is_override", "Overridden", ColumnType.BOOLEAN), latest.c.is_override),
            (Column("decided_at", "Decided", ColumnType.MOMENT), col(TutorApplication.decided_at)),
            (Column("reapply_at", "May apply again", ColumnType.MOMENT), col(TutorApplication.reapply_at)),
            (Column("erased_at", "Documents erased", ColumnType.MOMENT), col(TutorApplication.erased_at)),
            (Column("application_id", "Application id"), col(TutorApplication.id)),
            (Column("applicant_id", "Applicant id"), col(TutorApplication.applicant_id)),
        ),
        TutorApplication.__table__.join(  # type: ignore[attr-defined]
            Person, col(Person.id) == col(TutorApplication.applicant_id)
        )
        .outerjoin(reviewer, col(reviewer.id) == col(TutorApplication.reviewer_id))
        .outerjoin(latest, true()),
        (
            *within(col(TutorApplication.created_at), filters, zone),
            *among(col(TutorApplication.status), filters.statuses),
            *among(col(TutorApplication.applicant_id), filters.person_ids),
        ),
        (col(TutorApplication.created_at), col(TutorApplication.id)),
    )


def _last_accessed() -> ScalarSelect[Any]:
    query = select(func.max(col(LessonProgress.last_accessed_at)))
    return query.where(col(LessonProgress.enrollment_id) == col(Enrollment.id)).correlate(Enrollment).scalar_subquery()


def _roles() -> ScalarSelect[Any]:
    """Those that were granted here; others are known to the identity provider alone."""
    granted = in_one(col(RoleGrant.role), col(RoleGrant.role))
    query = select(granted).where(col(RoleGrant.person_id) == col(Person.id), col(RoleGrant.revoked_at).is_(None))
    return query.correlate(Person).scalar_subquery()


def _orders() -> ScalarSelect[Any]:
    query = select(func.count()).where(
        col(Order.payer_id) == col(Person.id), col(Order.completed_at).is_not(None), ~col(Order.is_test)
    )
    return query.correlate(Person).scalar_subquery()


def _in_courses(filters: ExportFilters) -> list[ColumnElement[bool]]:
    if not filters.course_ids:
        return []
    place = (col(Enrollment.student_id) == col(Person.id)) & col(Enrollment.course_id).in_(filters.course_ids)
    return [exists().where(place).correlate(Person)]
