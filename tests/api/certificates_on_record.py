"""Certificates as they stand in the record, written by hand for tests that only read."""

from datetime import timedelta
from hashlib import sha256
from uuid import UUID

from sqlalchemy import select
from sqlmodel import col

from activities.database import Sessions
from models.certificate_facts import CertificateFacts
from models.tables import Academy, Certificate, CertificateTemplate, CertificateTemplateVersion, Enrollment, OrderLine
from models.tables.columns import now
from models.vocabulary import CertificateOrigin

CODE = "01J9Z3V6T1Q8N4W2X7C5B0KDMH"
FILE = b"%PDF-1.7 the very bytes"


async def write_academy(sessions: Sessions) -> None:
    """Write the academy that issues."""
    async with sessions.begin() as session:
        session.add(
            Academy(
                name="Test Academy",
                legal_name="Test Academy Ltd",
                address="1 Way",
                country="IE",
                email="office@example.org",
                time_zone="Europe/Dublin",
                locale="en",
            )
        )


async def write_certificate(
    sessions: Sessions,
    order_id: UUID,
    *,
    code: str = CODE,
    number: str = "CERT-2026-000001",
    holder: str = "Anna Ó Briain",
    **more: object,
) -> UUID:
    """Write a certificate for the first place of the order, by a template of its own, and return its id."""
    facts = CertificateFacts(student_full_name=holder, course_name="Course")
    places = (
        select(col(Enrollment.id))
        .join(OrderLine, col(OrderLine.id) == col(Enrollment.order_line_id))
        .where(col(OrderLine.order_id) == order_id, col(OrderLine.position) == 1)
    )
    async with sessions.begin() as session:
        template = CertificateTemplate(name=f"template-{number.lower()}", title="Plain")
        session.add(template)
        await session.flush()
        session.add(CertificateTemplateVersion(template_id=template.id, version=1, canvas={}, created_by="system"))
        values: dict[str, object] = {
            "enrollment_id": (await session.execute(places)).scalar_one(),
            "template_id": template.id,
            "template_version": 1,
            "origin": CertificateOrigin.COMPLETION,
            "number": number,
            "code": code,
            "facts": facts.model_dump(mode="json"),
            "file_sha256": sha256(FILE).hexdigest(),
            "issued_at": now() - timedelta(days=10),
        }
        certificate = Certificate(**{**values, **more})
        session.add(certificate)
        await session.flush()
        return certificate.id
