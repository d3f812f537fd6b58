"""Another name on a certificate: wished for, shown with its evidence."""

import asyncio
import re
from http import HTTPStatus
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Query, Request, Response, UploadFile
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Select, select
from sqlalchemy.orm import aliased
from sqlmodel import col

from activities.certificate_corrections import WantedName, request_correction
from activities.database import Sessions
from activities.files import FileMissingError
from activities.media_types import EXTENSIONS
from models.errors import Reason
from models.identifiers import name_correction_id_for
from models.messages.certificates import CorrectName
from models.tables import Certificate, NameCorrection
from models.tables.columns import now
from models.vocabulary import CertificateOrigin, CorrectionStatus, Role
from routes.authentication import REFUSALS, AuthenticatedRoute, require
from routes.certificate_start import tell_certificates
from routes.certificate_views import CORRECTION, CorrectionView, correction_view, visible_certificate
from routes.documentation import answer, location_header, problems
from routes.legal_names import WantedName as NameText
from routes.pagination import LIST_HEADERS, Page, PageQuery, example_page, page_of, sorted_page, total_of
from routes.parts import Connections, Parts, TheConnections, TheParts
from routes.problems import ProblemError
from routes.stored_files import IfNoneMatch, file_answer, file_answers
from routes.tokens import Principal
from routes.uploads import MAX_UPLOAD_BYTES, LookedAt, looked_at
from routes.validation import idempotency_header
from rules.certificate_name import written_name
from rules.decision import Refused

router = APIRouter(prefix="/v1/certificates", tags=["certificates"], route_class=AuthenticatedRoute)

# The paths of uploads and what may be posted there.
UPLOADS = {re.compile(r"/v1/certificates/[^/]+/corrections"): MAX_UPLOAD_BYTES}

_ByHolder = Annotated[Principal, Depends(require(Role.STUDENT, Role.TUTOR, Role.STAFF, Role.ADMIN, Role.SERVICE))]
_TheCaller = Annotated[Principal, Depends(require())]
_SORTABLE = {"created_at": col(NameCorrection.created_at)}
_USUAL = (*REFUSALS, Reason.INVALID_REQUEST, Reason.NOT_FOUND, Reason.UNAVAILABLE)
_LOCATION = location_header(f"/v1/certificates/{CORRECTION.certificate_id}/corrections")
_DONE = CORRECTION.model_copy(
    update={"status": CorrectionStatus.APPROVED, "needs_person": False, "new_certificate_id": CORRECTION.id}
)


