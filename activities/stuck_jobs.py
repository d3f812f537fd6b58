"""The step that looks for jobs that do not go on: their code fails, a step fails, they are late, or they broke."""

import zlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from temporalio import activity
from temporalio.client import Client

from activities.audit import StateChange, write_audit
from activities.check_runs import begin_run, end_run
from activities.database import Sessions
from activities.findings import Found, record_findings
from activities.job_listing import BROKEN_RUNS, CANNOT_GO_ON, count_jobs, every_job, quoted
from activities.job_reading import Job, Listed, describe, job_of
from activities.starts import reach_each
from activities.unfinished import unfinished
from models import search
from models.identifiers import finding_id_for, job_subject_id
from models.messages.checks import LookForStuckJobs, StuckJobsFound
from models.tables import CheckRunFinding, Finding
from models.tables.columns import now
from models.vocabulary import CheckKind, FindingKind, FindingStatus
from rules.jobs import JOB_TYPES, Outage, Stuck, is_overdue, summed_up

KINDS = (FindingKind.JOB_WEDGED, FindingKind.JOB_FAILING, FindingKind.JOB_OVERDUE, FindingKind.JOB_BROKEN)
LOOKS_BACK = timedelta(days=7)
# As many are looked at closely each time, of each sort; where more run, they take turns.
MOST_DESCRIBED = 5_000
_EVERY = timedelta(minutes=15)
_PATIENCE = timedelta(seconds=5)
_RUNNING = 'ExecutionStatus = "Running"'
_JOB, _JOBS = "job", "jobs"


@dataclass(frozen=True)
class _Known:
    """What is open or accepted since an earlier run: the findings about single jobs; when those about many were found
    last."""

    jobs: Mapping[str, Sequence[Finding]]
    outages: Mapping[UUID, datetime]

    def is_outage(self, kind: FindingKind, cause: str) -> bool:
        """Whether it is known as one that holds up many jobs."""
        return finding_id_for(kind, _about_many(cause)) in self.outages

    def examined(self, moment: datetime, turns: int) -> set[UUID]:
        """What this run can say of that it is over. An outage is, once every job had its turn without it."""
        since = moment - (turns - 1) * _EVERY
        return {
            *(row.id for rows in self.jobs.values() for row in rows),
            *(each for each, found_at in self.outages.items() if turns == 1 or found_at < since),
        }


