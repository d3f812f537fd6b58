"""Jobs found by Temporal's visibility: asked with a typed filter or in its own language, never beyond our jobs."""

import base64
import binascii
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from temporalio.api.workflowservice.v1 import CountWorkflowExecutionsRequest, ListWorkflowExecutionsRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities.job_reading import BROKEN, Listed, listed_of
from models import search
from models.errors import Reason
from models.moments import Moment
from models.saved_queries import overdue
from models.tables import Finding
from models.vocabulary import CheckKind, FindingStatus, WaitingFor
from rules.decision import Refused
from rules.jobs import OVERDUE_BY

# A workflow of ours says what job it is from its start on.
_OURS = f"{search.JOB.name} IS NOT NULL"
_PAGE = 1000
_MOST_FINDINGS = 200
_PATIENCE = timedelta(seconds=20)
_STATUS_WORDS = {"failed": "Failed", "terminated": "Terminated", "timed_out": "TimedOut", "canceled": "Canceled"}

Run = Literal["open", "broken", "completed", "any"]


class JobFilter(BaseModel):
    """Which jobs to find. What is not said, is not asked for; times are half-open."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    job: str | None = Field(
        default=None, pattern=r"^[a-z][a-z_]{0,39}$", description="the kind of job, e.g. `order` or `refund_watch`"
    )
    state: str | None = Field(default=None, pattern=r"^[a-z][a-z_]{0,39}$", description="e.g. `pending_payment`")
    waiting_for: WaitingFor | None = None
    needs_human: bool | None = None
    due_before: Moment | None = Field(default=None, description="should have gone on by then")
    started_from: Moment | None = None
    started_until: Moment | None = Field(default=None, description="not included")
    run: Run | None = Field(
        default=None, description="`open` (unless stuck ones are asked for), `broken`, `completed` or `any`"
    )
    stuck: bool = Field(
        default=False, description="only what the last scan has found, what is an hour late, and what cannot go on"
    )


class InvalidQueryError(ValueError):
    """A query that visibility does not understand, or that would leave our jobs."""

    @property
    def refused(self) -> Refused:
        """As it is told to whoever asked."""
        return Refused(Reason.INVALID_REQUEST, str(self))


@dataclass(frozen=True)
class JobPage:
    """Some jobs, the newest first, and where the next begin."""

    items: tuple[Listed, ...]
    next_page_token: str | None


def within_ours(query: str) -> str:
    """The query, and-ed with being a job of ours. Raises `InvalidQueryError` where it could say anything else."""
    depth, quote = 0, ""
    for place, character in enumerate(query):
        if character in "\\\0":
            raise InvalidQueryError("A query holds no backslash.")
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"`":
            quote = character
        elif character == "#" or query[place : place + 2] in ("--", "/*"):
            raise InvalidQueryError("A query holds no comment.")
        else:
            depth += (character == "(") - (character == ")")
        if depth < 0:
            break
    if quote or depth:
        raise InvalidQueryError("The quotes and brackets of the query do not match.")
    return f"{_OURS} AND ({query})" if query.strip() else _OURS


def quoted(value: object) -> str:
    """A value in a query. Raises `InvalidQueryError` where no quotes could hold it."""
    if isinstance(value, bool):
        return str(value).lower()
    text = value.astimezone(UTC).isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else str(value)
    if any(character in text for character in "'\"\\\0"):
        raise InvalidQueryError("A value holds no quote and no backslash.")
    return f'"{text}"'


async def query_of(session: AsyncSession, asked: JobFilter, moment: datetime) -> str:
    """The filter in visibility's language. What is stuck by the last scan is looked up in the record."""
    conditions = [
        f"{name} {operator} {quoted(value)}"
        for name, operator, value in (
            (search.JOB.name, "=", asked.job),
            (search.STATE.name, "=", asked.state),
            (search.WAITING_FOR.name, "=", asked.waiting_for),
            (search.NEEDS_HUMAN.name, "=", asked.needs_human),
            (search.DUE_AT.name, "<", asked.due_before),
            ("StartTime", ">=", asked.started_from),
            ("StartTime", "<", asked.started_until),
        )
        if value is not None
    ]
    match asked.run or ("any" if asked.stuck else "open"):
        case "open":
            conditions.append('ExecutionStatus = "Running"')
        case "completed":
            conditions.append('ExecutionStatus = "Completed"')
        case "broken":
            conditions.append(BROKEN_RUNS)
    if asked.stuck:
        conditions.append(f"({await _stuck(session, moment)})")
    return " AND ".join(conditions)


BROKEN_RUNS = f"ExecutionStatus IN ({', '.join(quoted(_STATUS_WORDS[word]) for word in sorted(BROKEN))})"
# The server says so of workflow tasks that have failed five times.
CANNOT_GO_ON = "TemporalReportedProblems IS NOT NULL"


async def _stuck(session: AsyncSession, moment: datetime) -> str:
    found = (
        select(col(Finding.job_id))
        .where(
            col(Finding.found_by) == CheckKind.STUCK_JOBS,
            col(Finding.status) == FindingStatus.OPEN,
            col(Finding.job_id).is_not(None),
        )
        .order_by(col(Finding.opened_at))
        .limit(_MOST_FINDINGS)
    )
    ids = (await session.execute(found)).scalars().all()
    late = f"({overdue(moment - OVERDUE_BY)})"
    wedged = f'(ExecutionStatus = "Running" AND {CANNOT_GO_ON})'
    by_scan = [f"WorkflowId IN ({', '.join(map(quoted, ids))})"] if ids else []
    return " OR ".join((late, wedged, *by_scan))


async def list_jobs(temporal: Client, query: str, *, limit: int, page_token: str | None = None) -> JobPage:
    """One page of our jobs that the query finds. Raises `InvalidQueryError`."""
    try:
        found = await temporal.workflow_service.list_workflow_executions(
            ListWorkflowExecutionsRequest(
                namespace=temporal.namespace,
                query=within_ours(query),
                page_size=limit,
                next_page_token=_decoded(page_token),
            ),
            retry=True,
            timeout=_PATIENCE,
        )
    except RPCError as error:
        raise _understood(error) from None
    # Whatever the query has come to mean, what is no job of ours is none of our business.
    ours = (listed for listed in map(listed_of, found.executions) if listed.job is not None)
    return JobPage(tuple(ours), base64.urlsafe_b64encode(found.next_page_token).decode() or None)


async def count_jobs(temporal: Client, query: str) -> int:
    """How many of our runs the query finds. Raises `InvalidQueryError`."""
    try:
        counted = await temporal.workflow_service.count_workflow_executions(
            CountWorkflowExecutionsRequest(namespace=temporal.namespace, query=within_ours(query)),
            retry=True,
            timeout=_PATIENCE,
        )
    except RPCError as error:
        raise _understood(error) from None
    return counted.count


async def every_job(temporal: Client, query: str) -> AsyncIterator[Listed]:
    """All of our runs that the query finds. Raises `InvalidQueryError`."""
    page = await list_jobs(temporal, query, limit=_PAGE)
    while True:
        for each in page.items:
            yield each
        if page.next_page_token is None:
            return
        page = await list_jobs(temporal, query, limit=_PAGE, page_token=page.next_page_token)


def _decoded(page_token: str | None) -> bytes:
    try:
        return base64.urlsafe_b64decode(page_token or "")
    except (binascii.Error, ValueError):
        raise InvalidQueryError("This is no page token.") from None


def _understood(error: RPCError) -> Exception:
    if error.status is not RPCStatusCode.INVALID_ARGUMENT:
        return error
    return InvalidQueryError("The query is not understood; try it in the Web UI.")
