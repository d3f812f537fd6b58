"""Another name on a certificate: asked for, corrected at once or decided by a person (reference list 10.6)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.audit import StateChange, write_audit
from activities.certificate_facts import printed_day, with_name
from activities.certificate_record import NewCertificate, Writing, write_certificates
from activities.certificate_steps import (
    UNKNOWN,
    CertificateToChange,
    answer_of,
    certificate_to_change,
    refused,
    supersede,
)
from activities.legal_names import change_legal_name
from activities.numbers import series_of
from models.certificate_facts import CertificateFacts
from models.errors import Reason
from models.identifiers import certificate_id_for
from models.messages.certificates import CertificateAnswer, CertificateStep, CorrectName, DecideCorrection
from models.tables import Certificate, HumanTask, NameCorrection
from models.vocabulary import CertificateOrigin, CertificateStatus, CorrectionStatus, TaskKind, TaskStatus
from rules.certificate_name import corrections_since, needs_person, refused_correction, written_name
from rules.certificates import Validity, is_over
from rules.decision import Refused

CORRECTION = "name_correction"
# The update follows at once, unless who sends it dies.
_PATIENCE = timedelta(minutes=2)
_NOT_ISSUED = Refused(Reason.CERTIFICATE_NOT_ISSUED, "Only a certificate that counts can bear another name.")


@dataclass(frozen=True)
class WantedName:
    """What is asked for. The evidence is stored before, under `certificate-evidence/{correction_id}/`."""

    correction_id: UUID
    certificate_id: UUID
    name: str
    requested_by: str
    evidence_sha256: str | None = None
    evidence_media_type: str | None = None


async def request_correction(session: AsyncSession, wanted: WantedName, moment: datetime) -> NameCorrection | Refused:
    """Write down that another name is wanted, before the update `correct`; the same id again is the same wish, and so
    is the same name on the same evidence, as long as nobody has decided.

    Refused with `not_found`, `certificate_not_issued`, `name_invalid`, and as rules.certificate_name.refused_correction
    says. The row of the certificate is held, so that of two wishes at once one is refused. Should the update never
    come, the job is woken to take it up.
    """
    certificate = await session.get(
        Certificate, wanted.certificate_id, with_for_update={"key_share": True}, populate_existing=True
    )
    known = await session.get(NameCorrection, wanted.correction_id)
    if certificate is None or (known is not None and known.certificate_id != certificate.id):
        return Refused(Reason.NOT_FOUND, "There is no such certificate.")
    if known is not None:
        return known
    name = written_name(wanted.name)
    if isinstance(name, Refused):
        return name
    known = await _open_wish(session, certificate.id)
    if known is not None and (known.requested_name, known.evidence_sha256) == (name, wanted.evidence_sha256):
        return known
    has_evidence, has_open = wanted.evidence_sha256 is not None, known is not None
    refusal = await _why_not(session, certificate, name, moment, has_evidence=has_evidence, has_open=has_open)
    if refusal is not None:
        return refusal
    correction = NameCorrection(
        id=wanted.correction_id,
        certificate_id=certificate.id,
        requested_name=name,
        evidence_sha256=wanted.evidence_sha256,
        evidence_media_type=wanted.evidence_media_type,
        needs_person=needs_person(_printed_name(certificate) or "", name),
        requested_by=wanted.requested_by,
    )
    session.add(correction)
    certificate.wakes_at = certificate.wakes_at or moment + _PATIENCE
    await session.flush()
    asked = StateChange(CORRECTION, correction.id, None, CorrectionStatus.REQUESTED)
    await write_audit(session, [asked], actor=wanted.requested_by, reason="another name", workflow_id=None)
    return correction


async def correct(session: AsyncSession, wish: CorrectName, step: CertificateStep) -> CertificateAnswer:
    """Correct a slip at once; any other name needs a person. What is refused is rejected, so that another wish may
    follow."""
    by = Writing(wish.actor, step.moment, step.workflow_id)
    found = await certificate_to_change(
        session, wish.certificate_id, by, of_enrollment=step.enrollment_id, locks_person=True
    )
    correction = await _locked(session, wish.correction_id)
    if found is None or correction is None or correction.certificate_id != found.certificate.id:
        return UNKNOWN
    certificate = found.certificate
    if correction.status == CorrectionStatus.APPROVED:
        return answer_of(found.counting or certificate)
    has_evidence = correction.evidence_sha256 is not None
    refusal = await _why_not(
        session, certificate, correction.requested_name, by.moment, has_evidence=has_evidence, but=correction.id
    )
    if refusal is None and correction.status == CorrectionStatus.REJECTED:
        refusal = Refused(Reason.NOT_FOUND, "This wish for another name was rejected.")
    if refusal is not None:
        if correction.status == CorrectionStatus.REQUESTED:
            await _close(session, correction, CorrectionStatus.REJECTED, by, refusal.reason.value)
        return refused(certificate, refusal)
    correction.needs_person = needs_person(_printed_name(certificate) or "", correction.requested_name)
    if correction.needs_person:
        return answer_of(certificate).model_copy(update={"needs_person": True})
    return await _grant(session, found, correction, by)


async def open_wishes(
    session: AsyncSession, certificates: Sequence[Certificate], workflow_id: str
) -> list[CorrectName]:
    """What nobody has decided on these certificates, but for what another job than this has put before a person: that
    of a place that was handed over."""
    if not certificates:
        return []
    is_elsewhere = exists().where(
        col(HumanTask.kind) == TaskKind.NAME_CORRECTION,
        col(HumanTask.status) == TaskStatus.OPEN,
        col(HumanTask.subject_id) == col(NameCorrection.certificate_id),
        col(HumanTask.workflow_id) != workflow_id,
    )
    query = select(NameCorrection).where(
        col(NameCorrection.certificate_id).in_({each.id for each in certificates}),
        col(NameCorrection.status) == CorrectionStatus.REQUESTED,
        ~is_elsewhere,
    )
    return [
        CorrectName(certificate_id=each.certificate_id, correction_id=each.id, actor=each.requested_by)
        for each in (await session.execute(query.order_by(col(NameCorrection.id)))).scalars()
    ]


async def decide(session: AsyncSession, step: DecideCorrection) -> CertificateAnswer:
    """What a person said of another name."""
    by = Writing(step.actor, step.moment, step.workflow_id)
    wanted = await session.get(NameCorrection, step.correction_id)
    found = (
        None if wanted is None else await certificate_to_change(session, wanted.certificate_id, by, locks_person=True)
    )
    correction = await _locked(session, step.correction_id)
    if found is None or correction is None:
        return UNKNOWN
    if correction.status == CorrectionStatus.REQUESTED and step.is_approved:
        return await _grant(session, found, correction, by)
    if correction.status == CorrectionStatus.REQUESTED:
        await _close(session, correction, CorrectionStatus.REJECTED, by, "name rejected")
    return answer_of(found.counting or found.certificate)


async def _why_not(
    session: AsyncSession,
    certificate: Certificate,
    name: str,
    moment: datetime,
    *,
    has_evidence: bool,
    has_open: bool = False,
    but: UUID | None = None,
) -> Refused | None:
    printed = _printed_name(certificate)
    is_past = is_over(certificate.expires_at, moment)
    if certificate.status != CertificateStatus.ISSUED or is_past or printed is None:
        return _NOT_ISSUED
    corrected = await _corrected_since(session, certificate, corrections_since(moment), but=but)
    return refused_correction(
        printed, name, has_evidence=has_evidence, corrected_in_a_year=corrected, has_open=has_open
    )


async def _grant(
    session: AsyncSession, found: CertificateToChange, correction: NameCorrection, by: Writing
) -> CertificateAnswer:
    """A new certificate with a new number says what the old one said, under the new name.

    It takes the place of the one that counts by now. Where none does, the holder is called so from now on, and what is
    renewed will say so.
    """
    around, name = found.around, correction.requested_name
    await change_legal_name(session, around.student, name, by)
    await _close(session, correction, CorrectionStatus.APPROVED, by, "name approved")
    certificate = found.counting
    if certificate is None or _printed_name(certificate) in (None, name):
        return answer_of(certificate or found.certificate)
    template_id, version, number = certificate.template_id, certificate.template_version, certificate.number
    if template_id is None or version is None or number is None:
        return answer_of(certificate)
    await supersede(session, certificate, by, "name corrected")
    said = CertificateFacts.model_validate(certificate.facts)
    issue_date = printed_day(by.moment, around.zone, said.language)
    corrected = NewCertificate(
        certificate_id=certificate_id_for(around.enrollment.id, template_id, str(certificate.id)),
        template_id=template_id,
        version=version,
        origin=CertificateOrigin.CORRECTION,
        series=series_of(number),
        validity=Validity(certificate.expires_at, certificate.renewable_until),
        facts=with_name(said, name).model_copy(update={"issue_date": issue_date}),
        predecessor_id=certificate.id,
    )
    [successor] = await write_certificates(session, around, [corrected], by, "name corrected")
    return answer_of(successor)


async def _close(
    session: AsyncSession, correction: NameCorrection, status: CorrectionStatus, by: Writing, reason: str
) -> None:
    correction.status, correction.decided_by, correction.decided_at = status, by.actor, by.moment
    change = StateChange(CORRECTION, correction.id, CorrectionStatus.REQUESTED, status)
    await write_audit(session, [change], actor=by.actor, reason=reason, workflow_id=by.workflow_id)


async def _locked(session: AsyncSession, correction_id: UUID) -> NameCorrection | None:
    return await session.get(NameCorrection, correction_id, with_for_update=True, populate_existing=True)


async def _corrected_since(
    session: AsyncSession, certificate: Certificate, since: datetime, *, but: UUID | None
) -> int:
    """How often the name was corrected on certificates of this kind and enrollment, or may be yet by other wishes."""
    query = (
        select(func.count())
        .select_from(NameCorrection)
        .join(Certificate, col(Certificate.id) == col(NameCorrection.certificate_id))
        .where(
            col(Certificate.enrollment_id) == certificate.enrollment_id,
            col(Certificate.template_id) == certificate.template_id,
            (col(NameCorrection.status) == CorrectionStatus.REQUESTED)
            | ((col(NameCorrection.status) == CorrectionStatus.APPROVED) & (col(NameCorrection.decided_at) > since)),
            *(() if but is None else (col(NameCorrection.id) != but,)),
        )
    )
    return (await session.execute(query)).scalar_one()


async def _open_wish(session: AsyncSession, certificate_id: UUID) -> NameCorrection | None:
    """There is one at most."""
    query = select(NameCorrection).where(
        col(NameCorrection.certificate_id) == certificate_id,
        col(NameCorrection.status) == CorrectionStatus.REQUESTED,
    )
    return (await session.execute(query)).scalar_one_or_none()


def _printed_name(certificate: Certificate) -> str | None:
    if certificate.facts is None:
        return None
    return CertificateFacts.model_validate(certificate.facts).student_full_name
