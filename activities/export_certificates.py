"""The export of certificates: who has which, and whether it counts."""

from zoneinfo import ZoneInfo

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from activities.export_columns import Column, ColumnType, Listing, listing
from activities.export_filters import among, but_tests, within
from models.messages.exports import ExportFilters
from models.tables import Certificate, CertificateTemplate, Course, Enrollment, Order, OrderLine, Person


async def certificates(session: AsyncSession, filters: ExportFilters, zone: ZoneInfo) -> Listing:
    """A row for each certificate, those of the learning platform from before version 0.6 too, which have no number."""
    earlier = aliased(Certificate)
    printed_name = col(Certificate.facts)["student_full_name"].astext
    return listing(
        "Certificates",
        (
            (Column("number", "Certificate"), col(Certificate.number)),
            (Column("status", "Status"), col(Certificate.status)),
            (Column("holder", "Holder"), func.coalesce(printed_name, col(Person.full_name))),
            (Column("email", "E-mail"), col(Person.email)),
            (Column("course_code", "Course code"), col(Course.code)),
            (Column("course", "Course"), col(Course.title)),
            (Column("template", "Template"), col(CertificateTemplate.name)),
            (Column("version", "Template version", ColumnType.INTEGER), col(Certificate.template_version)),
            (Column("origin", "Origin"), col(Certificate.origin)),
            (Column("issued_at", "Issued", ColumnType.MOMENT), col(Certificate.issued_at)),
            (Column("expires_at", "Expires", ColumnType.MOMENT), col(Certificate.expires_at)),
            (Column("renewable_until", "Renewable until", ColumnType.MOMENT), col(Certificate.renewable_until)),
            (Column("revoked_at", "Revoked", ColumnType.MOMENT), col(Certificate.revoked_at)),
            (Column("revocation_reason", "Revoked because"), col(Certificate.revocation_reason)),
            (Column("replaces", "Replaces"), col(earlier.number)),
            (Column("code", "Verification code"), col(Certificate.code)),
            (Column("issued_by", "Issued by"), col(Certificate.actor)),
            (Column("order", "Order"), col(Order.number)),
            (Column("is_test", "Test", ColumnType.BOOLEAN), col(Order.is_test)),
            (Column("certificate_id", "Certificate id"), col(Certificate.id)),
            (Column("enrollment_id", "Enrollment id"), col(Certificate.enrollment_id)),
        ),
        Certificate.__table__.join(  # type: ignore[attr-defined]
            Enrollment, col(Enrollment.id) == col(Certificate.enrollment_id)
        )
        .join(OrderLine, col(OrderLine.id) == col(Enrollment.order_line_id))
        .join(Order, col(Order.id) == col(OrderLine.order_id))
        .join(Course, col(Course.id) == col(Enrollment.course_id))
        .join(Person, col(Person.id) == col(Enrollment.student_id))
        .outerjoin(CertificateTemplate, col(CertificateTemplate.id) == col(Certificate.template_id))
        .outerjoin(earlier, col(earlier.id) == col(Certificate.predecessor_id)),
        (
            *within(col(Certificate.issued_at), filters, zone),
            *among(col(Certificate.status), filters.statuses),
            *among(col(Enrollment.course_id), filters.course_ids),
            *among(col(Enrollment.student_id), filters.person_ids),
            *but_tests(col(Order.is_test), filters),
        ),
        (col(Certificate.issued_at), col(Certificate.id)),
    )
