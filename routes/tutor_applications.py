"""Tutors' applications: begun, listed, read, written."""

from http import HTTPStatus
from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from activities.application_documents import editable_application, unknown_subjects
from activities.database import Sessions
from models.errors import Reason
from models.identifiers import tutor_application_id_for
from models.messages.applications import ApplicationRef
from models.tables import TutorApplication
from models.tables.columns import now
from models.vocabulary import Role
from routes.application_reading import ApplicationQuery, list_applications, whole_application
from routes.application_start import START_REFUSALS, start_application
from routes.application_views import APPLICATION, WHOLE_APPLICATION, ApplicationView, WholeApplicationView
from routes.authentication import REFUSALS, AuthenticatedRoute, require
from routes.documentation import answer, location_header, problems
from routes.pagination import LIST_HEADERS, Page, example_page, page_of
from routes.parts import TheConnections
from routes.problems import ProblemError
from routes.tokens import Principal
from routes.validation import SubjectCode, idempotency_header
from rules.decision import Refused
from rules.tutor_application import MAX_SUBJECTS

router = APIRouter(prefix="/v1/tutor-applications", tags=["tutor applications"], route_class=AuthenticatedRoute)

_TheCaller = Annotated[Principal, Depends(require())]
_ThePerson = Annotated[Principal, Depends(require(Role.STUDENT, Role.TUTOR, Role.STAFF, Role.ADMIN))]
# PostgreSQL knows no NUL in a text.
_Words = Annotated[str, StringConstraints(strip_whitespace=True, max_length=4000, pattern=r"^[^\x00]*$")]
_WHOLE = answer(HTTPStatus.OK, "The application", WHOLE_APPLICATION)


class BeginBody(BaseModel):
    """Whether an earlier application is taken over."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    copy_from: UUID | None = Field(default=None, description="an earlier application of yours, to start from")


class ApplicationBody(BaseModel):
    """What the applicant says. What is not sent stays as it is, and null takes it away."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    certifications: _Words | None = None
    qualifications: _Words | None = None
    bio: _Words | None = None
    subjects: tuple[SubjectCode, ...] = Field(
        default=(), max_length=MAX_SUBJECTS, description="codes of `/v1/subjects`"
    )

    @model_validator(mode="after")
    def _each_subject_once(self) -> Self:
        if len(set(self.subjects)) < len(self.subjects):
            raise PydanticCustomError("refused_here", "Each subject is named once.")
        return self


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    summary="Begin an application",
    responses={
        **answer(
            HTTPStatus.CREATED,
            "The draft",
            WHOLE_APPLICATION,
            location_header(f"/v1/tutor-applications/{APPLICATION.id}"),
        ),
        **problems(
            *REFUSALS,
            *START_REFUSALS,
            Reason.INVALID_REQUEST,
            Reason.IDEMPOTENCY_KEY_MISSING,
            Reason.PAYLOAD_TOO_LARGE,
            Reason.UNAVAILABLE,
        ),
    },
)
async def post_application(
    body: Annotated[
        BeginBody,
        Body(
            openapi_examples={
                "new": {"summary": "From the beginning", "value": {}},
                "again": {"summary": "From an earlier one", "value": {"copy_from": str(APPLICATION.id)}},
            }
        ),
    ],
    idempotency_key: Annotated[str, idempotency_header("the same key is the same application")],
    principal: _ThePerson,
    connections: TheConnections,
    response: Response,
) -> WholeApplicationView:
    """For oneself. The draft is then written by `PATCH`, and documents are added, until it is submitted."""
    if principal.person_id is None:
        raise ProblemError(Reason.UNKNOWN_PERSON, "The record does not know you as a person.")
    application_id = tutor_application_id_for(principal.subject, idempotency_key)
    if not await _is_on_record(connections.sessions, application_id):
        await start_application(
            connections.temporal,
            ApplicationRef(
                application_id=application_id,
                applicant_id=principal.person_id,
                actor=principal.actor,
                copy_from=body.copy_from,
            ),
        )
    response.headers["Location"] = f"/v1/tutor-applications/{application_id}"
    async with connections.sessions() as session:
        return await whole_application(session, application_id, principal)


@router.get(
    "",
    summary="List applications",
    responses={
        **answer(HTTPStatus.OK, "One page of applications", example_page(APPLICATION), LIST_HEADERS),
        **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.UNAVAILABLE),
    },
)
async def get_applications(
    asked: Annotated[ApplicationQuery, Query()],
    principal: _TheCaller,
    connections: TheConnections,
    request: Request,
    response: Response,
) -> Page[ApplicationView]:
    """Reviewers see what others have handed in, the most urgent first; everybody else their own, the newest first."""
    async with connections.sessions() as session:
        total, views = await list_applications(session, asked, principal)
    return page_of(request, response, asked, views, total)


@router.get(
    "/{application_id}",
    summary="Read an application",
    responses={
        **_WHOLE,
        **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.NOT_FOUND, Reason.UNAVAILABLE),
    },
)
async def get_application(
    application_id: UUID, principal: _TheCaller, connections: TheConnections
) -> WholeApplicationView:
    """For the applicant, with what it lacks and what they were told; for reviewers, with all that they have to know."""
    async with connections.sessions() as session:
        return await whole_application(session, application_id, principal)


@router.patch(
    "/{application_id}",
    summary="Write an application",
    responses={
        **_WHOLE,
        **problems(
            *REFUSALS,
            Reason.INVALID_REQUEST,
            Reason.PAYLOAD_TOO_LARGE,
            Reason.NOT_FOUND,
            Reason.APPLICATION_NOT_EDITABLE,
            Reason.UNKNOWN_SUBJECT,
            Reason.UNAVAILABLE,
        ),
    },
)
async def patch_application(
    application_id: UUID,
    body: Annotated[
        ApplicationBody,
        Body(
            openapi_examples={
                "about": {
                    "summary": "About oneself",
                    "value": {
                        "bio": "I teach Spanish to adults.",
                        "qualifications": "Seven years at a language school.",
                        "subjects": ["spanish"],
                    },
                }
            }
        ),
    ],
    principal: _ThePerson,
    connections: TheConnections,
) -> WholeApplicationView:
    """The applicant alone, in a draft and while information is asked for."""
    said: dict[str, Any] = body.model_dump(exclude_unset=True)
    async with connections.sessions.begin() as session:
        facts = await editable_application(session, application_id, principal.person_id)
        if isinstance(facts, Refused):
            raise ProblemError(facts.reason, facts.detail)
        unknown = await unknown_subjects(session, body.subjects)
        if unknown:
            raise ProblemError(Reason.UNKNOWN_SUBJECT, f"There is no subject {', '.join(unknown)}.")
        for name, value in said.items():
            setattr(facts.application, name, list(value) if name == "subjects" else value)
        facts.application.updated_at = now()
    async with connections.sessions() as session:
        return await whole_application(session, application_id, principal)


async def _is_on_record(sessions: Sessions, application_id: UUID) -> bool:
    """Whether it was begun before, however it has ended."""
    async with sessions() as session:
        return await session.get(TutorApplication, application_id) is not None
