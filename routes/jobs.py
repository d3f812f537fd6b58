"""Jobs: what workflows are doing and why they wait, and what operators do about it."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from activities.job_listing import InvalidQueryError, JobFilter, count_jobs, list_jobs, query_of, quoted
from activities.job_reading import read_job
from activities.job_steps import JobSteps, is_about_own, own_jobs
from activities.job_story import on_record
from models.errors import Reason
from models.tables.columns import now
from models.vocabulary import JobAction, Role
from routes.authentication import REFUSALS, AuthenticatedRoute, require
from routes.documentation import answer, problems
from routes.job_views import EXAMPLE, LISTED_EXAMPLE, JobView, ListedJobView, listed_view_of, view_of
from routes.pagination import MAX_PER_PAGE, PER_PAGE
from routes.parts import TheConnections, TheParts
from routes.problems import ProblemError
from routes.runs import query_address
from routes.tokens import Principal
from rules.decision import Refused

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=AuthenticatedRoute)

WORKFLOW_ID = r"^[A-Za-z0-9._:-]{1,255}$"

_Reader = Annotated[Principal, Depends(require(Role.STAFF, Role.ADMIN, Role.SERVICE))]
_Operator = Annotated[Principal, Depends(require(Role.STAFF, Role.ADMIN))]
_Id = Annotated[str, Path(pattern=WORKFLOW_ID, description="e.g. `order-<order id>`")]
_USUAL = (*REFUSALS, Reason.INVALID_REQUEST, Reason.NOT_FOUND, Reason.UNAVAILABLE)


class JobsQuery(JobFilter):
    """Which jobs to list. Temporal knows no page numbers: each page names the next."""

    per_page: Annotated[int, Field(ge=1, le=MAX_PER_PAGE, description="how many on a page")] = PER_PAGE
    page_token: str | None = Field(default=None, max_length=2000, description="`next_page_token` of the page before")


class JobsPage(BaseModel):
    """Some jobs, the newest first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    items: tuple[ListedJobView, ...]
    total: int = Field(description="how many there are on all pages")
    next_page_token: str | None
    query: str = Field(description="the same in Temporal's language, e.g. for `POST /v1/job-actions`")
    href: str = Field(description="the same list in the Temporal Web UI")


_LIST = JobsPage(
    items=(LISTED_EXAMPLE,),
    total=1,
    next_page_token=None,
    query='RegistrarJob = "order" AND ExecutionStatus = "Running"',
    href="http://127.0.0.1:8233/namespaces/default/workflows?query=RegistrarJob%20%3D%20%22order%22%20AND%20ExecutionStatus"
    "%20%3D%20%22Running%22",
)


