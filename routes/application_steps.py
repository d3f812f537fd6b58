"""The applicant's steps: hand in, answer, withdraw. The workflow takes them."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Depends
from pydantic import BaseModel, ConfigDict, Field

from activities.application_record import APPLICANT_MESSAGE
from models.errors import Reason
from models.messages.applications import ByApplicant
from models.tables import TutorApplication
from models.vocabulary import ApplicationStatus, Role
from routes.application_reading import own_application, whole_application
from routes.application_start import Update, tell_application
from routes.application_views import WHOLE_APPLICATION, WholeApplicationView
from routes.authentication import REFUSALS, AuthenticatedRoute, require
from routes.documentation import answer, problems
from routes.parts import Connections, TheConnections
from routes.task_decisions import Remark, kept
from routes.tokens import Principal
from routes.validation import NoteText

router = APIRouter(prefix="/v1/tutor-applications", tags=["tutor applications"], route_class=AuthenticatedRoute)

_ThePerson = Annotated[Principal, Depends(require(Role.STUDENT, Role.TUTOR, Role.STAFF, Role.ADMIN))]
_DONE = answer(HTTPStatus.OK, "The application, and how it stands", WHOLE_APPLICATION)
_USUAL = (
    *REFUSALS,
    Reason.INVALID_REQUEST,
    Reason.NOT_FOUND,
    Reason.APPLICATION_OVER,
    Reason.UNAVAILABLE,
)


class AnswerBody(BaseModel):
    """What the applicant has to say about what they were asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    message: NoteText | None = Field(default=None, description="for the reviewers")


@router.post(
    "/{application_id}/submit",
    summary="Hand an application in",
    responses={
        **_DONE,
        **problems(
            *_USUAL, Reason.APPLICATION_INCOMPLETE, Reason.APPLICATION_NOT_EDITABLE, Reason.TOO_MANY_APPLICATIONS
        ),
    },
)
async def submit_application(
    application_id: UUID, principal: _ThePerson, connections: TheConnections
) -> WholeApplicationView:
    """Refused with everything that is missing, one by one in `errors`. Handing in again changes nothing."""
    application = await _own(connections, application_id, principal)
    return await _step(connections, application, "submit", principal)


@router.post(
    "/{application_id}/answer",
    summary="Say that what was asked for is there",
    responses={
        **_DONE,
        **problems(*_USUAL, Reason.PAYLOAD_TOO_LARGE, Reason.APPLICATION_INCOMPLETE, Reason.NO_INFO_REQUESTED),
    },
)
async def answer_application(
    application_id: UUID,
    principal: _ThePerson,
    connections: TheConnections,
    body: Annotated[
        AnswerBody | None,
        Body(
            openapi_examples={
                "said": {"summary": "With some words", "value": {"message": "The second page is readable now."}}
            }
        ),
    ] = None,
) -> WholeApplicationView:
    """After the application was completed. A message is kept unless the answer is refused."""
    application = await _own(connections, application_id, principal)
    message = None if body is None else body.message
    # Said once is said: who repeats an answer that was taken adds nothing to it.
    is_asked = application.status == ApplicationStatus.INFO_REQUESTED
    remarks = (
        [Remark(APPLICANT_MESSAGE, application.id, principal.actor, message, f"round-{application.rounds}")]
        if is_asked and message is not None
        else []
    )
    async with kept(connections.sessions, remarks):
        return await _step(connections, application, "answer", principal)


@router.post("/{application_id}/withdraw", summary="Withdraw an application", responses={**_DONE, **problems(*_USUAL)})
async def withdraw_application(
    application_id: UUID, principal: _ThePerson, connections: TheConnections
) -> WholeApplicationView:
    """At any time before it is decided."""
    application = await _own(connections, application_id, principal)
    return await _step(connections, application, "withdraw", principal)


async def _own(connections: Connections, application_id: UUID, principal: Principal) -> TutorApplication:
    async with connections.sessions() as session:
        return await own_application(session, application_id, principal)


async def _step(
    connections: Connections, application: TutorApplication, update: Update, principal: Principal
) -> WholeApplicationView:
    await tell_application(connections.temporal, application, update, ByApplicant(actor=principal.actor))
    async with connections.sessions() as session:
        return await whole_application(session, application.id, principal)
