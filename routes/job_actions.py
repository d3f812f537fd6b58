"""Actions on many jobs that a query finds: tried out, begun, watched, stopped."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Query, Request, Response
from fastapi.openapi.models import Example
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.database import Sessions
from activities.job_actions import MAX_JOBS, digest_of, outcome_of, tried_out
from activities.job_listing import InvalidQueryError
from activities.job_reading import Listed
from activities.job_steps import JobSteps, Plan
from models.errors import Reason
from models.identifiers import job_action_id_for
from models.messages.job_actions import JobActionRequest
from models.tables import BulkJobAction, BulkJobActionLine
from models.vocabulary import JobAction, JobActionOutcome, JobActionStatus, Role
from routes.authentication import REFUSALS, AuthenticatedRoute, require
from routes.documentation import answer, location_header, problems
from routes.job_views import LISTED_EXAMPLE, ListedJobView, listed_view_of
from routes.pagination import LIST_HEADERS, Page, PageQuery, example_page, matching, page_of, sorted_page, total_of
from routes.parts import TheConnections, TheParts
from routes.problems import ProblemError
from routes.refusals import PATIENCE, answered
from routes.runs import query_address, web_address
from routes.tokens import Principal
from routes.validation import idempotency_header
from rules.decision import Refused
from settings import Settings
from workflows.job_action_start import start_job_action, stop_job_action

router = APIRouter(prefix="/v1/job-actions", tags=["jobs"], route_class=AuthenticatedRoute)

_Operator = Annotated[Principal, Depends(require(Role.STAFF, Role.ADMIN))]
_SORTABLE = {"created_at": col(BulkJobAction.created_at)}
_USUAL = (*REFUSALS, Reason.INVALID_REQUEST, Reason.NOT_FOUND, Reason.UNAVAILABLE)


class JobActionBody(BaseModel):
    """What is to be done, and to which jobs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: JobAction
    query: str = Field(
        min_length=1,
        max_length=20_000,
        description="in the language of Temporal's visibility; it finds jobs of ours alone. Write no names.",
    )


class TriedOnView(BaseModel):
    """What would become of one job."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    job: ListedJobView
    outcome: JobActionOutcome = Field(description="`done` where it would be acted on")
    would: str = Field(description="what would be done, or why it is refused")


class JobActionPreviewView(BaseModel):
    """What an action would come to now. Nothing was done."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    total: int = Field(description="how many runs the query finds")
    is_too_many: bool
    first: tuple[TriedOnView, ...] = Field(description="the newest twenty")
    href: str = Field(description="the same list in the Temporal Web UI")


