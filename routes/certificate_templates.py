"""Templates of certificates: written as canvases, and looked at before anybody is certified by them."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Form, Query, Request, Response, UploadFile
from fastapi.openapi.models import Example
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import Select, select
from sqlmodel import col
from temporalio.exceptions import ApplicationError

from activities.certificate_documents import background_key
from activities.certificate_pdf import check_background, render_certificate_pdf
from activities.certificate_samples import SAMPLE_URL, sample_facts, shipped_templates
from activities.certificate_templates import canvas_of, create_template, save_template
from activities.database import Sessions
from activities.files import FileMissingError, FileStore
from models.canvas import Canvas, canvas_from
from models.errors import Reason
from models.identifiers import certificate_template_id_for
from models.tables import CertificateTemplate, CertificateTemplateVersion
from models.vocabulary import Role
from routes.authentication import REFUSALS, AuthenticatedRoute, require
from routes.documentation import answer, location_header, problems
from routes.legal_names import WantedName
from routes.pagination import LIST_HEADERS, Page, PageQuery, example_page, page_of, sorted_page, total_of
from routes.parts import TheConnections, TheParts
from routes.problems import ProblemError
from routes.stored_files import file_answers
from routes.tokens import Principal
from routes.uploads import MAX_UPLOAD_BYTES, looked_at
from routes.validation import InvalidField, idempotency_header
from rules.decision import Refused

router = APIRouter(prefix="/v1", tags=["certificates"], route_class=AuthenticatedRoute)

# The paths of uploads and what may be posted there.
UPLOADS = {re.compile(r"/v1/certificate-backgrounds"): MAX_UPLOAD_BYTES}

_MayRead = Annotated[Principal, Depends(require(Role.STAFF, Role.ADMIN))]
_MayWrite = Annotated[Principal, Depends(require(Role.ADMIN))]
_SORTABLE = {"name": col(CertificateTemplate.name), "updated_at": col(CertificateTemplate.updated_at)}
_USUAL = (*REFUSALS, Reason.INVALID_REQUEST, Reason.UNAVAILABLE)
_PDF = "application/pdf"
_BACKGROUNDS = ("image/png", "image/jpeg")

Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
_Language = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$", max_length=35)]
# Read by models.canvas, which says of each wrong field where it is.
CanvasContent = Annotated[
    dict[str, object],
    Field(description="page, background or frame, boxes from the top left, QR code; lengths in points (models/canvas)"),
]


class TemplateBody(BaseModel):
    """What a template is called, and how it looks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: Title
    canvas: CanvasContent


class NewTemplateBody(TemplateBody):
    """A template with the academy's own short name for it."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]


class PreviewBody(BaseModel):
    """What to look at: the template as it is kept, or this canvas, about somebody made up."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    canvas: CanvasContent | None = None
    name: WantedName | None = Field(default=None, description="whose certificate it is")
    language: _Language = "en"


class TemplateView(BaseModel):
    """A template, by its latest version."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: UUID
    name: str
    title: str
    version: int = Field(description="the latest; what is issued from now on is printed by it")
    canvas: Canvas
    updated_at: datetime


class BackgroundView(BaseModel):
    """An image that canvases may refer to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str
    media_type: str


class TemplateQuery(PageQuery):
    """Which templates to list."""

    sort: Literal["name", "name:desc", "updated_at", "updated_at:desc"] = "name"


