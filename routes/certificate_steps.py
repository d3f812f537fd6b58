"""What becomes of a certificate: issued, revoked, reinstated, renewed, mailed again. Its workflow takes the steps."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import col

from activities.database import Sessions
from activities.task_record import Remark
from models.errors import Reason
from models.identifiers import certificate_copy_id_for
from models.messages.certificates import (
    CertificateStart,
    ReinstateCertificate,
    RenewCertificate,
    ResendCertificate,
    RevokeCertificate,
)
from models.tables import Certificate, Enrollment
from models.vocabulary import CertificateGround, CertificateOrigin, CertificateStatus, RevocationReason, Role
from routes.authentication import REFUSALS, AuthenticatedRoute, require
from routes.certificate_start import tell_certificates
from routes.certificate_views import (
    CERTIFICATE,
    CERTIFICATE_NOTE,
    EXCEPTION_NOTE,
    CertificateView,
    IssueView,
    Viewer,
    certificate_views,
    certificates,
    read_certificate,
    visible_certificate,
)
from routes.documentation import answer, location_header, problems
from routes.parts import TheConnections, TheParts
from routes.problems import ProblemError
from routes.task_decisions import kept
from routes.tokens import Principal
from routes.validation import NoteText, idempotency_header

router = APIRouter(prefix="/v1", tags=["certificates"], route_class=AuthenticatedRoute)

_ByStaff = Annotated[Principal, Depends(require(Role.STAFF, Role.ADMIN))]
_ByHolder = Annotated[Principal, Depends(require(Role.STUDENT, Role.TUTOR, Role.STAFF, Role.ADMIN, Role.SERVICE))]
_USUAL = (*REFUSALS, Reason.INVALID_REQUEST, Reason.NOT_FOUND, Reason.UNAVAILABLE)
_DONE = answer(HTTPStatus.OK, "The certificate, and how it stands", CERTIFICATE)
_ISSUED = IssueView(enrollment_id=CERTIFICATE.enrollment_id, grounds=(), certificates=(CERTIFICATE,))
_WAITS = IssueView(
    enrollment_id=CERTIFICATE.enrollment_id, grounds=(CertificateGround.NAME_UNCONFIRMED,), certificates=()
)


class IssueBody(BaseModel):
    """By default what the enrollment is due by its completion."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    exception_note: NoteText | None = Field(
        default=None, description="staff only: why it is issued although the course is not completed"
    )


class RevokeBody(BaseModel):
    """Why it no longer counts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: RevocationReason = Field(description="shown to whoever checks the certificate")
    note: NoteText | None = Field(default=None, description="only staff can read it")


class ReinstateBody(BaseModel):
    """Why it counts again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    note: NoteText | None = Field(default=None, description="only staff can read it")


