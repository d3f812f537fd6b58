"""The reviewers' work on an application: judge a document, take it, decide; and the record of all that as a PDF."""

import asyncio
from http import HTTPStatus
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.application_record import APPLICATION
from activities.decision_record import decision_record
from activities.decision_record_pdf import render_decision_record
from activities.task_record import actors_of
from models.errors import Reason
from models.messages.applications import MAX_REASONS, AssignReview, JudgeDocument
from models.messages.tasks import DecideTask
from models.tables import ApplicationDocument, HumanTask, TutorApplication
from models.vocabulary import DocumentVerdict, ReviewReason, Role, TaskAction, TaskKind, TaskStatus
from routes.application_reading import reviewed_application, unknown_application, whole_application
from routes.application_start import DECISION_REFUSALS, tell_application
from routes.application_views import WHOLE_APPLICATION, WholeApplicationView
from routes.authentication import REFUSALS, AuthenticatedRoute, require
from routes.documentation import answer, problems
from routes.parts import Connections, TheConnections
from routes.problems import ProblemError
from routes.task_decisions import Said, decide, not_open
from routes.tokens import Principal
from routes.validation import InvalidField, NoteText
from rules.tutor_application import WITH_REVIEWERS

router = APIRouter(prefix="/v1/tutor-applications", tags=["tutor applications"], route_class=AuthenticatedRoute)

_MayReview = Annotated[Principal, Depends(require(Role.STAFF, Role.ADMIN))]
_WHOLE = answer(HTTPStatus.OK, "The application, and how it stands", WHOLE_APPLICATION)
_USUAL = (
    *REFUSALS,
    Reason.INVALID_REQUEST,
    Reason.NOT_FOUND,
    Reason.NOT_A_REVIEWER,
    Reason.OWN_APPLICATION,
    Reason.UNAVAILABLE,
)
_PDF: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The record",
        "content": {"application/pdf": {"schema": {"type": "string", "format": "binary"}, "example": "%PDF-1.4 …"}},
    }
}


class VerdictBody(BaseModel):
    """What a reviewer says of one document."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    verdict: DocumentVerdict
    reason: ReviewReason | None = Field(default=None, description="given exactly where the verdict is `rejected`")

    @model_validator(mode="after")
    def _reason_belongs_to_rejection(self) -> Self:
        if (self.reason is not None) is not (self.verdict is DocumentVerdict.REJECTED):
            raise PydanticCustomError("refused_here", "A reason is given exactly where the verdict is `rejected`.")
        return self


class ReviewerBody(BaseModel):
    """Who looks after the application."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reviewer: Literal["me"] | UUID | None = Field(description="`me`, the id of a reviewer, or null for nobody")


