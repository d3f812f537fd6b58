"""What operators do to jobs, on the real server and the real record: each action once, and audited."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, select
from sqlmodel import col
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.common import SearchAttributePair

from activities.database import Sessions
from activities.job_listing import InvalidQueryError, JobFilter, count_jobs, every_job, list_jobs, query_of
from activities.job_reading import describe, job_of, read_job
from activities.job_steps import JobSteps, Plan
from activities.job_story import on_record, story_of
from models import search
from models.errors import Reason
from models.identifiers import job_subject_id, new_id
from models.messages.job_actions import JobActionRequest
from models.tables import AuditEntry, Finding, HumanTask, Mail, Person
from models.tables.columns import now
from models.vocabulary import (
    CheckKind,
    FindingKind,
    JobAction,
    MailList,
    MailStatus,
    MailTemplate,
    TaskAction,
    TaskKind,
    TaskStatus,
    WaitingFor,
)
from rules.decision import Refused
from tests.eventually import eventually
from tests.integration.toy_jobs import SWITCHES, Asks, Breaks, MailsOnce, Toys, open_task, playing

FRIDA = "staff:frida"


@pytest.fixture
async def toys(real_temporal: Client) -> AsyncIterator[Toys]:
    async with playing(real_temporal) as toys:
        yield toys


@pytest.fixture
def steps(real_temporal: Client, sessions: Sessions) -> JobSteps:
    return JobSteps(real_temporal, sessions)


def an_id(job: str) -> str:
    return f"{job}-{uuid4()}"


def said(came: Plan | Refused) -> str:
    return came.reason if isinstance(came, Refused) else came.will


async def audited(sessions: Sessions, workflow_id: str) -> list[tuple[str, str, UUID]]:
    """Who did what to the job."""
    query = (
        select(AuditEntry)
        .where(col(AuditEntry.workflow_id) == workflow_id, col(AuditEntry.subject_kind) == "job")
        .order_by(col(AuditEntry.created_at))
    )
    async with sessions() as session:
        return [(row.actor, row.to_state, row.subject_id) for row in (await session.execute(query)).scalars()]


async def rests(steps: JobSteps, workflow_id: str) -> None:
    """Return once a step of it has failed and rests."""

    async def has_failed() -> bool:
        run = await describe(steps.temporal, workflow_id, timedelta(seconds=5))
        return run is not None and any(step.waits for step in job_of(workflow_id, run).pending)

    await eventually(has_failed)


async def a_mail(sessions: Sessions, workflow_id: str, **facts: object) -> UUID:
    """A mail of the job that is still to be sent."""
    person = Person(id=new_id(), email=f"{uuid4().hex}@example.org", full_name="Somebody")
    mail = Mail(
        id=new_id(),
        recipient_id=person.id,
        template=MailTemplate.DOCUMENT_COPY,
        subject_id=new_id(),
        workflow_id=workflow_id,
        **facts,
    )
    async with sessions.begin() as session:
        session.add(person)
        await session.flush()
        session.add(mail)
    return mail.id


async def test_a_step_that_rests_is_tried_at_once_and_told_about(
    toys: Toys, steps: JobSteps, sessions: Sessions
) -> None:
    job = an_id("document-copy")
    handle = await toys.start(MailsOnce, job)
    await rests(steps, job)
    read = await read_job(toys.temporal, job)
    assert read is not None
    async with sessions() as session:
        story = story_of(read, await on_record(session, job))
    assert "send_mail has failed once, the last time with smtp_unreachable; it is tried again at" in story
    assert said(await steps.plan(JobAction.RETRY, job, FRIDA)) == "The step send_mail is tried now."
    assert SWITCHES.tries == [job]
    SWITCHES.is_mended = True
    assert said(await steps.act(JobAction.RETRY, job, FRIDA)) == "The step send_mail is tried now."
    assert await handle.result() == "sent"
    assert await audited(sessions, job) == [(FRIDA, "retry", UUID(job[-36:]))]
    for action in JobAction:
        assert said(await steps.act(action, job, FRIDA)) == Reason.JOB_OVER
    assert len(await audited(sessions, job)) == 1


async def test_a_run_that_broke_goes_on_from_its_last_good_step(toys: Toys, steps: JobSteps) -> None:
    job = an_id("refund")
    handle = await toys.start(Breaks, job)
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    never = an_id("refund")
    unserved = await Toys(toys.temporal, "nobody-polls").start(Breaks, never)
    await unserved.terminate("by mistake")
    SWITCHES.is_mended = True
    for each in (job, never):
        assert said(await steps.act(JobAction.RETRY, each, FRIDA)) == "Another run goes on from its last good step."
    assert await toys.temporal.get_workflow_handle(job).result() == "whole"
    latest = await toys.temporal.get_workflow_handle(never).describe()
    assert latest.status is WorkflowExecutionStatus.RUNNING
    await toys.temporal.get_workflow_handle(never).terminate("the test is over")


async def test_a_mail_that_hangs_is_let_go_before_any_task_and_only_once(
    toys: Toys, steps: JobSteps, sessions: Sessions
) -> None:
    job = an_id("document-copy")
    handle = await toys.start(MailsOnce, job)
    await rests(steps, job)
    mail_id, marketing = [await a_mail(sessions, job, list=each) for each in (None, MailList.LEARNING)]
    under_way = await a_mail(sessions, job, handed_over_at=now())
    waits = await a_mail(sessions, job, deferred_until=now(), deferred_reason="quiet_hours")
    await open_task(sessions, job, TaskAction.DISMISS)
    afterwards: list[UUID] = []
    for _ in range(2):
        assert said(await steps.act(JobAction.SKIP, job, FRIDA)) == "Its mail is not sent; the job goes on."
        await rests(steps, job)
        # What comes after it is another mail.
        afterwards.append(await a_mail(sessions, job))
    assert len(SWITCHES.tries) == 3
    async with sessions() as session:
        mail = await session.get_one(Mail, mail_id)
        entries = select(col(AuditEntry.actor)).where(
            col(AuditEntry.subject_id) == mail_id, col(AuditEntry.to_state) == MailStatus.SKIPPED
        )
        assert (mail.status, mail.status_reason) == (MailStatus.SKIPPED, "operator")
        assert (await session.execute(entries)).scalars().all() == [FRIDA]
        assert (await session.get_one(Mail, marketing)).status == MailStatus.SKIPPED
        left_alone = (under_way, waits, *afterwards)
        assert {(await session.get_one(Mail, each)).status for each in left_alone} == {MailStatus.QUEUED}
    refused = await steps.act(JobAction.CANCEL, job, FRIDA)
    assert isinstance(refused, Refused)
    assert (refused.reason, refused.detail) == (
        Reason.JOB_NOT_CANCELABLE,
        "Skip its mail instead; then it ends.",
    )
    await handle.terminate("the test is over")


async def test_tasks_are_decided_by_their_jobs_and_cancellations_are_theirs(
    toys: Toys, steps: JobSteps, sessions: Sessions
) -> None:
    ends: dict[str, str] = {}
    for action, decision in ((JobAction.RETRY, TaskAction.RETRY), (JobAction.SKIP, TaskAction.DISMISS)):
        job = an_id("cart")
        handle = await toys.start(Asks, job)
        await open_task(sessions, job, TaskAction.ACCEPT)
        assert said(await steps.act(action, job, FRIDA)) in {Reason.NOTHING_TO_RETRY, Reason.NOTHING_TO_SKIP}
        await open_task(sessions, job, TaskAction.DISMISS)
        # Letting go is no word about money.
        assert said(await steps.act(JobAction.SKIP, job, FRIDA)) == Reason.NOTHING_TO_SKIP
        await open_task(sessions, job, decision, kind=TaskKind.CERTIFICATE_NAME_MISSING)
        await steps.act(action, job, FRIDA)
        ends[action] = await handle.result()
    assert ends == {"retry": "retry by staff:frida", "skip": "dismiss by staff:frida"}
    twice = an_id("cart")
    handle = await toys.start(Asks, twice)
    dismissed, other = [
        await open_task(sessions, twice, TaskAction.DISMISS, kind=TaskKind.CERTIFICATE_NAME_MISSING) for _ in range(2)
    ]
    async with sessions.begin() as session:
        task = await session.get_one(HumanTask, dismissed.id)
        task.status, task.decision, task.decided_by, task.decided_at = TaskStatus.DONE, "dismiss", FRIDA, now()
    assert said(await steps.act(JobAction.SKIP, twice, FRIDA)) == "The task certificate_name_missing is dismissed."
    assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
    planned = await steps.plan(JobAction.SKIP, twice, "staff:hugo")
    assert isinstance(planned, Plan)
    assert planned.decisions == ((other.id, TaskAction.DISMISS),)
    job = an_id("cart")
    handle = await toys.start(Asks, job)
    assert said(await steps.act(JobAction.CANCEL, job, FRIDA)) == "The cart is cleared, as by its owner."
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    assert (await handle.describe()).status is WorkflowExecutionStatus.CANCELED
    assert await audited(sessions, job) == [(FRIDA, "cancel", job_subject_id(job))]
    assert said(await steps.act(JobAction.RETRY, job, FRIDA)) == "Another run goes on from its last good step."
    await open_task(sessions, job, TaskAction.RETRY)
    await steps.act(JobAction.RETRY, job, FRIDA)
    assert await toys.temporal.get_workflow_handle(job).result() == "retry by staff:frida"
    assert said(await steps.act(JobAction.RETRY, an_id("order"), FRIDA)) == Reason.NOT_FOUND


def a_finding(job: str) -> dict[str, object]:
    """Something that the scan has found wrong with a job."""
    about = {"subject_kind": "job", "subject_id": new_id(), "job_id": job, "reason": "It has failed."}
    return {"found_by": CheckKind.STUCK_JOBS, "kind": FindingKind.JOB_FAILING, **about}


async def test_jobs_are_found_by_what_they_say_of_themselves_and_nothing_else_is(
    toys: Toys, sessions: Sessions, real_temporal: Client
) -> None:
    kind = f"toy_{uuid4().hex[:8].translate(str.maketrans('0123456789', 'ghijklmnop'))}"
    due = SearchAttributePair(search.DUE_AT, now() - timedelta(hours=2))
    jobs = [an_id("cart") for _ in range(3)]
    for number, job in enumerate(jobs):
        await toys.start(Asks, job, *(() if number else (due,)), job=kind)
    chased = search.at_start(kind, "running", WaitingFor.OPERATOR, due)
    asked = an_id("cart")
    await real_temporal.start_workflow("CartWorkflow", id=asked, task_queue=toys.queue, search_attributes=chased)
    await toys.lists(asked)
    foreign = an_id("cart")
    await real_temporal.start_workflow("CartWorkflow", id=foreign, task_queue=toys.queue)
    await toys.lists(foreign)
    for job in jobs:
        await toys.lists(job)

    async def found(**asked: object) -> set[str]:
        async with sessions() as session:
            query = await query_of(session, JobFilter.model_validate({"job": kind, **asked}), now())
        assert await count_jobs(real_temporal, query) == len([job async for job in every_job(real_temporal, query)])
        return {job.workflow_id async for job in every_job(real_temporal, query)}

    assert await found() == {*jobs, asked}
    assert await found(waiting_for=WaitingFor.NOTHING, needs_human=False, state="running") == set(jobs)
    assert await found(due_before=now().isoformat()) == {jobs[0], asked}
    async with sessions.begin() as session:
        many = [{**a_finding(f"order-{uuid4()}"), "id": new_id()} for _ in range(250)]
        await session.execute(insert(Finding), many)
        stuck = await query_of(session, JobFilter(stuck=True), now())
    JobActionRequest(job_action_id=new_id(), action=JobAction.RETRY, query=stuck, actor=FRIDA)
    assert await found(stuck=True) == {jobs[0]}
    assert (
        await found(run="broken") == await found(state="paid") == await found(started_from=now().isoformat()) == set()
    )
    three = f"RegistrarJob='{kind}' AND RegistrarWaitingFor='nothing'"
    first = await list_jobs(real_temporal, three, limit=2)
    assert first.next_page_token is not None
    second = await list_jobs(
        real_temporal,
        f"RegistrarJob='{kind}' AND RegistrarWaitingFor='nothing'",
        limit=2,
        page_token=first.next_page_token,
    )
    assert {job.workflow_id for job in (*first.items, *second.items)} == set(jobs)
    assert second.next_page_token is None
    both = f'WorkflowId IN ("{foreign}", "{jobs[0]}")'
    assert [job.workflow_id async for job in every_job(real_temporal, both)] == [jobs[0]]
    for wrong in ("nonsense", f"{both}) OR (WorkflowId IS NOT NULL", f"{both} -- ", "RegistrarJob = 'a\\' OR 'b'"):
        with pytest.raises(InvalidQueryError):
            await count_jobs(real_temporal, wrong)