class CertificateOnItsWay(BaseModel):
    """That a certificate is mailed once more."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    copy_id: UUID
    certificate: str = Field(description="its number")


_COPY = CertificateOnItsWay(copy_id=UUID("5f1c2b8e-0d0a-5b52-8f0e-3f5a3d1c7e21"), certificate=CERTIFICATE.number)


@router.post(
    "/enrollments/{enrollment_id}/certificate",
    summary="Issue what an enrollment is due",
    responses={
        **answer(HTTPStatus.OK, "All certificates of the enrollment", _ISSUED),
        **answer(HTTPStatus.ACCEPTED, "Waits for a confirmed name", _WAITS),
        **problems(*_USUAL, Reason.PAYLOAD_TOO_LARGE, Reason.CERTIFICATE_NOT_ELIGIBLE),
    },
)
async def issue_certificate(
    enrollment_id: UUID,
    principal: _ByHolder,
    parts: TheParts,
    connections: TheConnections,
    response: Response,
    body: Annotated[
        IssueBody | None,
        Body(
            openapi_examples={
                "due": {"summary": "The course is completed", "value": {}},
                "exception": {
                    "summary": "Staff makes an exception",
                    "value": {"exception_note": "Passed the exam on paper."},
                },
            }
        ),
    ] = None,
) -> IssueView:
    """For who has completed the course; staff may make an exception, and says why. Asking again issues nothing twice.

    Refused with all that stands between, one by one in `errors`.
    """
    note = None if body is None else body.exception_note
    if note is not None and not principal.is_staff:
        raise ProblemError(Reason.ROLE_NOT_ALLOWED, "Only staff may make an exception.")
    await _require_enrollment(connections.sessions, enrollment_id, principal)
    origin = CertificateOrigin.COMPLETION if note is None else CertificateOrigin.EXCEPTION
    wish = CertificateStart(enrollment_id=enrollment_id, origin=origin, actor=principal.actor)
    remarks = [] if note is None else [Remark(EXCEPTION_NOTE, enrollment_id, principal.actor, note)]
    async with kept(connections.sessions, remarks):
        issued = await tell_certificates(connections.temporal, enrollment_id, "issue", wish)
    async with connections.sessions() as session:
        rows = await session.execute(certificates().where(col(Certificate.id).in_(issued.certificate_ids)))
        views = await certificate_views(session, Viewer(principal, parts.settings.public_url), rows.all())
    if issued.grounds:
        response.status_code = HTTPStatus.ACCEPTED
    return IssueView(enrollment_id=enrollment_id, grounds=issued.grounds, certificates=views)


@router.post(
    "/certificates/{certificate_id}/revoke",
    summary="Revoke a certificate",
    responses={**_DONE, **problems(*_USUAL, Reason.PAYLOAD_TOO_LARGE, Reason.CERTIFICATE_NOT_ISSUED)},
)
async def revoke_certificate(
    certificate_id: UUID,
    body: Annotated[
        RevokeBody,
        Body(openapi_examples={"error": {"summary": "It was a mistake", "value": {"reason": "issued_in_error"}}}),
    ],
    principal: _ByStaff,
    parts: TheParts,
    connections: TheConnections,
) -> CertificateView:
    """Whoever checks it sees so at once, with the reason; its holder gets a mail."""
    certificate = await _visible(connections.sessions, certificate_id, principal)
    wish = RevokeCertificate(certificate_id=certificate_id, reason=body.reason, actor=principal.actor)
    async with kept(connections.sessions, _remarks(certificate, principal, body.note)):
        await tell_certificates(connections.temporal, certificate.enrollment_id, "revoke", wish)
    return await _read(connections.sessions, Viewer(principal, parts.settings.public_url), certificate_id)


@router.post(
    "/certificates/{certificate_id}/reinstate",
    summary="Let a revoked certificate count again",
    responses={**_DONE, **problems(*_USUAL, Reason.PAYLOAD_TOO_LARGE, Reason.CERTIFICATE_NOT_REVOKED)},
)
async def reinstate_certificate(
    certificate_id: UUID,
    principal: _ByStaff,
    parts: TheParts,
    connections: TheConnections,
    body: Annotated[
        ReinstateBody | None, Body(openapi_examples={"plain": {"summary": "Without a word", "value": {}}})
    ] = None,
) -> CertificateView:
    """As if it had never been revoked; where its time is over meanwhile, it has expired."""
    certificate = await _visible(connections.sessions, certificate_id, principal)
    wish = ReinstateCertificate(certificate_id=certificate_id, actor=principal.actor)
    async with kept(connections.sessions, _remarks(certificate, principal, None if body is None else body.note)):
        await tell_certificates(connections.temporal, certificate.enrollment_id, "reinstate", wish)
    return await _read(connections.sessions, Viewer(principal, parts.settings.public_url), certificate_id)


@router.post(
    "/certificates/{certificate_id}/renew",
    status_code=HTTPStatus.CREATED,
    summary="Renew a certificate",
    responses={
        **answer(HTTPStatus.CREATED, "The new one", CERTIFICATE, location_header(f"/v1/certificates/{CERTIFICATE.id}")),
        **problems(*_USUAL, Reason.CERTIFICATE_NOT_RENEWABLE),
    },
)
async def renew_certificate(
    certificate_id: UUID, principal: _ByHolder, parts: TheParts, connections: TheConnections, response: Response
) -> CertificateView:
    """In its last 60 days, though not in the first half of its time, until its grace is over: a new certificate with a
    number of its own, linked to the old one. Asking again answers with the same.
    """
    certificate = await _visible(connections.sessions, certificate_id, principal)
    wish = RenewCertificate(certificate_id=certificate_id, actor=principal.actor)
    renewed = await tell_certificates(connections.temporal, certificate.enrollment_id, "renew", wish)
    new_id = renewed.certificate_id or certificate_id
    response.headers["Location"] = f"/v1/certificates/{new_id}"
    return await _read(connections.sessions, Viewer(principal, parts.settings.public_url), new_id)


@router.post(
    "/certificates/{certificate_id}/resend",
    status_code=HTTPStatus.ACCEPTED,
    summary="Mail a certificate once more",
    responses={
        **answer(HTTPStatus.ACCEPTED, "The mail is on its way", _COPY),
        **problems(*_USUAL, Reason.IDEMPOTENCY_KEY_MISSING, Reason.CERTIFICATE_NOT_ISSUED),
    },
)
async def resend_certificate(
    certificate_id: UUID,
    idempotency_key: Annotated[str, idempotency_header("the same key mails one copy")],
    principal: _ByStaff,
    connections: TheConnections,
) -> CertificateOnItsWay:
    """To its holder, with a link that is good for another 30 days."""
    certificate = await _visible(connections.sessions, certificate_id, principal)
    if certificate.status != CertificateStatus.ISSUED:
        raise ProblemError(Reason.CERTIFICATE_NOT_ISSUED, f"The certificate is {certificate.status}.")
    copy_id = certificate_copy_id_for(certificate_id, principal.subject, idempotency_key)
    wish = ResendCertificate(certificate_id=certificate_id, copy_id=copy_id, actor=principal.actor)
    await tell_certificates(connections.temporal, certificate.enrollment_id, "resend", wish)
    return CertificateOnItsWay(copy_id=copy_id, certificate=certificate.number or "")


def _remarks(certificate: Certificate, principal: Principal, note: str | None) -> list[Remark]:
    """Each time that something is done to it is an occasion of its own for the same words."""
    if note is None:
        return []
    return [Remark(CERTIFICATE_NOTE, certificate.id, principal.actor, note, certificate.updated_at.isoformat())]


async def _visible(sessions: Sessions, certificate_id: UUID, principal: Principal) -> Certificate:
    async with sessions() as session:
        return await visible_certificate(session, certificate_id, principal)


async def _read(sessions: Sessions, viewer: Viewer, certificate_id: UUID) -> CertificateView:
    async with sessions() as session:
        return await read_certificate(session, viewer, certificate_id)


async def _require_enrollment(sessions: Sessions, enrollment_id: UUID, principal: Principal) -> None:
    async with sessions() as session:
        enrollment = await session.get(Enrollment, enrollment_id)
    if enrollment is None or not (principal.is_staff or enrollment.student_id == principal.person_id):
        raise ProblemError(Reason.NOT_FOUND, "There is no such enrollment, or it is not yours.")
