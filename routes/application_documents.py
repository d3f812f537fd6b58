"""What an applicant shows: uploaded, taken away, downloaded."""

import asyncio
import hashlib
import re
import unicodedata
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date
from http import HTTPStatus
from typing import IO, Annotated, Self
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Response, UploadFile
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError
from sqlalchemy import select
from sqlmodel import col

from activities.application_documents import (
    NewDocument,
    add_document,
    editable_application,
    forget_documents,
    forget_unless_recorded,
    remove_document,
)
from activities.application_record import academy_day, file_key_of, was_shown
from activities.database import Sessions
from activities.files import FileMissingError
from activities.media_types import EXTENSIONS
from models.errors import Reason
from models.identifiers import new_id
from models.tables import ApplicationDocument
from models.tables.columns import now
from models.vocabulary import ApplicationDocumentKind, ApplicationStatus, Role
from routes.application_reading import visible_application
from routes.application_views import APPLICATION, DOCUMENT, DocumentView, document_view
from routes.authentication import REFUSALS, AuthenticatedRoute, require
from routes.documentation import answer, location_header, problems
from routes.parts import Connections, Parts, TheConnections, TheParts
from routes.problems import ProblemError
from routes.stored_files import IfNoneMatch, file_answer, file_answers
from routes.tokens import Principal
from routes.uploads import MAX_UPLOAD_BYTES, looked_at
from routes.validation import InvalidField, SubjectCode
from rules.decision import Refused

router = APIRouter(prefix="/v1/tutor-applications", tags=["tutor applications"], route_class=AuthenticatedRoute)

# The paths of uploads and what may be posted there.
UPLOADS = {re.compile(r"/v1/tutor-applications/[^/]+/documents"): MAX_UPLOAD_BYTES}

_TheCaller = Annotated[Principal, Depends(require())]
_ThePerson = Annotated[Principal, Depends(require(Role.STUDENT, Role.TUTOR, Role.STAFF, Role.ADMIN))]
_Link = Annotated[
    str, StringConstraints(pattern=r"^https://[A-Za-z0-9.-]+(:[0-9]{1,5})?([/?#][!-~]*)?$", max_length=500)
]
_LONGEST_NAME = 200
_LOCATION = location_header(f"/v1/tutor-applications/{APPLICATION.id}/documents/{DOCUMENT.id}/file")
_FILE = file_answers("The file", EXTENSIONS, "…")


class DocumentForm(BaseModel):
    """A file, or the link of a video, and what it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ApplicationDocumentKind
    file: UploadFile | None = Field(default=None, description="PDF, PNG, JPEG or HEIC, 10 MB at most; not of a video")
    link: _Link | None = Field(default=None, description="the https address of a video")
    subject: SubjectCode | None = Field(default=None, description="of a certification for this very subject")
    expires_on: date | None = Field(default=None, description="last day on which the document itself is valid")
    replaces: UUID | None = Field(default=None, description="the document whose next version this is")

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        is_video = self.kind is ApplicationDocumentKind.VIDEO
        if (self.file is None, self.link is None) != (is_video, not is_video):
            raise PydanticCustomError("refused_here", "A video is a link, everything else a file.")
        if self.subject is not None and self.kind is not ApplicationDocumentKind.CERTIFICATION:
            raise PydanticCustomError("refused_here", "Only a certification is for a subject.")
        if self.expires_on is not None and is_video:
            raise PydanticCustomError("refused_here", "A video does not expire.")
        return self


@router.post(
    "/{application_id}/documents",
    status_code=HTTPStatus.CREATED,
    summary="Show a document",
    responses={
        **answer(HTTPStatus.OK, "The document, which was there already", DOCUMENT, _LOCATION),
        **answer(HTTPStatus.CREATED, "The document", DOCUMENT, _LOCATION),
        **problems(
            *REFUSALS,
            Reason.INVALID_REQUEST,
            Reason.PAYLOAD_TOO_LARGE,
            Reason.NOT_FOUND,
            Reason.UNSUPPORTED_FILE,
            Reason.UNKNOWN_SUBJECT,
            Reason.TOO_MANY_DOCUMENTS,
            Reason.APPLICATION_NOT_EDITABLE,
            Reason.UNAVAILABLE,
        ),
    },
)
async def post_document(
    application_id: UUID,
    form: Annotated[
        DocumentForm,
        Form(
            media_type="multipart/form-data",
            openapi_examples={
                "file": {
                    "summary": "A certification",
                    "value": {"kind": "certification", "subject": "spanish", "file": "…", "expires_on": "2031-05-31"},
                },
                "link": {"summary": "A video", "value": {"kind": "video", "link": "https://video.example/lesson"}},
            },
        ),
    ],
    principal: _ThePerson,
    parts: TheParts,
    connections: TheConnections,
    response: Response,
) -> DocumentView:
    """What a file is, is found by looking at its content. The same file again is the same document."""
    await _require_editable(connections.sessions, application_id, principal, form.expires_on)
    document_id = new_id()
    shown = NewDocument(
        id=document_id, kind=form.kind, sha256="", subject=form.subject, link=form.link, expires_on=form.expires_on
    )
    if form.file is None:
        shown = replace(shown, sha256=hashlib.sha256((form.link or "").encode()).hexdigest())
        view, is_new = await _record(parts, connections, application_id, shown, form.replaces, principal)
    else:
        shown = await asyncio.to_thread(_looked_at, form.file, shown, application_id)
        async with _stored(parts, connections.sessions, application_id, shown, form.file.file):
            view, is_new = await _record(parts, connections, application_id, shown, form.replaces, principal)
    if not is_new:
        response.status_code = HTTPStatus.OK
    response.headers["Location"] = f"/v1/tutor-applications/{application_id}/documents/{view.id}/file"
    return view


@router.delete(
    "/{application_id}/documents/{document_id}",
    status_code=HTTPStatus.NO_CONTENT,
    summary="Take a document away",
    responses=problems(
        *REFUSALS, Reason.INVALID_REQUEST, Reason.NOT_FOUND, Reason.APPLICATION_NOT_EDITABLE, Reason.UNAVAILABLE
    ),
)
async def delete_document(
    application_id: UUID, document_id: UUID, principal: _ThePerson, parts: TheParts, connections: TheConnections
) -> None:
    """What no reviewer has decided on is erased at once; the rest stays with its decisions until all is erased."""
    async with connections.sessions.begin() as session:
        to_forget = await remove_document(
            session, application_id, principal.person_id, document_id, actor=principal.actor
        )
    if isinstance(to_forget, Refused):
        raise ProblemError(to_forget.reason, to_forget.detail)
    await forget_documents(connections.sessions, parts.files, application_id, to_forget)


@router.get(
    "/{application_id}/documents/{document_id}/file",
    summary="Download a document of an application",
    response_class=Response,
    responses={**_FILE, **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.NOT_FOUND, Reason.UNAVAILABLE)},
)
async def get_file(
    application_id: UUID,
    document_id: UUID,
    principal: _TheCaller,
    parts: TheParts,
    connections: TheConnections,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Any version that is current or was decided on, for the applicant and reviewers.

    A video is a link, and has no file here.
    """
    query = select(ApplicationDocument).where(
        col(ApplicationDocument.id) == document_id,
        col(ApplicationDocument.application_id) == application_id,
        was_shown(),
    )
    async with connections.sessions() as session:
        await visible_application(session, application_id, principal)
        document = (await session.execute(query)).scalar_one_or_none()
    if document is None or document.file_key is None or document.media_type is None:
        raise _no_file()
    try:
        return await file_answer(
            parts.files,
            document.file_key,
            document.sha256,
            media_type=document.media_type,
            disposition=_disposition(document),
            if_none_match=if_none_match,
        )
    except FileMissingError:
        raise _no_file() from None


