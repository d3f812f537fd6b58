"""Checking a certificate: whoever has its code, or its file, sees whether it counts. No login, nobody's address.

The code is random (128 bits), so a page can be found by who was shown the certificate, and not by guessing.
"""

import hmac
import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from babel.dates import format_date
from fastapi import APIRouter, Form, Request, Response, UploadFile
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ColumnElement, select, true
from sqlalchemy.orm import aliased
from sqlmodel import col
from starlette.exceptions import HTTPException

from activities.database import Sessions
from models.certificate_facts import CertificateFacts
from models.errors import Reason
from models.identifiers import verification_address
from models.tables import Academy, Certificate
from models.tables.columns import now
from models.vocabulary import CertificateStatus, RevocationReason
from routes.documentation import answer, either, problems
from routes.pages import PAGE, note, page, refusal_pages, say, texts_of_reader
from routes.parts import TheConnections, TheParts, parts_of
from routes.problems import KINDS, problem_response
from routes.uploads import MAX_UPLOAD_BYTES, digest_of


class _PublicRoute(APIRoute):
    """A route whose callers are counted before anything they send is read, and who get a page of every refusal."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The framework's handler, behind the limit."""
        handle = super().get_route_handler()

        async def handle_within_limit(request: Request) -> Response:
            if (wait := parts_of(request).verification_limit.wait_of(request)) is not None:
                return _too_many(request, wait)
            try:
                return await handle(request)
            except (RequestValidationError, HTTPException) as refused:
                if _wants_json(request):
                    raise
                match getattr(refused, "status_code", None):
                    case HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
                        return _asks_again(request, "verify.too_large", Reason.PAYLOAD_TOO_LARGE)
                    case HTTPStatus.REQUEST_TIMEOUT:
                        return _asks_again(request, "verify.no_file", Reason.REQUEST_TOO_SLOW)
                return _asks_again(request, "verify.no_file", Reason.INVALID_REQUEST)

        return handle_within_limit


router = APIRouter(prefix="/verify", tags=["pages"], route_class=_PublicRoute)

UPLOADS = {re.compile(r"/verify(/[^/]+)?"): MAX_UPLOAD_BYTES}
_CODE = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")
_HEADERS = {"Cache-Control": "no-store", "X-Robots-Tag": "noindex"}


class Validity(StrEnum):
    """Whether a certificate counts at this moment."""

    VALID = "valid"
    EXPIRED = "expired"
    REVOKED = "revoked"
    SUPERSEDED = "superseded"


class VerificationView(BaseModel):
    """What anybody may know of a certificate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str
    validity: Validity
    is_test: bool = Field(description="of a test order: it certifies nothing, whatever `validity` says")
    number: str
    holder: str = Field(description="the name that it was issued to")
    course: str
    issuer: str
    issued_at: datetime
    expires_at: datetime | None = Field(description="none: it does not expire")
    revoked_at: datetime | None = None
    revocation_reason: RevocationReason | None = None
    superseded_by: str | None = Field(default=None, description="the address at which the newer one is verified")
    is_same_file: bool | None = Field(default=None, description="whether the file that was sent is the one issued")


_EXAMPLE = VerificationView(
    code="01J9Z3V6T1Q8N4W2X7C5B0KDMH",
    validity=Validity.VALID,
    is_test=False,
    number="CERT-2026-000042",
    holder="Łukasz Żółć",
    course="Conversational Spanish B1",
    issuer="TutorHub Academy",
    issued_at=datetime(2026, 3, 2, 10, 17, tzinfo=ZoneInfo("UTC")),
    expires_at=datetime(2027, 3, 2, 10, 17, tzinfo=ZoneInfo("UTC")),
)
_REFUSALS = (
    Reason.INVALID_REQUEST,
    Reason.NOT_FOUND,
    Reason.PAYLOAD_TOO_LARGE,
    Reason.REQUEST_TOO_SLOW,
    Reason.TOO_MANY_REQUESTS,
)
_ANSWERS = {
    200: {
        "description": "The certificate, as a page or, to who accepts JSON, as data",
        "content": {**PAGE[200]["content"], **answer(HTTPStatus.OK, "", _EXAMPLE)[200]["content"]},
    },
    **either(refusal_pages(*_REFUSALS), problems(*_REFUSALS, Reason.UNAVAILABLE)),
}


class CheckForm(BaseModel):
    """What was shown to whoever checks it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: UploadFile = Field(description="the PDF, 10 MB at most")


_TheFile = Annotated[
    CheckForm,
    Form(media_type="multipart/form-data", openapi_examples={"file": {"summary": "A PDF", "value": {"file": "…"}}}),
]


@dataclass(frozen=True)
class _Found:
    view: VerificationView
    digest: str | None
    zone: ZoneInfo


@router.get("/{code}", summary="Check a certificate", response_model=VerificationView, responses=_ANSWERS)
async def get_verification(code: str, request: Request, parts: TheParts, connections: TheConnections) -> Response:
    """A page for people and JSON for programs (`Accept: application/json`). What it says is true at this moment."""
    found = await _found(connections.sessions, parts.settings.public_url, col(Certificate.code) == _read(code))
    return _unknown(request) if found is None else _shown(request, found)


@router.post("/{code}", summary="Check the file of a certificate", response_model=VerificationView, responses=_ANSWERS)
async def post_verification(
    code: str, form: _TheFile, request: Request, parts: TheParts, connections: TheConnections
) -> Response:
    """Whether this very PDF is the one that was issued. The file is read, compared and forgotten."""
    found = await _found(connections.sessions, parts.settings.public_url, col(Certificate.code) == _read(code))
    if found is None:
        return _unknown(request)
    is_same = hmac.compare_digest(await run_in_threadpool(digest_of, form.file.file), found.digest or "")
    return _shown(request, found, is_same_file=is_same)


