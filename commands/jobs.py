"""`registrar jobs`: jobs found, explained, tried again, canceled and skipped, one by one or by a query."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import uuid4

import typer
from pydantic import ValidationError
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col
from temporalio.client import RPCTimeoutOrCancelledError, WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.service import RPCError

from activities.database import open_database, sessions_of
from activities.job_actions import tried_out
from activities.job_listing import InvalidQueryError, JobFilter, count_jobs, list_jobs, query_of
from activities.job_reading import Listed, read_job
from activities.job_steps import JobSteps, Plan
from activities.job_story import on_record, story_of
from commands.terminal import leave, settings_or_exit, show
from models.identifiers import job_action_id_for, job_action_workflow_id
from models.messages.job_actions import JobActionRequest
from models.tables import BulkJobActionLine
from models.tables.columns import now
from models.vocabulary import JobAction, Role, WaitingFor
from rules.decision import Refused
from workflows.connection import connect
from workflows.job_action import JobActionWorkflow
from workflows.job_action_start import start_job_action

jobs = typer.Typer(no_args_is_help=True, help="Jobs: find them, learn why they wait, act on one or on many.")

_PATIENCE = timedelta(seconds=30)
_CONNECTS_WITHIN = 5
_ACTOR = re.compile(r"[A-Za-z0-9._|-]{1,64}")

_Id = Annotated[str | None, typer.Argument(help="one job, e.g. order-<order id>")]
_Who = Annotated[str, typer.Option("--as", help="who you are in the audit log: your id among the staff")]
_Query = Annotated[str | None, typer.Option("--query", help="all jobs that it finds, in Temporal's language")]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="only say what would happen")]


class _RefusedError(Exception):
    """What a person at a terminal is told instead."""


_TOLD = (
    InvalidQueryError,
    _RefusedError,
    WorkflowUpdateFailedError,
    WorkflowFailureError,
    RPCTimeoutOrCancelledError,
    RPCError,
    ValidationError,
    SQLAlchemyError,
    OSError,
)


@jobs.command("list")
def list_(
    job: Annotated[str | None, typer.Option(help="the kind of job, e.g. order")] = None,
    state: Annotated[str | None, typer.Option(help="e.g. pending_payment")] = None,
    waiting_for: Annotated[WaitingFor | None, typer.Option()] = None,
    needs_human: Annotated[bool | None, typer.Option(help="whether a person has to act")] = None,
    due_before: Annotated[datetime | None, typer.Option(help="UTC")] = None,
    started_from: Annotated[datetime | None, typer.Option(help="UTC")] = None,
    started_until: Annotated[datetime | None, typer.Option(help="UTC, not included")] = None,
    run: Annotated[str | None, typer.Option(help="open, broken, completed or any")] = None,
    stuck: Annotated[bool, typer.Option("--stuck", help="only those that do not go on")] = False,
    query: _Query = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
) -> None:
    """List jobs, the newest first: those that run, unless asked otherwise."""
    asked: dict[str, object] = {
        "job": job,
        "state": state,
        "waiting_for": waiting_for,
        "needs_human": needs_human,
        "due_before": _utc(due_before),
        "started_from": _utc(started_from),
        "started_until": _utc(started_until),
        "run": run,
        "stuck": stuck,
    }
    if query is not None and any(each not in (None, False) for each in asked.values()):
        raise typer.BadParameter("A --query says all of it: leave the other options out.")

    async def find(steps: JobSteps) -> None:
        async with steps.sessions() as session:
            wanted = query or await query_of(session, JobFilter.model_validate(asked), now())
        page = await list_jobs(steps.temporal, wanted, limit=limit)
        show(("job", "run", "state", "waits for", "due", "workflow"), (_row(each) for each in page.items))
        typer.echo(f"{len(page.items)} of {await count_jobs(steps.temporal, wanted)}: {wanted}", err=True)

    _run(find)


@jobs.command()
def why(workflow_id: Annotated[str, typer.Argument(help="e.g. order-<order id>")]) -> None:
    """Say where a job stands, whom it waits for, what fails and what to do, and where to see it."""

    async def tell(steps: JobSteps) -> None:
        job = await read_job(steps.temporal, workflow_id)
        if job is None:
            raise _RefusedError("There is no such job, or it was long ago.")
        async with steps.sessions() as session:
            typer.echo(story_of(job, await on_record(session, workflow_id)))
        typer.echo(settings_or_exit().job_page_url.replace("{workflow_id}", workflow_id))

    _run(tell)


@jobs.command()
def retry(who: _Who, workflow_id: _Id = None, query: _Query = None, dry_run: _DryRun = False) -> None:
    """Try again now: steps that rest after a failure, tasks that allow it, and runs that broke."""
    _act(JobAction.RETRY, who, workflow_id, query, dry_run)


@jobs.command()
def cancel(who: _Who, workflow_id: _Id = None, query: _Query = None, dry_run: _DryRun = False) -> None:
    """Cancel, in the way of the kind of job."""
    _act(JobAction.CANCEL, who, workflow_id, query, dry_run)


@jobs.command()
def skip(who: _Who, workflow_id: _Id = None, query: _Query = None, dry_run: _DryRun = False) -> None:
    """Let go of a mail that hangs; without one, of the oldest task that may be dismissed and is not about money."""
    _act(JobAction.SKIP, who, workflow_id, query, dry_run)


def _sentence(plan: Plan | Refused) -> str:
    return plan.detail if isinstance(plan, Refused) else plan.will


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)


def _act(action: JobAction, who: str, workflow_id: str | None, query: str | None, is_dry_run: bool) -> None:
    if (workflow_id is None) == (query is None):
        raise typer.BadParameter("Name one job, or a --query.")
    actor = f"{Role.STAFF}:{who}"
    if not _ACTOR.fullmatch(who):
        raise typer.BadParameter("An id has letters, digits and ._|- alone, at most 64.", param_hint="--as")

    async def act(steps: JobSteps) -> None:
        if query is not None:
            await (_try_out if is_dry_run else _act_on_many)(steps, action, query, actor)
            return
        come = steps.plan if is_dry_run else steps.act
        came = await come(action, workflow_id or "", actor)
        if isinstance(came, Refused):
            raise _RefusedError(f"{came.reason}: {came.detail}")
        typer.echo(came.will)

    _run(act)


async def _try_out(steps: JobSteps, action: JobAction, query: str, actor: str) -> None:
    trial = await tried_out(steps, action, query, actor)
    rows = (
        (job.workflow_id, plan.reason if isinstance(plan, Refused) else "done", _sentence(plan))
        for job, plan in trial.first
    )
    show(("workflow", "outcome", "would"), rows)
    typer.echo(f"{trial.total} jobs; nothing was done.", err=True)


async def _act_on_many(steps: JobSteps, action: JobAction, query: str, actor: str) -> None:
    request = JobActionRequest(
        job_action_id=job_action_id_for(actor, uuid4().hex), action=action, query=query, actor=actor
    )
    workflow_id = job_action_workflow_id(request.job_action_id)
    try:
        begun = await start_job_action(steps.temporal, request, _PATIENCE)
    except RPCTimeoutOrCancelledError:
        # Each time that it is typed is an action of its own.
        raise _RefusedError(
            f"No worker has answered in time. {workflow_id} may begin once one does: look before you repeat it."
        ) from None
    typer.echo(f"{begun.total} jobs: {workflow_id}. It goes on without this terminal.", err=True)
    await steps.temporal.get_workflow_handle_for(JobActionWorkflow.run, workflow_id).result()
    line = BulkJobActionLine
    counted = (
        select(col(line.outcome), col(line.reason), func.count())
        .where(col(line.job_action_id) == request.job_action_id)
        .group_by(col(line.outcome), col(line.reason))
        .order_by(func.count().desc())
    )
    async with steps.sessions() as session:
        rows = [(outcome or "", reason or "", str(count)) for outcome, reason, count in await session.execute(counted)]
    show(("outcome", "reason", "jobs"), rows)


def _run(command: Callable[[JobSteps], Awaitable[None]]) -> None:
    """Run it with what it needs, and say in a line what it was refused for."""

    async def connected() -> str | None:
        try:
            async with _steps() as steps:
                await command(steps)
        except _TOLD as error:
            return _told(error)
        return None

    refused = asyncio.run(connected())
    if refused is not None:
        typer.echo(refused, err=True)
    leave(0 if refused is None else 1)


def _told(error: Exception) -> str:
    match error:
        case InvalidQueryError() | _RefusedError():
            return str(error)
        case WorkflowUpdateFailedError() | WorkflowFailureError():
            return str(error.cause)
        case RPCTimeoutOrCancelledError():
            return "No worker has answered in time; it may be repeated."
        case RPCError():
            return f"Temporal says: {error.status.name.lower().replace('_', ' ')}; it may be repeated."
        case ValidationError():
            return "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        case _:
            # What it says may quote the address of the database.
            return f"The database does not answer ({type(error).__name__}): registrar doctor says more."


@asynccontextmanager
async def _steps() -> AsyncIterator[JobSteps]:
    settings = settings_or_exit()
    how = settings.temporal_connection
    how["give_up_after"] = min(how["give_up_after"], _CONNECTS_WITHIN)
    engine = open_database(settings.database_url.get_secret_value(), 2)
    try:
        try:
            temporal = await connect(**how)
        except (RuntimeError, RPCError, OSError):
            where = settings.temporal_address
            raise _RefusedError(f"Temporal cannot be reached at {where}: registrar doctor says more.") from None
        yield JobSteps(temporal, sessions_of(engine))
    finally:
        await engine.dispose()


def _row(job: Listed) -> Sequence[str]:
    due = "" if job.due_at is None or not job.is_open else f"{job.due_at:%Y-%m-%d %H:%M}"
    waits_for = "a person" if job.needs_human or job.is_broken else job.waiting_for or ""
    return (job.job or "", job.run_status, job.state or "", waits_for, due, job.workflow_id)
