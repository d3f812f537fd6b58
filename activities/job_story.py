"""Why a job is where it is: a paragraph that a person understands, from its own words and from the record."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.job_reading import Job, Step
from activities.task_record import not_about_own
from models.tables import Finding, HumanTask
from models.vocabulary import CheckKind, FindingStatus, TaskStatus, WaitingFor

_WAITS_FOR = {
    WaitingFor.PAYMENT.value: "whoever pays",
    WaitingFor.REVIEWER.value: "a reviewer",
    WaitingFor.APPLICANT.value: "the applicant",
    WaitingFor.LEARNER.value: "the learner",
    WaitingFor.OPERATOR.value: "an operator",
    WaitingFor.STRIPE.value: "Stripe or a bank",
    WaitingFor.TIMER.value: "a date",
}


@dataclass(frozen=True)
class OnRecord:
    """What the record knows beside: the oldest open task of the job, and what the last scan has found wrong with it."""

    task: HumanTask | None = None
    findings: tuple[str, ...] = ()


async def on_record(session: AsyncSession, workflow_id: str, reader: UUID | None = None) -> OnRecord:
    """What the record says of a job; nothing about the reader's own application, name or learning."""
    task = (
        select(HumanTask)
        .where(
            col(HumanTask.workflow_id) == workflow_id,
            col(HumanTask.status) == TaskStatus.OPEN,
            *not_about_own(reader),
        )
        .order_by(col(HumanTask.created_at))
        .limit(1)
    )
    found = (
        select(col(Finding.reason))
        .where(
            col(Finding.job_id) == workflow_id,
            col(Finding.found_by) == CheckKind.STUCK_JOBS,
            col(Finding.status) == FindingStatus.OPEN,
        )
        .order_by(col(Finding.opened_at))
    )
    findings = (await session.execute(found)).scalars().all()
    return OnRecord((await session.execute(task)).scalar_one_or_none(), tuple(findings))


def story_of(job: Job, known: OnRecord) -> str:
    """State, whom it waits for and since when, what comes next, what fails, who has to decide what, in full sentences.

    Moments are UTC. Holds no personal data.
    """
    told = [_standing(job)]
    if job.told is not None and job.is_open:
        told.append(_sentence(job.told.next_action))
    if job.is_wedged:
        told.append(
            f"Its code cannot go on: it was tried {job.task_attempts} times. Mend the code, or start the build again"
            " on which it runs; then it goes on by itself."
        )
    told += [_failing(step) for step in job.pending if step.last_failure is not None or step.is_paused]
    if known.task is not None and job.is_open:
        task = known.task
        told.append(
            f"A person has to decide the task {task.id} ({task.kind}) by {_at(task.due_at)}:"
            f" {', '.join(task.allowed_actions)}. {_sentence(task.reason)}"
        )
    told += [f"The last scan says: {_sentence(reason)}" for reason in known.findings]
    return " ".join(told)


def _standing(job: Job) -> str:
    state = f" as {job.now_state}" if job.now_state else ""
    if job.is_broken:
        when = "" if job.closed_at is None else f" at {_at(job.closed_at)}"
        return (
            f"{job.type} {job.workflow_id} broke{when}{state}: it is {job.run_status}. `retry` lets another run go on"
            " from its last good step."
        )
    if not job.is_open:
        when = "" if job.closed_at is None else f" since {_at(job.closed_at)}"
        return f"{job.type} {job.workflow_id} is {job.run_status}{when}{state}."
    waits_for = _WAITS_FOR.get(job.now_waits_for or "")
    waits = f" and waits for {waits_for}" if waits_for else ""
    until = f", until {_at(job.waits_until)}" if job.waits_until else ""
    words = "is paused by an operator" if job.run_status == "paused" else "runs"
    return f"{job.type} {job.workflow_id} {words}{state}{waits}, since {_at(job.since)}{until}."


def _failing(step: Step) -> str:
    if step.is_paused:
        return f"The step {step.activity} was paused by an operator."
    again = "is being tried now" if step.is_under_way else f"is tried again at {_at(step.next_attempt_at)}"
    return f"The step {step.activity} has failed {step.times}, the last time with {step.last_failure}; it {again}."


def _sentence(text: str) -> str:
    return text if text.rstrip().endswith((".", "!", "?")) else f"{text.rstrip()}."


def _at(moment: datetime | None) -> str:
    return "once" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