class JobActionView(BaseModel):
    """An action on many jobs, and how far it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: UUID
    action: JobAction
    status: JobActionStatus
    query: str
    total: int
    done: int = Field(description="had their turn")
    outcomes: dict[JobActionOutcome, int]
    reasons: dict[str, int] = Field(description="why those were not acted on that were not")
    requested_by: str
    created_at: datetime
    ended_at: datetime | None
    href: str = Field(description="its job in the Temporal Web UI")


class JobActionsQuery(PageQuery):
    """Which actions to list."""

    sort: Literal["created_at", "created_at:desc"] = "created_at:desc"
    status: JobActionStatus | None = None


_QUERY = 'RegistrarJob = "document_copy" AND ExecutionStatus = "Running"'
_ACTION = JobActionView(
    id=UUID("5a6e6c1e-0d0a-5b52-8f0e-3f5a3d1c7e21"),
    action=JobAction.RETRY,
    status=JobActionStatus.RUNNING,
    query=_QUERY,
    total=120,
    done=100,
    outcomes={JobActionOutcome.DONE: 80, JobActionOutcome.NOTHING: 20},
    reasons={Reason.NOTHING_TO_RETRY: 20},
    requested_by="staff:frida",
    created_at=datetime(2026, 3, 10, 9, 0, tzinfo=UTC),
    ended_at=None,
    href="http://127.0.0.1:8233/namespaces/default/workflows/job-action-5a6e6c1e-0d0a-5b52-8f0e-3f5a3d1c7e21",
)
_PREVIEW = JobActionPreviewView(
    total=120,
    is_too_many=False,
    first=(
        TriedOnView(job=LISTED_EXAMPLE, outcome=JobActionOutcome.DONE, would="The step read_payment is tried now."),
    ),
    href="http://127.0.0.1:8233/namespaces/default/workflows?query=RegistrarJob%20%3D%20%22document_copy%22",
)
_EXAMPLES: dict[str, Example] = {
    "retry": {"summary": "Try again what failed", "value": {"action": "retry", "query": _QUERY}},
    "cancel": {
        "summary": "Clear old carts",
        "value": {"action": "cancel", "query": 'RegistrarJob = "cart" AND StartTime < "2026-01-01T00:00:00Z"'},
    },
}


@router.post(
    "",
    status_code=HTTPStatus.ACCEPTED,
    response_model=JobActionView | JobActionPreviewView,
    summary="Act on many jobs",
    responses={
        **answer(HTTPStatus.OK, "What would happen, of a dry run", _PREVIEW),
        **answer(HTTPStatus.ACCEPTED, "It runs", _ACTION, location_header(f"/v1/job-actions/{_ACTION.id}")),
        **problems(
            *REFUSALS,
            Reason.INVALID_REQUEST,
            Reason.IDEMPOTENCY_KEY_MISSING,
            Reason.IDEMPOTENCY_KEY_REUSED,
            Reason.TOO_MANY_JOBS,
            Reason.PAYLOAD_TOO_LARGE,
            Reason.UNAVAILABLE,
        ),
    },
)
async def post_job_action(
    body: Annotated[JobActionBody, Body(openapi_examples=_EXAMPLES)],
    principal: _Operator,
    parts: TheParts,
    connections: TheConnections,
    response: Response,
    dry_run: Annotated[bool, Query(description="only say what would happen")] = False,
    idempotency_key: Annotated[
        str | None, idempotency_header("the same key is the same action; a dry run needs none")
    ] = None,
) -> JobActionView | JobActionPreviewView:
    """Up to 10,000 that the query finds when it begins, each in the way of its kind, each with its entry in the audit
    log. Those that are not acted on say why."""
    if dry_run:
        response.status_code = HTTPStatus.OK
        return await _tried(body, principal, connections, parts.settings)
    if idempotency_key is None:
        raise ProblemError(Reason.IDEMPOTENCY_KEY_MISSING, "Send an Idempotency-Key header, one per action.")
    job_action_id = job_action_id_for(principal.subject, idempotency_key)
    async with connections.sessions() as session:
        known = await session.get(BulkJobAction, job_action_id)
    _require_same(known, body)
    # One that still runs may have lost its workflow.
    if known is None or known.status == JobActionStatus.RUNNING:
        request = JobActionRequest(job_action_id=job_action_id, actor=principal.actor, **body.model_dump())
        refusals = {Reason.INVALID_REQUEST, Reason.TOO_MANY_JOBS}
        async with answered(refusals, "repeat it with the same key"), asyncio.timeout(PATIENCE.total_seconds()):
            await start_job_action(connections.temporal, request, PATIENCE)
        # Of two with the same key at once, the other one may have begun.
        async with connections.sessions() as session:
            _require_same(await session.get(BulkJobAction, job_action_id), body)
    response.headers["Location"] = f"/v1/job-actions/{job_action_id}"
    return await _read(connections.sessions, job_action_id, parts.settings)


@router.get(
    "",
    summary="List actions on many jobs",
    responses={
        **answer(HTTPStatus.OK, "One page of actions", example_page(_ACTION), LIST_HEADERS),
        **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.UNAVAILABLE),
    },
)
async def get_job_actions(
    asked: Annotated[JobActionsQuery, Query()],
    _principal: _Operator,
    parts: TheParts,
    connections: TheConnections,
    request: Request,
    response: Response,
) -> Page[JobActionView]:
    """Newest first, each with how far it is."""
    found = select(BulkJobAction).where(*matching((col(BulkJobAction.status), asked.status)))
    page = sorted_page(found, asked, asked.sort, _SORTABLE, col(BulkJobAction.id))
    async with connections.sessions() as session:
        total = await total_of(session, found)
        views = await _views(session, (await session.execute(page)).scalars().all(), parts.settings)
    return page_of(request, response, asked, views, total)


@router.get(
    "/{job_action_id}",
    summary="Read an action on many jobs",
    responses={**answer(HTTPStatus.OK, "The action", _ACTION), **problems(*_USUAL)},
)
async def get_job_action(
    job_action_id: UUID, _principal: _Operator, parts: TheParts, connections: TheConnections
) -> JobActionView:
    """How far it is, and what became of the jobs that had their turn."""
    return await _read(connections.sessions, job_action_id, parts.settings)


@router.post(
    "/{job_action_id}/stop",
    status_code=HTTPStatus.ACCEPTED,
    summary="Stop an action on many jobs",
    responses={
        **answer(HTTPStatus.ACCEPTED, "The action, which hears of it in a moment", _ACTION),
        **problems(*_USUAL, Reason.JOB_ACTION_NOT_RUNNING),
    },
)
async def post_stop(
    job_action_id: UUID, principal: _Operator, parts: TheParts, connections: TheConnections
) -> JobActionView:
    """No further job is acted on; what was done stays."""
    view = await _read(connections.sessions, job_action_id, parts.settings)
    if view.status is not JobActionStatus.RUNNING:
        raise ProblemError(Reason.JOB_ACTION_NOT_RUNNING, "The action is over.")
    request = JobActionRequest(job_action_id=view.id, action=view.action, query=view.query, actor=view.requested_by)
    await stop_job_action(connections.temporal, request, principal.actor, timedelta(seconds=5))
    return view


async def _tried(
    body: JobActionBody, principal: Principal, connections: TheConnections, settings: Settings
) -> JobActionPreviewView:
    steps = JobSteps(connections.temporal, connections.sessions)
    try:
        trial = await tried_out(steps, body.action, body.query, principal.actor)
    except InvalidQueryError as invalid:
        raise ProblemError(Reason.INVALID_REQUEST, str(invalid)) from None
    return JobActionPreviewView(
        total=trial.total,
        is_too_many=trial.total > MAX_JOBS,
        first=tuple(_tried_on(job, plan, settings) for job, plan in trial.first),
        href=query_address(settings, body.query),
    )


def _tried_on(job: Listed, plan: Plan | Refused, settings: Settings) -> TriedOnView:
    view = listed_view_of(job, settings)
    if isinstance(plan, Refused):
        return TriedOnView(job=view, outcome=outcome_of(plan.reason), would=plan.detail)
    return TriedOnView(job=view, outcome=JobActionOutcome.DONE, would=plan.will)


def _require_same(action: BulkJobAction | None, body: JobActionBody) -> None:
    if action is not None and action.asked_sha256 != digest_of(body.action, body.query):
        raise ProblemError(Reason.IDEMPOTENCY_KEY_REUSED, "This Idempotency-Key was used with another action.")


async def _read(sessions: Sessions, job_action_id: UUID, settings: Settings) -> JobActionView:
    async with sessions() as session:
        action = await session.get(BulkJobAction, job_action_id)
        if action is None:
            raise ProblemError(Reason.NOT_FOUND, "There is no such action.")
        [view] = await _views(session, [action], settings)
        return view


async def _views(session: AsyncSession, actions: Sequence[BulkJobAction], settings: Settings) -> list[JobActionView]:
    """How far they are, in one statement however many they are."""
    line = BulkJobActionLine
    query = (
        select(col(line.job_action_id), col(line.outcome), col(line.reason), func.count())
        .where(col(line.job_action_id).in_([action.id for action in actions]))
        .group_by(col(line.job_action_id), col(line.outcome), col(line.reason))
    )
    totals: Counter[UUID] = Counter()
    outcomes: dict[UUID, Counter[JobActionOutcome]] = {action.id: Counter() for action in actions}
    reasons: dict[UUID, Counter[str]] = {action.id: Counter() for action in actions}
    for action_id, outcome, reason, count in await session.execute(query):
        totals[action_id] += count
        if outcome is not None:
            outcomes[action_id][JobActionOutcome(outcome)] += count
        if reason is not None:
            reasons[action_id][reason] += count
    return [
        JobActionView(
            id=action.id,
            action=JobAction(action.action),
            status=JobActionStatus(action.status),
            query=action.query,
            total=totals[action.id],
            done=outcomes[action.id].total(),
            outcomes=dict(outcomes[action.id]),
            reasons=dict(reasons[action.id]),
            requested_by=action.requested_by,
            created_at=action.created_at,
            ended_at=action.ended_at,
            href=web_address(settings, action.workflow_id),
        )
        for action in actions
    ]
