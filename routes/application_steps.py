"""The applicant's steps: hand in, answer, withdraw. The workflow takes them.

A workflow takes so many updates and no more, so it hears only of steps that change something: what was done already and
what is refused is answered from the record.
"""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Depends
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from activities.application_checks import check_answer, check_submission, check_withdrawal
from activities.application_record import APPLICANT_MESSAGE, ApplicationFacts, application_facts
from activities.task_record import Remark
from models.errors import Reason
from models.messages.applications import ByApplicant, CheckedApplication
from models.tables import TutorApplication
from models.vocabulary import Role
from routes.application_reading import unknown_application, whole_application
from routes.application_start import Update, tell_application
from routes.application_views import WHOLE_APPLICATION, WholeApplicationView
from routes.authentication import REFUSALS, AuthenticatedRoute, require
from routes.documentation import answer, problems
from routes.parts import Connections, TheConnections
from routes.problems import ProblemError
from routes.refusals import missing_parts
from routes.task_decisions import kept
from routes.tokens import Principal
from routes.validation import NoteText

router = APIRouter(prefix="/v1/tutor-applications", tags=["tutor applications"], route_class=AuthenticatedRoute)

_Check = Callable[[AsyncSession, ApplicationFacts], Awaitable[CheckedApplication | None]]
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
    application, is_done = await _checked(connections, application_id, principal, check_submission)
    return await _step(connections, application, None if is_done else "submit", principal)


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
    application, is_done = await _checked(connections, application_id, principal, check_answer)
    if is_done:  # said once is said: who repeats an answer that was taken adds nothing to it
        return await _step(connections, application, None, principal)
    message = None if body is None else body.message
    remarks = (
        [Remark(APPLICANT_MESSAGE, application.id, principal.actor, message, f"round-{application.rounds}")]
        if message is not None
        else []
    )
    async with kept(connections.sessions, remarks):
        return await _step(connections, application, "answer", principal)


@router.post("/{application_id}/withdraw", summary="Withdraw an application", responses={**_DONE, **problems(*_USUAL)})
async def withdraw_application(
    application_id: UUID, principal: _ThePerson, connections: TheConnections
) -> WholeApplicationView:
    """At any time before it is decided."""
    application, is_done = await _checked(connections, application_id, principal, check_withdrawal)
    return await _step(connections, application, None if is_done else "withdraw", principal)


async def _checked(
    connections: Connections, application_id: UUID, principal: Principal, check: _Check
) -> tuple[TutorApplication, bool]:
    """The caller's own application, and whether the step was taken already. Raises the problem if it is refused."""
    async with connections.sessions() as session:
        found = await application_facts(session, application_id)
        if found is None or found.application.applicant_id != principal.person_id:
            raise unknown_application()
        checked = await check(session, found)
    if checked is not None and checked.refusal is not None:
        raise ProblemError(
            checked.refusal, checked.refusal_detail or "It was refused.", errors=missing_parts(checked.missing)
        )
    return found.application, checked is not None


async def _step(
    connections: Connections, application: TutorApplication, update: Update | None, principal: Principal
) -> WholeApplicationView:
    """Have the workflow take the step, if there is one to take; how the application stands then."""
    if update is not None:
        await tell_application(connections.temporal, application, update, ByApplicant(actor=principal.actor))
    async with connections.sessions() as session:
        return await whole_application(session, application.id, principal)