@dataclass
class StuckJobActivities:
    """The step of `StuckJobsWorkflow`."""

    sessions: Sessions

    @activity.defn
    async def find_stuck_jobs(self, step: LookForStuckJobs) -> StuckJobsFound:
        """Look over the jobs that run and those that broke in the last seven days, and write down what is wrong.

        What runs is looked at closely in turns, some 5,000 each time; what was found before is so every time, and so
        are 5,000 of those that are late or cannot go on by the server's word. A job that cannot be reached is no news:
        what is open of it stays open. What was accepted stays so for as long as it is found, no longer.
        """
        client = activity.client()
        async with self.sessions() as session:
            known = await _known(session)
        running = await count_jobs(client, _RUNNING)
        turns = max(1, -(-running // MOST_DESCRIBED))
        described, unreached = await _described(client, await _to_describe(client, turns, known, step.moment))
        broken = await _broken(client, step.moment, described)
        async with self.sessions.begin() as session:
            owing = await unfinished(session, broken)
            stuck = [
                *(each for job in described if (each := stuck_by(job, step.moment)) is not None),
                *(_broke(job) for job in owing),
            ]
            unseen = [_again(row) for job in sorted(unreached & known.jobs.keys()) for row in known.jobs[job]]
            found = [*_found(stuck, known), *unseen]
            since = step.moment - LOOKS_BACK
            run_id = await begin_run(
                session, step.workflow_id, CheckKind.STUCK_JOBS, "running_and_broken", since, step.moment
            )
            examined = known.examined(step.moment, turns)
            await record_findings(
                session, run_id, CheckKind.STUCK_JOBS, KINDS, found, workflow_id=step.workflow_id, examined=examined
            )
            await _lapse(session, examined - {each.id for each in found}, step.workflow_id)
            counts = {"running": running, "looked_at": len(described), "stuck": len(stuck), "found": len(found)}
            await end_run(session, run_id, counts)
        return StuckJobsFound(looked_at=len(described), stuck=len(stuck))


async def _known(session: AsyncSession) -> _Known:
    query = select(Finding).where(
        col(Finding.found_by) == CheckKind.STUCK_JOBS,
        col(Finding.status).in_((FindingStatus.OPEN, FindingStatus.ACCEPTED)),
    )
    rows = (await session.execute(query)).scalars().all()
    jobs: dict[str, list[Finding]] = defaultdict(list)
    for row in rows:
        if row.job_id is not None:
            jobs[row.job_id].append(row)
    outages, line = {row.id: row.opened_at for row in rows if row.job_id is None}, CheckRunFinding
    last = (
        select(col(line.finding_id), func.max(col(line.found_at)))
        .where(col(line.finding_id).in_(outages))
        .group_by(col(line.finding_id))
    )
    outages.update((finding_id, found_at) for finding_id, found_at in await session.execute(last))
    return _Known(jobs, outages)


async def _lapse(session: AsyncSession, not_found: Collection[UUID], workflow_id: str) -> None:
    """What was accepted and is over is forgotten: the next time that a job is stuck like that is another question."""
    moment = now()
    lapsed = await session.execute(
        update(Finding)
        .where(col(Finding.id).in_(not_found), col(Finding.status) == FindingStatus.ACCEPTED)
        .values(status=FindingStatus.RESOLVED, settled_at=moment, settled_by="system", updated_at=moment)
        .returning(col(Finding.id))
    )
    changes = [
        StateChange("finding", each, FindingStatus.ACCEPTED, FindingStatus.RESOLVED) for each in lapsed.scalars()
    ]
    if changes:
        await write_audit(session, changes, actor="system", reason=CheckKind.STUCK_JOBS, workflow_id=workflow_id)


async def _to_describe(client: Client, turns: int, known: _Known, moment: datetime) -> Collection[str]:
    """The ids of what is looked at closely now."""
    turn = int(moment.timestamp() // _EVERY.total_seconds()) % turns
    urgent: dict[str, None] = {}
    async for job in every_job(client, f"{_RUNNING} AND {CANNOT_GO_ON}"):
        if len(urgent) == MOST_DESCRIBED:
            break
        urgent[job.workflow_id] = None
    others: dict[str, None] = {}
    async for job in every_job(client, _RUNNING):
        if is_overdue(job.type, job.waiting_for, job.due_at, moment):
            # Where nothing has gone on for hours, all are late, and one is as good a sign as another.
            if len(urgent) < MOST_DESCRIBED:
                urgent[job.workflow_id] = None
        elif zlib.crc32(job.workflow_id.encode()) % turns == turn:
            others[job.workflow_id] = None
    return list(dict.fromkeys([*known.jobs, *urgent, *others]))


async def _described(client: Client, workflow_ids: Collection[str]) -> tuple[list[Job], set[str]]:
    """The latest runs of these jobs, and which of them could not be reached."""
    seen: dict[str, Job | None] = {}

    async def look(workflow_id: str) -> None:
        run = await describe(client, workflow_id, _PATIENCE)
        seen[workflow_id] = None if run is None else job_of(workflow_id, run)

    await reach_each(workflow_ids, look, lambda workflow_id: workflow_id)
    return [job for job in seen.values() if job is not None], set(workflow_ids) - seen.keys()


async def _broken(client: Client, moment: datetime, described: Collection[Job]) -> list[Listed]:
    """The jobs whose latest run broke, of late or by an open finding. What a schedule starts anew counts as long as no
    later run has come to its end."""
    seen, of_late = {job.workflow_id for job in described}, set[str]()
    async for job in every_job(client, f"{BROKEN_RUNS} AND CloseTime > {quoted(moment - LOOKS_BACK)}"):
        if len(of_late) == MOST_DESCRIBED:
            break
        if job.workflow_id not in seen:
            of_late.add(job.workflow_id)
    others, _ = await _described(client, of_late)
    broken = [job for job in (*described, *others) if job.is_broken and _is_watched(job)]
    return [job for job in broken if not (_is_recurring(job) and await _is_made_up_for(client, job))]


async def _is_made_up_for(client: Client, job: Listed) -> bool:
    """Whether a later run of the same recurring job has done its work."""
    later = (
        f"{search.JOB.name} = {quoted(job.job)} AND ExecutionStatus = {quoted('Completed')}"
        f" AND StartTime > {quoted(job.started_at)}"
    )
    return await count_jobs(client, later) > 0


def _is_recurring(job: Listed) -> bool:
    return job.type in JOB_TYPES and JOB_TYPES[job.type].is_recurring


def _is_watched(job: Listed) -> bool:
    return job.type not in JOB_TYPES or JOB_TYPES[job.type].is_watched


def stuck_by(job: Job, moment: datetime) -> Stuck | None:
    """What is wrong with a job that runs; the first that explains the rest."""
    if not job.is_open or not _is_watched(job):
        return None
    if job.is_wedged:
        reason = f"The code of the job cannot go on; it was tried {job.task_attempts} times."
        return Stuck(FindingKind.JOB_WEDGED, job.workflow_id, job.type, reason)
    failing = next((step for step in job.pending if step.is_failing), None)
    if failing is not None:
        cause = f"{failing.activity}:{failing.last_failure}"
        reason = f"The step {failing.activity} has failed {failing.times}, the last time with {failing.last_failure}."
        return Stuck(FindingKind.JOB_FAILING, job.workflow_id, cause, reason)
    if is_overdue(job.type, job.waiting_for, job.due_at, moment):
        reason = f"It should have gone on by {job.due_at:%Y-%m-%d %H:%M} UTC, and has not."
        return Stuck(FindingKind.JOB_OVERDUE, job.workflow_id, job.type, reason)
    return None


def _broke(job: Listed) -> Stuck:
    reason = f"The job is {job.run_status}, and what it was for is not over."
    return Stuck(FindingKind.JOB_BROKEN, job.workflow_id, job.type, reason)


def _found(stuck: Iterable[Stuck], known: _Known) -> list[Found]:
    single, outages = summed_up(stuck, known.is_outage)
    return [*map(_of_one, single), *map(_of_many, outages)]


def _of_one(stuck: Stuck) -> Found:
    return Found(
        kind=stuck.kind,
        about=stuck.workflow_id,
        subject_kind=_JOB,
        subject_id=job_subject_id(stuck.workflow_id),
        reason=f"{stuck.reason} It is {stuck.workflow_id}.",
        job_id=stuck.workflow_id,
    )


_SAID = {
    FindingKind.JOB_WEDGED: "their code cannot go on: {cause}.",
    FindingKind.JOB_FAILING: "the same step of theirs fails: {cause}.",
    FindingKind.JOB_OVERDUE: "they should have gone on an hour ago: {cause}.",
    FindingKind.JOB_BROKEN: "they broke, and what they were for is not over: {cause}.",
}


def _of_many(outage: Outage) -> Found:
    said = _SAID[outage.kind].format(cause=outage.cause)
    return Found(
        kind=outage.kind,
        about=_about_many(outage.cause),
        subject_kind=_JOBS,
        subject_id=job_subject_id(outage.cause),
        reason=f"At least {outage.count:,} jobs are stuck for one reason; {said} One of them is {outage.example}.",
    )


def _about_many(cause: str) -> str:
    return f"outage:{cause}"


def _again(row: Finding) -> Found:
    """What is open of a job that nobody could look at."""
    return Found(
        kind=FindingKind(row.kind),
        about=row.job_id or "",
        subject_kind=row.subject_kind,
        subject_id=row.subject_id,
        reason=row.reason,
        job_id=row.job_id,
    )