class ApplicationDecisionBody(BaseModel):
    """What is decided of the application."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: TaskAction = Field(description="what the open task allows")
    reasons: tuple[ReviewReason, ...] = Field(
        default=(), max_length=MAX_REASONS, description="told to the applicant; needed unless it is approved"
    )
    note: NoteText | None = Field(default=None, description="for reviewers alone")
    message: NoteText | None = Field(default=None, description="for the applicant")
    task_id: UUID | None = Field(
        default=None, description="the task that you have seen; needed unless it is the review itself"
    )


@router.post(
    "/{application_id}/documents/{document_id}/verdict",
    summary="Judge a document",
    responses={
        **_WHOLE,
        **problems(
            *_USUAL,
            Reason.PAYLOAD_TOO_LARGE,
            Reason.REASONS_REQUIRED,
            Reason.APPLICATION_NOT_IN_REVIEW,
            Reason.APPLICATION_OVER,
        ),
    },
)
async def post_verdict(
    application_id: UUID,
    document_id: UUID,
    body: Annotated[
        VerdictBody,
        Body(
            openapi_examples={
                "good": {"summary": "Good", "value": {"verdict": "accepted"}},
                "bad": {"summary": "Not good", "value": {"verdict": "rejected", "reason": "document_unreadable"}},
            }
        ),
    ],
    principal: _MayReview,
    connections: TheConnections,
) -> WholeApplicationView:
    """Any reviewer but the applicant; of the current version of a document. The last word counts."""
    current = select(ApplicationDocument).where(
        col(ApplicationDocument.id) == document_id,
        col(ApplicationDocument.application_id) == application_id,
        col(ApplicationDocument.replaced_at).is_(None),
    )
    async with connections.sessions() as session:
        application = await reviewed_application(session, application_id, principal)
        document = (await session.execute(current)).scalar_one_or_none()
    if document is None:
        raise ProblemError(Reason.NOT_FOUND, "The application has no such document now.")
    judgement = JudgeDocument(document_id=document_id, verdict=body.verdict, reason=body.reason, actor=principal.actor)
    said = document.verdict, document.verdict_reason, document.judged_by
    # A workflow takes so many updates and no more: what is on record already is not told again.
    if said != (body.verdict, body.reason, principal.actor):
        await tell_application(connections.temporal, application, "judge_document", judgement)
    return await _show(connections, application_id, principal)


@router.post(
    "/{application_id}/assign",
    summary="Take an application, or give it to a reviewer",
    responses={
        **_WHOLE,
        **problems(*_USUAL, Reason.PAYLOAD_TOO_LARGE, Reason.APPLICATION_NOT_IN_REVIEW, Reason.APPLICATION_OVER),
    },
)
async def post_reviewer(
    application_id: UUID,
    body: Annotated[
        ReviewerBody,
        Body(
            openapi_examples={
                "mine": {"summary": "Take it", "value": {"reviewer": "me"}},
                "nobody": {"summary": "Give it back", "value": {"reviewer": None}},
            }
        ),
    ],
    principal: _MayReview,
    connections: TheConnections,
) -> WholeApplicationView:
    """Its open task goes with it. Any other reviewer may still decide it."""
    async with connections.sessions() as session:
        application = await reviewed_application(session, application_id, principal)
    await assign_review(connections, application, body.reviewer, principal)
    return await _show(connections, application_id, principal)


@router.post(
    "/{application_id}/decision",
    summary="Decide an application",
    responses={
        **_WHOLE,
        **problems(*_USUAL, *DECISION_REFUSALS, Reason.PAYLOAD_TOO_LARGE),
    },
)
async def post_decision(
    application_id: UUID,
    body: Annotated[
        ApplicationDecisionBody,
        Body(
            openapi_examples={
                "approve": {"summary": "Make them a tutor", "value": {"action": "approve"}},
                "ask": {
                    "summary": "Ask for information",
                    "value": {
                        "action": "request_info",
                        "reasons": ["document_unreadable"],
                        "message": "The second page cannot be read.",
                    },
                },
            }
        ),
    ],
    principal: _MayReview,
    connections: TheConnections,
) -> WholeApplicationView:
    """Decides the task that is open. A second opinion names its task, so that nobody gives one by mistake.

    Note and message are kept before the workflow is asked, and taken back if it refuses. The very same decision again
    is answered as the first was.
    """
    async with connections.sessions() as session:
        application = await reviewed_application(session, application_id, principal)
        task = await _task(session, application, body, principal)
    is_review = task.kind == TaskKind.TUTOR_REVIEW
    if not is_review and body.message is not None:
        part = InvalidField(pointer="#/message", detail="The applicant is told of the review, not of a second opinion.")
        raise ProblemError(Reason.INVALID_REQUEST, "See `errors` for what is not valid.", errors=[part])
    decision = DecideTask(
        task_id=task.id, action=body.action, actor=principal.actor, reasons=tuple(dict.fromkeys(body.reasons))
    )
    said = Said(note=body.note, message=body.message)
    await decide(connections.sessions, connections.temporal, task, decision, said)
    return await _show(connections, application_id, principal)


@router.get(
    "/{application_id}/decision-record.pdf",
    summary="Download the record of the decisions",
    response_class=Response,
    responses={**_PDF, **problems(*_USUAL)},
)
async def get_decision_record(application_id: UUID, principal: _MayReview, connections: TheConnections) -> Response:
    """Who decided what, when, why, and on the grounds of which version of which document; for reviewers."""
    async with connections.sessions() as session:
        await reviewed_application(session, application_id, principal)
        record = await decision_record(session, application_id)
    if record is None:
        raise unknown_application()
    pdf = await asyncio.to_thread(render_decision_record, record)
    headers = {"Content-Disposition": f'attachment; filename="decision-record-{application_id}.pdf"'}
    return Response(pdf, media_type="application/pdf", headers=headers)


async def assign_review(
    connections: Connections,
    application: TutorApplication,
    reviewer: Literal["me"] | UUID | None,
    principal: Principal,
) -> None:
    """Have the workflow give the application to a reviewer. Raises `ProblemError` if it does not."""
    reviewer_id = principal.person_id if reviewer == "me" else reviewer
    if reviewer == "me" and reviewer_id is None:
        raise ProblemError(Reason.NOT_A_REVIEWER, "The record does not know you as a person.")
    if await _is_with(connections, application.id, reviewer_id):
        return
    assignment = AssignReview(reviewer_id=reviewer_id, actor=principal.actor)
    await tell_application(connections.temporal, application, "assign", assignment)


async def _is_with(connections: Connections, application_id: UUID, reviewer_id: UUID | None) -> bool:
    """Whether the application and its open review are this reviewer's, or nobody's, already."""
    query = select(col(HumanTask.assignee)).where(
        col(TutorApplication.id) == application_id,
        col(TutorApplication.reviewer_id).is_not_distinct_from(reviewer_id),
        col(HumanTask.subject_kind) == APPLICATION,
        col(HumanTask.subject_id) == col(TutorApplication.id),
        col(HumanTask.kind) == TaskKind.TUTOR_REVIEW,
        col(HumanTask.status) == TaskStatus.OPEN,
    )
    async with connections.sessions() as session:
        assignees = (await session.execute(query)).scalars().all()
    wanted = None if reviewer_id is None else actors_of(str(reviewer_id))[0]
    return bool(assignees) and set(assignees) == {wanted}


async def _show(connections: Connections, application_id: UUID, principal: Principal) -> WholeApplicationView:
    async with connections.sessions() as session:
        return await whole_application(session, application_id, principal)


async def _task(
    session: AsyncSession, application: TutorApplication, body: ApplicationDecisionBody, principal: Principal
) -> HumanTask:
    """The open task that is meant, else one that the caller has just decided so, where the request is a repeat.

    Without a name it is the review: what is approved there is the applicant.
    """
    query = (
        select(HumanTask)
        .where(
            col(HumanTask.subject_kind) == APPLICATION,
            col(HumanTask.subject_id) == application.id,
            col(HumanTask.kind).in_((TaskKind.TUTOR_REVIEW, TaskKind.TUTOR_SECOND_OPINION)),
        )
        .order_by(col(HumanTask.created_at).desc(), col(HumanTask.id))
    )
    tasks = (await session.execute(query)).scalars().all()
    meant = [
        task
        for task in tasks
        if task.id == body.task_id or (body.task_id is None and task.kind == TaskKind.TUTOR_REVIEW)
    ]
    open_tasks = [task for task in tasks if task.status == TaskStatus.OPEN]
    newest = next((task for task in meant if task in open_tasks), meant[0] if meant else None)
    if newest is not None and (
        newest in open_tasks or (newest.decided_by, newest.decision) == (principal.actor, body.action)
    ):
        return newest
    if application.status not in WITH_REVIEWERS:
        raise ProblemError(Reason.APPLICATION_NOT_IN_REVIEW, f"The application is {application.status}.")
    if body.task_id is None and open_tasks:
        raise ProblemError(Reason.TASK_NOT_OPEN, "The review was decided; name the task to give a second opinion.")
    raise not_open()