@router.post("", summary="Find a certificate by its file", response_model=VerificationView, responses=_ANSWERS)
async def post_unknown_verification(
    form: _TheFile, request: Request, parts: TheParts, connections: TheConnections
) -> Response:
    """The certificate whose PDF this is, to the byte."""
    digest = await run_in_threadpool(digest_of, form.file.file)
    found = await _found(connections.sessions, parts.settings.public_url, col(Certificate.file_sha256) == digest)
    return _unknown(request) if found is None else _shown(request, found, is_same_file=True)


def _read(code: str) -> str:
    """The code as it was written: people type small letters, hyphens, and what looks alike (Crockford's alphabet)."""
    typed = code.upper().replace("-", "").translate(str.maketrans("OIL", "011"))
    # Whatever else comes here was never a code, and PostgreSQL knows no NUL in a text.
    return typed if _CODE.fullmatch(typed) else ""


async def _found(sessions: Sessions, public_url: str, condition: ColumnElement[bool]) -> _Found | None:
    newer = aliased(Certificate)
    query = (
        select(Certificate, col(newer.code), col(Academy.name), col(Academy.time_zone))
        .select_from(Certificate)
        .join(Academy, true())
        .join(newer, col(newer.predecessor_id) == col(Certificate.id), isouter=True)
        .where(condition, col(Certificate.code).is_not(None))
    )
    async with sessions() as session:
        row = (await session.execute(query)).one_or_none()
    if row is None:
        return None
    certificate, newer_code, issuer, zone = row
    return _Found(_view(certificate, newer_code, issuer, public_url), certificate.file_sha256, ZoneInfo(zone))


def _view(certificate: Certificate, newer_code: str | None, issuer: str, public_url: str) -> VerificationView:
    facts = CertificateFacts.model_validate(certificate.facts)
    assert certificate.code is not None  # noqa: S101 - asked for those alone
    assert certificate.number is not None  # noqa: S101 - the table has a CHECK for it
    return VerificationView(
        code=certificate.code,
        validity=_validity(certificate, now()),
        is_test=facts.is_test,
        number=certificate.number,
        holder=facts.student_full_name or "",
        course=facts.course_name or "",
        issuer=issuer,
        issued_at=certificate.issued_at,
        expires_at=certificate.expires_at,
        revoked_at=certificate.revoked_at,
        revocation_reason=RevocationReason(certificate.revocation_reason) if certificate.revocation_reason else None,
        superseded_by=None if newer_code is None else verification_address(public_url, newer_code),
    )


def _validity(certificate: Certificate, moment: datetime) -> Validity:
    """What is true at this moment, whether or not its job has looked at it since."""
    match certificate.status:
        case CertificateStatus.REVOKED:
            return Validity.REVOKED
        case CertificateStatus.SUPERSEDED:
            return Validity.SUPERSEDED
        case _ if certificate.expires_at is not None and certificate.expires_at <= moment:
            return Validity.EXPIRED
        case _:
            return Validity.VALID


# ---- answers ----


def _shown(request: Request, found: _Found, *, is_same_file: bool | None = None) -> Response:
    view = found.view.model_copy(update={"is_same_file": is_same_file})
    if _wants_json(request):
        return JSONResponse(view.model_dump(mode="json"), headers=_HEADERS)
    texts = texts_of_reader(request)

    def day(moment: datetime) -> str:
        return format_date(moment.astimezone(found.zone).date(), "long", locale=texts.locale)

    facts = [
        ("holder", view.holder),
        ("course", view.course),
        ("issuer", view.issuer),
        ("issued", day(view.issued_at)),
        *([("expires", day(view.expires_at))] if view.expires_at else []),
        *([("revoked", day(view.revoked_at))] if view.revoked_at else []),
        *([("reason", texts[f"verify.reason.{view.revocation_reason}"])] if view.revocation_reason else []),
        ("number", view.number),
    ]
    return page(
        "verification.html.j2",
        form_action="'self'",
        texts=texts,
        view=view,
        standing="test" if view.is_test else view.validity,
        action=f"/verify/{view.code}",
        facts=[(texts[f"verify.{name}"], value) for name, value in facts],
    )


def _unknown(request: Request) -> Response:
    if _wants_json(request):
        return problem_response(request, Reason.NOT_FOUND, "There is no such certificate.")
    return _asks_again(request, "verify.unknown", Reason.NOT_FOUND)


def _asks_again(request: Request, subject: str, reason: Reason) -> Response:
    """A page that says what is wrong, and takes the file (once more)."""
    request.state.refused_with = reason  # counted where every answer is
    texts = texts_of_reader(request)
    return page(
        "verification_refused.html.j2",
        status=KINDS[reason].status,
        form_action="'self'",
        texts=texts,
        heading=texts[f"{subject}.heading"],
        text=say(texts, f"{subject}.text"),
        action="/verify",
    )


def _too_many(request: Request, wait: int) -> Response:
    headers = {"Retry-After": str(wait)}
    if _wants_json(request):
        return problem_response(
            request, Reason.TOO_MANY_REQUESTS, f"Please try again in {wait} seconds.", headers=headers
        )
    request.state.refused_with = Reason.TOO_MANY_REQUESTS
    shown = note(texts_of_reader(request), "verify.too_many", status=KINDS[Reason.TOO_MANY_REQUESTS].status)
    shown.headers.update(headers)
    return shown


def _wants_json(request: Request) -> bool:
    """Browsers ask for HTML first; who names JSON and not HTML is a program."""
    accepted = request.headers.get("accept", "")
    return "json" in accepted and "text/html" not in accepted
