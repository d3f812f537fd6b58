"""Certificates: listed, read, downloaded. They stay readable for their holders after their access has ended."""

from http import HTTPStatus
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import Field
from sqlalchemy import ColumnElement
from sqlmodel import col

from activities.certificate_documents import certificate_key
from activities.certificate_links import read_download_token
from activities.files import FileMissingError
from activities.signed_links import LinkExpiredError, LinkInvalidError
from models.errors import Reason
from models.identifiers import verification_address
from models.tables import Certificate, Enrollment
from models.tables.columns import now
from models.vocabulary import CertificateOrigin, CertificateStatus
from routes.authentication import REFUSALS, AuthenticatedRoute, require
from routes.certificate_views import (
    CERTIFICATE,
    CertificateView,
    Viewer,
    certificate_views,
    certificates,
    read_certificate,
    visible_certificate,
    visible_to,
)
from routes.documentation import answer, either, problems
from routes.pages import refusal_page, refusal_pages
from routes.pagination import LIST_HEADERS, Page, PageQuery, example_page, matching, page_of, sorted_page, total_of
from routes.parts import Parts, TheConnections, TheParts
from routes.problems import ProblemError
from routes.stored_files import IfNoneMatch, file_answer, file_answers
from routes.tokens import Principal

router = APIRouter(prefix="/v1/certificates", tags=["certificates"], route_class=AuthenticatedRoute)
links = APIRouter(prefix="/v1/certificates", tags=["pages"])

_PDF = "application/pdf"
_DOES_NOT_COUNT = (CertificateStatus.REVOKED, CertificateStatus.SUPERSEDED)
_TheCaller = Annotated[Principal, Depends(require())]
_SORTABLE = {
    "issued_at": col(Certificate.issued_at),
    "expires_at": col(Certificate.expires_at),
    "number": col(Certificate.number),
}
_FILE = file_answers("The certificate", [_PDF], "%PDF-1.7…")


class CertificateQuery(PageQuery):
    """Which certificates to list."""

    sort: Literal["issued_at", "issued_at:desc", "expires_at", "expires_at:desc", "number", "number:desc"] = (
        "issued_at:desc"
    )
    status: CertificateStatus | None = None
    origin: CertificateOrigin | None = None
    enrollment_id: UUID | None = None
    student_id: UUID | None = None
    course_id: UUID | None = None
    number: str | None = Field(default=None, max_length=40, pattern=r"^[^\x00]*$")


@router.get(
    "",
    summary="List certificates",
    responses={
        **answer(HTTPStatus.OK, "One page of certificates", example_page(CERTIFICATE), LIST_HEADERS),
        **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.UNAVAILABLE),
    },
)
async def get_certificates(
    asked: Annotated[CertificateQuery, Query()],
    principal: _TheCaller,
    parts: TheParts,
    connections: TheConnections,
    request: Request,
    response: Response,
) -> Page[CertificateView]:
    """Their holders see theirs, staff all."""
    found = certificates().where(*visible_to(principal), *_asked_for(asked))
    page = sorted_page(found, asked, asked.sort, _SORTABLE, col(Certificate.id))
    async with connections.sessions() as session:
        total = await total_of(session, found)
        rows = (await session.execute(page)).all()
        views = await certificate_views(session, Viewer(principal, parts.settings.public_url), rows)
    return page_of(request, response, asked, views, total)


@router.get(
    "/{certificate_id}.pdf",
    summary="Download a certificate",
    response_class=Response,
    responses={
        **_FILE,
        **problems(
            *REFUSALS,
            Reason.INVALID_REQUEST,
            Reason.NOT_FOUND,
            Reason.DOCUMENT_NOT_READY,
            Reason.CERTIFICATE_NOT_ISSUED,
            Reason.UNAVAILABLE,
        ),
    },
)
async def get_certificate_file(
    certificate_id: UUID,
    principal: _TheCaller,
    parts: TheParts,
    connections: TheConnections,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """For its holder, for good, and for staff. One that was revoked or replaced is for staff alone."""
    async with connections.sessions() as session:
        certificate = await visible_certificate(session, certificate_id, principal)
    if certificate.status in _DOES_NOT_COUNT and not principal.is_staff:
        raise ProblemError(Reason.CERTIFICATE_NOT_ISSUED, f"The certificate is {certificate.status}.")
    return await _file(parts, certificate, if_none_match)


@router.get(
    "/{certificate_id}",
    summary="Read a certificate",
    responses={
        **answer(HTTPStatus.OK, "The certificate", CERTIFICATE),
        **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.NOT_FOUND, Reason.UNAVAILABLE),
    },
)
async def get_certificate(
    certificate_id: UUID, principal: _TheCaller, parts: TheParts, connections: TheConnections
) -> CertificateView:
    """What was issued, and whether it still counts."""
    async with connections.sessions() as session:
        return await read_certificate(session, Viewer(principal, parts.settings.public_url), certificate_id)


@links.get(
    "/download/{token}",
    summary="Download a certificate by the link of its mail",
    response_class=Response,
    responses={
        **_FILE,
        303: {
            "description": "To the page that says why it does not count any more",
            "headers": {"Location": {"description": "the page", "schema": {"type": "string"}}},
            "content": {"text/html": {"schema": {"type": "string"}, "example": "(nothing)"}},
        },
        **either(
            refusal_pages(Reason.LINK_INVALID, Reason.LINK_EXPIRED),
            problems(Reason.INVALID_REQUEST, Reason.DOCUMENT_NOT_READY, Reason.UNAVAILABLE),
        ),
    },
)
async def download_certificate(
    token: str, request: Request, parts: TheParts, connections: TheConnections, if_none_match: IfNoneMatch = None
) -> Response:
    """No login: the token is the permission, for this one file. What was revoked or replaced leads to its page."""
    secret = parts.settings.link_secret
    if secret is None:
        return refusal_page(request, Reason.LINK_INVALID)
    try:
        certificate_id = read_download_token(secret.get_secret_value(), token, now())
    except LinkExpiredError:
        return refusal_page(request, Reason.LINK_EXPIRED)
    except LinkInvalidError:
        return refusal_page(request, Reason.LINK_INVALID)
    async with connections.sessions() as session:
        certificate = await session.get(Certificate, certificate_id)
    if certificate is None or certificate.code is None:
        return refusal_page(request, Reason.LINK_INVALID)
    if certificate.status in _DOES_NOT_COUNT:
        address = verification_address(parts.settings.public_url, certificate.code)
        return RedirectResponse(address, status_code=HTTPStatus.SEE_OTHER)
    return await _file(parts, certificate, if_none_match)


async def _file(parts: Parts, certificate: Certificate, if_none_match: str | None) -> Response:
    """The stored PDF. Raises the problem `document_not_ready`."""
    not_ready = ProblemError(Reason.DOCUMENT_NOT_READY, f"{certificate.number} is still being made.")
    if certificate.file_sha256 is None:
        raise not_ready
    try:
        return await file_answer(
            parts.files,
            certificate_key(certificate.id),
            certificate.file_sha256,
            media_type=_PDF,
            disposition=f'inline; filename="{certificate.number}.pdf"',
            if_none_match=if_none_match,
        )
    except FileMissingError:
        raise not_ready from None


def _asked_for(asked: CertificateQuery) -> list[ColumnElement[bool]]:
    return matching(
        (col(Certificate.status), asked.status),
        (col(Certificate.origin), asked.origin),
        (col(Certificate.enrollment_id), asked.enrollment_id),
        (col(Certificate.number), asked.number),
        (col(Enrollment.student_id), asked.student_id),
        (col(Enrollment.course_id), asked.course_id),
    )