class ActedOnView(BaseModel):
    """What was done to a job."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: JobAction
    did: str = Field(description="in a sentence")
    job: JobView


_ACTED = ActedOnView(action=JobAction.RETRY, did="The step read_payment is tried now.", job=EXAMPLE)


@router.get(
    "",
    summary="List jobs",
    responses={
        **answer(HTTPStatus.OK, "One page of jobs", _LIST),
        **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.UNAVAILABLE),
    },
)
async def get_jobs(
    asked: Annotated[JobsQuery, Query()], principal: _Reader, parts: TheParts, connections: TheConnections
) -> JobsPage:
    """Those that run, unless asked otherwise. It may take Temporal a second to list what has just changed.

    The job of their own application is in nobody's list.
    """
    async with connections.sessions() as session:
        query = await query_of(session, asked, now())
        own = await own_jobs(session, principal.person_id)
    others = f"WorkflowId NOT IN ({', '.join(map(quoted, own))})" if own else ""
    theirs = " AND ".join(filter(None, (query, others)))
    try:
        page = await list_jobs(connections.temporal, theirs, limit=asked.per_page, page_token=asked.page_token)
        total = await count_jobs(connections.temporal, theirs)
    except InvalidQueryError as invalid:
        raise ProblemError(Reason.INVALID_REQUEST, str(invalid)) from None
    return JobsPage(
        items=tuple(listed_view_of(job, parts.settings) for job in page.items if job.workflow_id not in own),
        total=total,
        next_page_token=page.next_page_token,
        query=query,
        href=query_address(parts.settings, query),
    )


@router.get(
    "/{workflow_id}",
    summary="Read what a job is doing",
    responses={**answer(HTTPStatus.OK, "The job", EXAMPLE), **problems(*_USUAL)},
)
async def get_job(workflow_id: _Id, principal: _Reader, parts: TheParts, connections: TheConnections) -> JobView:
    """From the workflow itself; if no worker can be asked, from what the server remembers of it.

    Of their own application nobody reads what the reviewers are doing.
    """
    return await _show(workflow_id, principal, parts, connections)


@router.post(
    "/{workflow_id}/retry",
    summary="Have a job try again now",
    responses={
        **answer(HTTPStatus.OK, "What was done, and the job", _ACTED),
        **problems(*_USUAL, Reason.JOB_OVER, Reason.NOTHING_TO_RETRY, Reason.TASK_NOT_OPEN, Reason.ACTION_NOT_ALLOWED),
    },
)
async def retry_job(
    workflow_id: _Id, principal: _Operator, parts: TheParts, connections: TheConnections
) -> ActedOnView:
    """Steps that rest after a failure are tried at once, tasks that allow `retry` are decided so, and a run that
    broke goes on from its last good step. Repeating it does no harm."""
    return await _act(JobAction.RETRY, workflow_id, principal, parts, connections)


@router.post(
    "/{workflow_id}/cancel",
    summary="Cancel a job",
    responses={
        **answer(HTTPStatus.OK, "What was done, and the job", _ACTED.model_copy(update={"action": JobAction.CANCEL})),
        **problems(*_USUAL, Reason.JOB_OVER, Reason.JOB_NOT_CANCELABLE),
    },
)
async def cancel_job(
    workflow_id: _Id, principal: _Operator, parts: TheParts, connections: TheConnections
) -> ActedOnView:
    """In the way of its kind: each job says what a cancellation means. Those that follow money are not canceled."""
    return await _act(JobAction.CANCEL, workflow_id, principal, parts, connections)


@router.post(
    "/{workflow_id}/skip",
    summary="Let go of what a job hangs on",
    responses={
        **answer(HTTPStatus.OK, "What was done, and the job", _ACTED.model_copy(update={"action": JobAction.SKIP})),
        **problems(*_USUAL, Reason.JOB_OVER, Reason.NOTHING_TO_SKIP, Reason.TASK_NOT_OPEN, Reason.ACTION_NOT_ALLOWED),
    },
)
async def skip_step(
    workflow_id: _Id, principal: _Operator, parts: TheParts, connections: TheConnections
) -> ActedOnView:
    """A mail that cannot be sent is never sent, and the job goes on; without one, the oldest task that allows `dismiss`
    is dismissed, unless it is about money. May be repeated."""
    return await _act(JobAction.SKIP, workflow_id, principal, parts, connections)


async def _act(
    action: JobAction, workflow_id: str, principal: Principal, parts: TheParts, connections: TheConnections
) -> ActedOnView:
    steps = JobSteps(connections.temporal, connections.sessions)
    came = await steps.act(action, workflow_id, principal.actor)
    if isinstance(came, Refused):
        raise ProblemError(came.reason, came.detail)
    return ActedOnView(action=action, did=came.will, job=await _show(workflow_id, principal, parts, connections))


async def _show(workflow_id: str, principal: Principal, parts: TheParts, connections: TheConnections) -> JobView:
    async with connections.sessions() as session:
        is_own = await is_about_own(session, workflow_id, principal.person_id)
    job = None if is_own else await read_job(connections.temporal, workflow_id)
    if job is None:
        raise ProblemError(Reason.NOT_FOUND, "There is no such job, or it was long ago.")
    async with connections.sessions() as session:
        known = await on_record(session, workflow_id, principal.person_id)
    return view_of(job, known, parts.settings)
