"""Places of the sample academy that are certified, and the steps of their certificates."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import delete, select, update
from sqlmodel import col

from activities.certificate_templates import AssignedTemplate, assign_templates, create_template
from activities.certificates import CertificateActivities
from activities.database import Sessions
from activities.legal_names import ConfirmedName, confirm_legal_name
from activities.orders import OrderActivities
from models.canvas import Box, Canvas, QrBox
from models.identifiers import certificate_workflow_id
from models.messages.certificates import (
    CertificateAnswer,
    CertificatesIssued,
    CertificatesTended,
    CertificateStep,
    IssueCertificates,
    ReinstateCertificate,
    RenewCertificate,
    RevokeCertificate,
    TendCertificates,
)
from models.tables import AuditEntry, Certificate, CertificateTemplate, CourseCertificate, Person
from models.vocabulary import CertificateOrigin, RevocationReason
from tests.integration.order_steps import LUKASZ, course, enroll, enrollments_of

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CANVAS = Canvas(
    width=842,
    height=595,
    boxes=(
        Box(key="student_full_name", top=200, left=50, width=742, height=60, font_size=36, align="center"),
        Box(key="certificate_code", top=500, left=50, width=400, height=20),
    ),
    qr=QrBox(top=470, left=700, size=80),
)


async def blank(sessions: Sessions) -> None:
    """No course certifies, and nobody has said what they are called."""
    async with sessions.begin() as session:
        await session.execute(delete(CourseCertificate))
        await session.execute(update(Person).values(legal_name=None, legal_name_confirmed_at=None))


async def template(sessions: Sessions, name: str, canvas: Canvas = CANVAS) -> UUID:
    async with sessions.begin() as session:
        made = await create_template(session, uuid4(), f"test-{name}", name, canvas, actor="staff:7")
        assert isinstance(made, CertificateTemplate)
        return made.id


async def certify(sessions: Sessions, code: str, *assigned: AssignedTemplate) -> None:
    async with sessions.begin() as session:
        assert await assign_templates(session, course(code), assigned, actor="staff:7") is None


async def confirm(sessions: Sessions, name: str, person_id: UUID = LUKASZ) -> ConfirmedName:
    async with sessions.begin() as session:
        confirmed = await confirm_legal_name(session, person_id, name, actor=f"student:{person_id}", moment=NOON)
        assert isinstance(confirmed, ConfirmedName)
        return confirmed


async def a_place(
    sessions: Sessions, orders: OrderActivities, code: str = "spanish-a1", student: UUID = LUKASZ, **changes: object
) -> UUID:
    """A place in a course that the student has completed, unless told otherwise."""
    step = await enroll(sessions, orders, code, student, **{"completed_at": NOON, **changes})
    return (await enrollments_of(sessions, step))[0].id


def issuing(
    place: UUID, moment: datetime = NOON, origin: CertificateOrigin = CertificateOrigin.COMPLETION, **more: bool
) -> IssueCertificates:
    return IssueCertificates(
        enrollment_id=place,
        origin=origin,
        actor="system",
        moment=moment,
        workflow_id=certificate_workflow_id(place),
        **more,
    )


async def issued(steps: CertificateActivities, place: UUID, moment: datetime = NOON) -> UUID:
    """The one certificate that is issued."""
    answer = await steps.issue_certificates(issuing(place, moment))
    [certificate] = answer.certificates
    return certificate.certificate_id


async def tended(steps: CertificateActivities, place: UUID, moment: datetime) -> CertificatesTended:
    return await steps.tend_certificates(
        TendCertificates(enrollment_id=place, moment=moment, workflow_id=certificate_workflow_id(place))
    )


def changing(
    wish: RevokeCertificate | ReinstateCertificate | RenewCertificate, moment: datetime = NOON + timedelta(days=1)
) -> CertificateStep:
    return CertificateStep(wish=wish, moment=moment, workflow_id="certificate-of-a-test")


def revoking(
    certificate_id: UUID,
    moment: datetime = NOON + timedelta(days=1),
    reason: RevocationReason = RevocationReason.MISCONDUCT,
) -> CertificateStep:
    return changing(RevokeCertificate(certificate_id=certificate_id, reason=reason, actor="staff:7"), moment)


def reinstating(certificate_id: UUID, moment: datetime = NOON + timedelta(days=2)) -> CertificateStep:
    return changing(ReinstateCertificate(certificate_id=certificate_id, actor="staff:7"), moment)


def renewing(certificate_id: UUID, moment: datetime) -> CertificateStep:
    return changing(RenewCertificate(certificate_id=certificate_id, actor="staff:7"), moment)


async def the(sessions: Sessions, certificate_id: UUID | None) -> Certificate:
    assert certificate_id is not None
    async with sessions() as session:
        return await session.get_one(Certificate, certificate_id)


async def all_certificates(sessions: Sessions) -> Sequence[Certificate]:
    """Every certificate there is, by its number."""
    async with sessions() as session:
        return (await session.execute(select(Certificate).order_by(col(Certificate.number)))).scalars().all()


async def story_of(sessions: Sessions, subject_id: UUID) -> list[tuple[str | None, str, str]]:
    """What the audit log says of it: from, to, why."""
    query = (
        select(col(AuditEntry.from_state), col(AuditEntry.to_state), col(AuditEntry.reason))
        .where(col(AuditEntry.subject_id) == subject_id)
        .order_by(col(AuditEntry.created_at), col(AuditEntry.id))
    )
    async with sessions() as session:
        return [(before, after, reason) for before, after, reason in await session.execute(query)]


def facts_of(certificate: Certificate) -> dict[str, object]:
    assert certificate.facts is not None
    return certificate.facts


def ids_of(answer: CertificatesIssued | CertificateAnswer) -> set[UUID]:
    if isinstance(answer, CertificateAnswer):
        return set(answer.certificate_ids)
    return {each.certificate_id for each in answer.certificates}
