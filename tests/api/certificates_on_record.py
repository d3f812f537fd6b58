"""Certificates as they stand in the record, written by hand for tests that only read."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID, uuid4

from sqlalchemy import select, update
from sqlmodel import col

from activities.certificate_samples import shipped_templates
from activities.certificate_templates import AssignedTemplate, assign_templates, create_template
from activities.database import Sessions
from models.certificate_facts import CertificateFacts
from models.tables import (
    Academy,
    Certificate,
    CertificateTemplate,
    CertificateTemplateVersion,
    Enrollment,
    OrderLine,
    Person,
)
from models.tables.columns import now
from models.vocabulary import CertificateOrigin

CODE = "01J9Z3V6T1Q8N4W2X7C5B0KDMH"
FILE = b"%PDF-1.7 the very bytes"


@dataclass(frozen=True)
class ReadPlace:
    """A place in a course, and whose it is."""

    id: UUID
    student: UUID
    course: UUID


async def place_of(sessions: Sessions, order_id: UUID) -> ReadPlace:
    """The first place of an order."""
    query = (
        select(col(Enrollment.id), col(Enrollment.student_id), col(Enrollment.course_id))
        .join(OrderLine, col(OrderLine.id) == col(Enrollment.order_line_id))
        .where(col(OrderLine.order_id) == order_id, col(OrderLine.position) == 1)
    )
    async with sessions() as session:
        return ReadPlace(*(await session.execute(query)).one())


async def complete_place(sessions: Sessions, place: ReadPlace, at: datetime | None = None) -> None:
    """The course is completed."""
    async with sessions.begin() as session:
        done = update(Enrollment).where(col(Enrollment.id) == place.id).values(completed_at=at or now())
        await session.execute(done)


async def confirm_name(sessions: Sessions, person_id: UUID, name: str = "Anna Ó Briain") -> None:
    """The name is confirmed, nobody is told."""
    async with sessions.begin() as session:
        person = await session.get_one(Person, person_id)
        person.legal_name, person.legal_name_confirmed_at = name, now()


async def certify_course(sessions: Sessions, course_id: UUID, *, valid_days: int | None = None) -> UUID:
    """The course certifies by the classic template from now on; answers its id."""
    async with sessions.begin() as session:
        name = f"classic-{uuid4().hex[:8]}"
        template = await create_template(session, uuid4(), name, "Classic", shipped_templates()["classic"], actor="me")
        assert isinstance(template, CertificateTemplate)
        assigned = AssignedTemplate(template.id, valid_days, 30 if valid_days else 0)
        assert await assign_templates(session, course_id, [assigned], actor="me") is None
        return template.id


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