async def _require_editable(
    sessions: Sessions, application_id: UUID, principal: Principal, expires_on: date | None
) -> None:
    """Refuse before anything is stored what is refused again, for good, under the lock."""
    async with sessions() as session:
        facts = await editable_application(session, application_id, principal.person_id, for_update=False)
        if isinstance(facts, Refused):
            raise ProblemError(facts.reason, facts.detail)
        if expires_on is not None and expires_on < await academy_day(session, now()):
            part = InvalidField(pointer="#/expires_on", detail="The document has expired.")
            raise ProblemError(Reason.INVALID_REQUEST, "See `errors` for what is not valid.", errors=[part])


def _looked_at(upload: UploadFile, shown: NewDocument, application_id: UUID) -> NewDocument:
    """The document with what its file is. Raises the problems `payload_too_large` and `unsupported_file`."""
    found = looked_at(upload)
    return replace(
        shown,
        sha256=found.sha256,
        file_key=file_key_of(application_id, shown.id),
        file_name=_plain_name(upload.filename or ""),
        media_type=found.media_type,
        size=found.size,
    )


@asynccontextmanager
async def _stored(
    parts: Parts, sessions: Sessions, application_id: UUID, shown: NewDocument, file: IO[bytes]
) -> AsyncIterator[None]:
    """Store the file, and remove it again if its row does not come about."""
    assert shown.file_key is not None  # noqa: S101 - a file that was looked at has all three
    assert shown.media_type is not None  # noqa: S101
    try:
        await parts.files.put_file(shown.file_key, file, shown.media_type)
        yield
    finally:  # also where all went well: the same file may have been there already
        await forget_unless_recorded(sessions, parts.files, application_id, shown.id)


async def _record(
    parts: Parts,
    connections: Connections,
    application_id: UUID,
    shown: NewDocument,
    replaces: UUID | None,
    principal: Principal,
) -> tuple[DocumentView, bool]:
    async with connections.sessions.begin() as session:
        added = await add_document(
            session, application_id, principal.person_id, shown, replaces=replaces, actor=principal.actor
        )
    if isinstance(added, Refused):
        raise ProblemError(added.reason, added.detail)
    await forget_documents(connections.sessions, parts.files, application_id, added.to_forget)
    return document_view(added.document, ApplicationStatus.DRAFT, for_reviewer=False), added.is_new


def _plain_name(name: str) -> str | None:
    """The last part of what the applicant calls it, without what cannot be seen."""
    last = re.split(r"[/\\]", name)[-1]
    seen = "".join(letter for letter in last if unicodedata.category(letter)[0] != "C").strip()
    return seen[-_LONGEST_NAME:] or None


def _disposition(document: ApplicationDocument) -> str:
    """To be saved, never shown, under a name that ends as its type does."""
    endings = EXTENSIONS.get(document.media_type or "", ("",))
    name = document.file_name or document.kind
    name = name if name.lower().endswith(endings) else f"{name}{endings[0]}"
    return f"attachment; filename*=UTF-8''{quote(name, safe='')}"


def _no_file() -> ProblemError:
    return ProblemError(Reason.NOT_FOUND, "There is no such file, or it is not there any more.")