class CorrectionForm(BaseModel):
    """The name as it should be, and a document that proves it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: NameText
    file: UploadFile | None = Field(
        default=None, description="PDF, PNG, JPEG or HEIC, 10 MB at most; needed unless it is a slip of the pen"
    )


class CorrectionQuery(PageQuery):
    """Which wishes to list."""

    sort: Literal["created_at", "created_at:desc"] = "created_at:desc"


@router.post(
    "/{certificate_id}/corrections",
    status_code=HTTPStatus.CREATED,
    summary="Ask for another name on a certificate",
    responses={
        **answer(HTTPStatus.CREATED, "Corrected: a new certificate takes its place", _DONE, _LOCATION),
        **answer(HTTPStatus.ACCEPTED, "Somebody has to decide", CORRECTION, _LOCATION),
        **problems(
            *_USUAL,
            Reason.IDEMPOTENCY_KEY_MISSING,
            Reason.IDEMPOTENCY_KEY_REUSED,
            Reason.PAYLOAD_TOO_LARGE,
            Reason.UNSUPPORTED_FILE,
            Reason.CERTIFICATE_NOT_ISSUED,
            Reason.NAME_INVALID,
            Reason.NAME_UNCHANGED,
            Reason.EVIDENCE_REQUIRED,
            Reason.CORRECTION_IN_PROGRESS,
            Reason.TOO_MANY_CORRECTIONS,
        ),
    },
)
async def post_correction(
    certificate_id: UUID,
    form: Annotated[
        CorrectionForm,
        Form(
            media_type="multipart/form-data",
            openapi_examples={
                "slip": {"summary": "A letter is wrong", "value": {"name": "Łukasz Żółciński"}},
                "surname": {"summary": "Another surname", "value": {"name": "Łukasz Nowak", "file": "…"}},
            },
        ),
    ],
    idempotency_key: Annotated[str, idempotency_header("the same key is the same wish")],
    principal: _ByHolder,
    parts: TheParts,
    connections: TheConnections,
    response: Response,
) -> CorrectionView:
    """A slip of the pen (three letters, not the surname) is corrected at once; on anything else somebody decides, by
    what is shown for it. Twice in 12 months at most. The old certificate is replaced, and its page leads to the new
    one.
    """
    async with connections.sessions() as session:
        certificate = await visible_certificate(session, certificate_id, principal)
    correction_id = name_correction_id_for(certificate_id, principal.subject, idempotency_key)
    wanted = WantedName(correction_id, certificate_id, form.name, principal.actor)
    correction_id = await _record(parts, connections.sessions, wanted, form.file)
    wish = CorrectName(certificate_id=certificate_id, correction_id=correction_id, actor=principal.actor)
    corrected = await tell_certificates(connections.temporal, certificate.enrollment_id, "correct", wish)
    if corrected.needs_person:
        response.status_code = HTTPStatus.ACCEPTED
    response.headers["Location"] = f"/v1/certificates/{certificate_id}/corrections"
    return await _read(connections, correction_id, principal)


@router.get(
    "/{certificate_id}/corrections",
    summary="List the wishes for another name on a certificate",
    responses={
        **answer(HTTPStatus.OK, "One page of wishes", example_page(CORRECTION), LIST_HEADERS),
        **problems(*_USUAL),
    },
)
async def get_corrections(
    certificate_id: UUID,
    asked: Annotated[CorrectionQuery, Query()],
    principal: _TheCaller,
    connections: TheConnections,
    request: Request,
    response: Response,
) -> Page[CorrectionView]:
    """What became of each, for the holder and for staff."""
    found = _corrections().where(col(NameCorrection.certificate_id) == certificate_id)
    page = sorted_page(found, asked, asked.sort, _SORTABLE, col(NameCorrection.id))
    async with connections.sessions() as session:
        await visible_certificate(session, certificate_id, principal)
        total = await total_of(session, found)
        rows = (await session.execute(page)).all()
    views = [correction_view(correction, principal, successor_id) for correction, successor_id in rows]
    return page_of(request, response, asked, views, total)


@router.get(
    "/{certificate_id}/corrections/{correction_id}/evidence",
    summary="Download what is shown for another name",
    response_class=Response,
    responses={**file_answers("The file", EXTENSIONS, "…"), **problems(*_USUAL)},
)
async def get_evidence(
    certificate_id: UUID,
    correction_id: UUID,
    _principal: Annotated[Principal, Depends(require(Role.STAFF, Role.ADMIN))],
    parts: TheParts,
    connections: TheConnections,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """For those who decide."""
    no_file = ProblemError(Reason.NOT_FOUND, "There is no such file, or it is not there any more.")
    async with connections.sessions() as session:
        correction = await session.get(NameCorrection, correction_id)
    if correction is None or correction.certificate_id != certificate_id:
        raise no_file
    if correction.evidence_sha256 is None or correction.evidence_media_type is None:
        raise no_file
    ending = EXTENSIONS.get(correction.evidence_media_type, ("",))[0]
    try:
        return await file_answer(
            parts.files,
            evidence_key(correction_id, correction.evidence_sha256),
            correction.evidence_sha256,
            media_type=correction.evidence_media_type,
            disposition=f'attachment; filename="evidence{ending}"',
            if_none_match=if_none_match,
        )
    except FileMissingError:
        raise no_file from None


def evidence_key(correction_id: UUID, sha256: str) -> str:
    """Where the document is kept that speaks for another name. Another file under the same wish touches nothing."""
    return f"certificate-evidence/{correction_id}/{sha256}"


async def _record(parts: Parts, sessions: Sessions, wanted: WantedName, file: UploadFile | None) -> UUID:
    """Write the wish down, with its file, before the workflow hears of it. A repeat finds it, and stores nothing."""
    found: LookedAt | None = None if file is None else await asyncio.to_thread(looked_at, file)
    if found is not None:
        wanted = WantedName(
            wanted.correction_id,
            wanted.certificate_id,
            wanted.name,
            wanted.requested_by,
            evidence_sha256=found.sha256,
            evidence_media_type=found.media_type,
        )
    async with sessions.begin() as session:
        is_known = await session.get(NameCorrection, wanted.correction_id) is not None
        correction = await request_correction(session, wanted, now())
        if isinstance(correction, Refused):
            raise ProblemError(correction.reason, correction.detail)
        # Of two with the same key at once, the later one finds the row of the other, too.
        _require_same(correction, wanted)
        if not is_known and correction.id == wanted.correction_id and file is not None and found is not None:
            # Its row comes about with the file or not at all.
            await parts.files.put_file(evidence_key(correction.id, found.sha256), file.file, found.media_type)
        return correction.id


def _require_same(correction: NameCorrection, wanted: WantedName) -> None:
    asked = (correction.requested_name, correction.evidence_sha256)
    if asked != (written_name(wanted.name), wanted.evidence_sha256):
        raise ProblemError(Reason.IDEMPOTENCY_KEY_REUSED, "This Idempotency-Key was used with another wish.")


def _corrections() -> Select[*tuple[Any, ...]]:
    """Wishes, and the certificate that followed on a correction of theirs."""
    newer = aliased(Certificate)
    return select(NameCorrection, col(newer.id)).join(
        newer,
        (col(newer.predecessor_id) == col(NameCorrection.certificate_id))
        & (col(newer.origin) == CertificateOrigin.CORRECTION),
        isouter=True,
    )


async def _read(connections: Connections, correction_id: UUID, principal: Principal) -> CorrectionView:
    async with connections.sessions() as session:
        row = (await session.execute(_corrections().where(col(NameCorrection.id) == correction_id))).one()
    return correction_view(row[0], principal, row[1])