class BackgroundForm(BaseModel):
    """An image."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: UploadFile = Field(description="PNG or JPEG, 10 MB at most")


_TEMPLATE = TemplateView(
    id=UUID("0198f3a0-8888-7000-8000-000000000001"),
    name="classic",
    title="Certificate of completion",
    version=3,
    canvas=shipped_templates()["classic"],
    updated_at=datetime(2026, 2, 1, 9, 0, tzinfo=UTC),
)
_BACKGROUND = BackgroundView(sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", media_type="image/png")  # noqa: E501  # fmt: skip
_WRITTEN: dict[str, object] = {
    "title": _TEMPLATE.title,
    "canvas": _TEMPLATE.canvas.model_dump(mode="json", exclude_defaults=True),
}
_EXAMPLES: dict[str, Example] = {"classic": {"summary": "One that ships", "value": _WRITTEN}}
_LOCATION = location_header(f"/v1/certificate-templates/{_TEMPLATE.id}")


@router.get(
    "/certificate-templates",
    summary="List templates of certificates",
    responses={
        **answer(HTTPStatus.OK, "One page of templates", example_page(_TEMPLATE), LIST_HEADERS),
        **problems(*_USUAL),
    },
)
async def get_certificate_templates(
    asked: Annotated[TemplateQuery, Query()],
    _principal: _MayRead,
    connections: TheConnections,
    request: Request,
    response: Response,
) -> Page[TemplateView]:
    """Each by its latest version."""
    page = sorted_page(_templates(), asked, asked.sort, _SORTABLE, col(CertificateTemplate.id))
    async with connections.sessions() as session:
        total = await total_of(session, _templates())
        views = [_view(template, canvas) for template, canvas in await session.execute(page)]
    return page_of(request, response, asked, views, total)


@router.post(
    "/certificate-templates",
    status_code=HTTPStatus.CREATED,
    summary="Write a template of certificates",
    responses={
        **answer(HTTPStatus.CREATED, "The template", _TEMPLATE, _LOCATION),
        **problems(
            *_USUAL,
            Reason.IDEMPOTENCY_KEY_MISSING,
            Reason.IDEMPOTENCY_KEY_REUSED,
            Reason.PAYLOAD_TOO_LARGE,
            Reason.TEMPLATE_INVALID,
        ),
    },
)
async def post_certificate_template(
    body: Annotated[
        NewTemplateBody,
        Body(openapi_examples={"classic": {"summary": "One that ships", "value": {"name": "classic", **_WRITTEN}}}),
    ],
    idempotency_key: Annotated[str, idempotency_header("the same key is the same template")],
    principal: _MayWrite,
    parts: TheParts,
    connections: TheConnections,
    response: Response,
) -> TemplateView:
    """In the shape of Academy of Mine; its fonts are taken for those that ship. Every wrong field is named."""
    canvas = await _checked(parts.files, body.canvas)
    template_id = certificate_template_id_for(principal.subject, idempotency_key)
    async with connections.sessions.begin() as session:
        made = await create_template(session, template_id, body.name, body.title, canvas, actor=principal.actor)
    if isinstance(made, Refused) and made.reason is Reason.IDEMPOTENCY_KEY_REUSED:
        raise ProblemError(made.reason, made.detail)
    if isinstance(made, Refused):
        field = InvalidField(pointer="#/name", detail="Another template has this name.")
        raise ProblemError(made.reason, "Another template has this name.", errors=[field])
    response.headers["Location"] = f"/v1/certificate-templates/{template_id}"
    return await _read(connections.sessions, template_id)


@router.get(
    "/certificate-templates/{template_id}",
    summary="Read a template of certificates",
    responses={**answer(HTTPStatus.OK, "The template", _TEMPLATE), **problems(*_USUAL, Reason.NOT_FOUND)},
)
async def get_certificate_template(
    template_id: UUID, _principal: _MayRead, connections: TheConnections
) -> TemplateView:
    """By its latest version."""
    return await _read(connections.sessions, template_id)


@router.put(
    "/certificate-templates/{template_id}",
    summary="Change a template of certificates",
    responses={
        **answer(HTTPStatus.OK, "The template", _TEMPLATE),
        **problems(*_USUAL, Reason.NOT_FOUND, Reason.PAYLOAD_TOO_LARGE, Reason.TEMPLATE_INVALID),
    },
)
async def put_certificate_template(
    template_id: UUID,
    body: Annotated[TemplateBody, Body(openapi_examples=_EXAMPLES)],
    principal: _MayWrite,
    parts: TheParts,
    connections: TheConnections,
) -> TemplateView:
    """Another canvas is a new version. What is issued already stays as it is."""
    canvas = await _checked(parts.files, body.canvas)
    async with connections.sessions.begin() as session:
        saved = await save_template(session, template_id, body.title, canvas, actor=principal.actor)
    if saved is None:
        raise _unknown_template()
    return await _read(connections.sessions, template_id)


@router.post(
    "/certificate-templates/{template_id}/preview",
    summary="Look at a template of certificates",
    response_class=Response,
    responses={
        200: file_answers("The certificate of nobody", [_PDF], "%PDF-1.7…")[200],
        **problems(*_USUAL, Reason.NOT_FOUND, Reason.PAYLOAD_TOO_LARGE, Reason.TEMPLATE_INVALID),
    },
)
async def preview_certificate_template(
    template_id: UUID,
    _principal: _MayRead,
    parts: TheParts,
    connections: TheConnections,
    body: Annotated[
        PreviewBody | None,
        Body(
            openapi_examples={
                "kept": {"summary": "As it is kept", "value": {}},
                "arabic": {"summary": "For somebody else", "value": {"name": "ليلى الحسيني", "language": "ar"}},
            }
        ),
    ] = None,
) -> Response:
    """As it would be printed, about made-up facts; with a canvas, before it is kept."""
    asked = body or PreviewBody()
    async with connections.sessions() as session:
        kept = await canvas_of(session, template_id)
    if kept is None:
        raise _unknown_template()
    canvas = kept if asked.canvas is None else await _checked(parts.files, asked.canvas)
    background = await _background(parts.files, canvas)
    facts = sample_facts(canvas, asked.name, asked.language)
    with _template_refusals():
        pdf = await asyncio.to_thread(render_certificate_pdf, canvas, facts, background, SAMPLE_URL)
    headers = {"Content-Disposition": 'inline; filename="preview.pdf"', "Cache-Control": "no-store"}
    return Response(pdf, media_type=_PDF, headers=headers)


@router.post(
    "/certificate-backgrounds",
    status_code=HTTPStatus.CREATED,
    summary="Upload a background of certificates",
    responses={
        **answer(HTTPStatus.CREATED, "What a canvas says to refer to it", _BACKGROUND),
        **problems(*_USUAL, Reason.PAYLOAD_TOO_LARGE, Reason.UNSUPPORTED_FILE, Reason.TEMPLATE_INVALID),
    },
)
async def post_certificate_background(
    form: Annotated[
        BackgroundForm,
        Form(
            media_type="multipart/form-data",
            openapi_examples={"image": {"summary": "An image", "value": {"file": "…"}}},
        ),
    ],
    _principal: _MayWrite,
    parts: TheParts,
) -> BackgroundView:
    """The same image again is the same background."""
    found = await asyncio.to_thread(looked_at, form.file)
    if found.media_type not in _BACKGROUNDS:
        raise ProblemError(Reason.UNSUPPORTED_FILE, "Send a picture as PNG or JPEG.")
    form.file.file.seek(0)
    content = form.file.file.read()
    with _template_refusals():
        await asyncio.to_thread(check_background, content, found.media_type)
    await parts.files.put(background_key(found.sha256), content, found.media_type)
    return BackgroundView(sha256=found.sha256, media_type=found.media_type)


async def _checked(files: FileStore, content: dict[str, object]) -> Canvas:
    """The canvas that was sent. Raises the problem `template_invalid`, naming every wrong field."""
    with _template_refusals():
        canvas = canvas_from(content)
    if canvas.background is not None:
        try:
            await files.size(background_key(canvas.background.sha256))
        except FileMissingError:
            raise _no_background() from None
    return canvas


async def _background(files: FileStore, canvas: Canvas) -> bytes | None:
    if canvas.background is None:
        return None
    try:
        return await files.get(background_key(canvas.background.sha256), digest=canvas.background.sha256)
    except FileMissingError:
        raise _no_background() from None


@contextmanager
def _template_refusals() -> Iterator[None]:
    """Turn what models.canvas and the renderer refuse into a problem, with a pointer to each field."""
    try:
        yield
    except ApplicationError as refused:
        if refused.type != Reason.TEMPLATE_INVALID:
            raise
        fields = [_field(line) for line in refused.details if isinstance(line, str)]
        raise ProblemError(Reason.TEMPLATE_INVALID, refused.message, errors=fields) from None


def _field(line: str) -> InvalidField:
    """`boxes.3.font_color: is no color` as a pointer and a sentence."""
    path, separator, detail = line.partition(": ")
    if not separator:
        return InvalidField(pointer="#/canvas", detail=line)
    return InvalidField(pointer=f"#/canvas/{path.replace('.', '/')}", detail=detail)


def _no_background() -> ProblemError:
    field = InvalidField(pointer="#/canvas/background/sha256", detail="There is no such image; upload it first.")
    return ProblemError(Reason.TEMPLATE_INVALID, "The background of the template is not there.", errors=[field])


def _unknown_template() -> ProblemError:
    return ProblemError(Reason.NOT_FOUND, "There is no such template.")


def _templates() -> Select[*tuple[Any, ...]]:
    return select(CertificateTemplate, CertificateTemplateVersion).join(
        CertificateTemplateVersion,
        (col(CertificateTemplateVersion.template_id) == col(CertificateTemplate.id))
        & (col(CertificateTemplateVersion.version) == col(CertificateTemplate.version)),
    )


def _view(template: CertificateTemplate, latest: CertificateTemplateVersion) -> TemplateView:
    return TemplateView(
        id=template.id,
        name=template.name,
        title=template.title,
        version=template.version,
        canvas=Canvas.model_validate(latest.canvas),
        updated_at=template.updated_at,
    )


async def _read(sessions: Sessions, template_id: UUID) -> TemplateView:
    async with sessions() as session:
        row = (await session.execute(_templates().where(col(CertificateTemplate.id) == template_id))).one_or_none()
    if row is None:
        raise _unknown_template()
    return _view(*row)
