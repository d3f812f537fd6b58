"""The steps of an action on many jobs, each repeated: begun once, gone on with, and silence passed over."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlmodel import col
from temporalio.client import Client, RPCTimeoutOrCancelledError, WorkflowUpdateFailedError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment

from activities import job_actions
from activities.database import Sessions
from activities.job_actions import JobActionActivities, is_outage
from models.errors import Reason
from models.identifiers import job_action_workflow_id, new_id
from models.messages.job_actions import EndJobAction, JobActionPage, JobActionRequest, RetryJob
from models.tables import AuditEntry, BulkJobAction, BulkJobActionLine
from models.vocabulary import JobAction, JobActionOutcome, JobActionStatus, TaskAction
from tests.integration.toy_jobs import Asks, Refuses, Toys, open_task, playing


@pytest.fixture
async def toys(real_temporal: Client) -> AsyncIterator[Toys]:
    async with playing(real_temporal) as toys:
        yield toys


async def outcomes(sessions: Sessions, action_id: UUID) -> dict[str, tuple[JobActionOutcome | None, str | None]]:
    """What became of each job so far."""
    line = BulkJobActionLine
    query = select(line).where(col(line.job_action_id) == action_id).order_by(col(line.position))
    async with sessions() as session:
        return {row.job_id: (row.outcome, row.reason) for row in (await session.execute(query)).scalars()}


async def test_an_action_on_many_jobs_step_by_step(
    toys: Toys, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, kind = JobActionActivities(sessions), f"toy_{new_id().hex}"
    asks, idle, silent, odd = (f"cart-{uuid4()}" for _ in range(4))
    answered = await toys.start(Asks, asks, job=kind)
    await toys.start(Asks, idle, job=kind)
    unserved = await Toys(toys.temporal, "nobody-polls").start(Asks, silent, job=kind)
    refusing = await toys.start(Refuses, odd, job=kind)
    for job in (asks, idle, silent, odd):
        await toys.lists(job)
    for job in (asks, silent, odd):
        await open_task(sessions, job, TaskAction.RETRY)
    environment = ActivityEnvironment(client=toys.temporal)
    request = JobActionRequest(
        job_action_id=uuid4(), action=JobAction.RETRY, query=f"RegistrarJob='{kind}'", actor="staff:frida"
    )
    with monkeypatch.context() as narrow:
        narrow.setattr(job_actions, "MAX_JOBS", 2)
        refused = await environment.run(steps.begin_job_action, request)
    assert refused.refusal is Reason.TOO_MANY_JOBS
    wrong = await environment.run(steps.begin_job_action, request.model_copy(update={"query": "nonsense"}))
    assert wrong.refusal is Reason.INVALID_REQUEST
    for _ in range(2):
        assert (await environment.run(steps.begin_job_action, request)).total == 4
    assert set(await outcomes(sessions, request.job_action_id)) == {asks, idle, silent, odd}

    monkeypatch.setattr(job_actions, "_PATIENCE", timedelta(seconds=0.5))
    page = JobActionPage(job_action_id=request.job_action_id)
    with pytest.raises((TimeoutError, RPCTimeoutOrCancelledError, WorkflowUpdateFailedError)):
        await environment.run(steps.act_on_page, page)
    assert await answered.result() == "retry by staff:frida"
    came = {
        asks: (JobActionOutcome.DONE, None),
        idle: (JobActionOutcome.NOTHING, Reason.NOTHING_TO_RETRY),
        silent: (None, None),
        odd: (None, None),
    }
    assert await outcomes(sessions, request.job_action_id) == came
    environment.info = replace(environment.info, attempt=5)
    assert (await environment.run(steps.act_on_page, page)).done == 2
    came[silent] = (JobActionOutcome.GONE, Reason.UNAVAILABLE)
    came[odd] = (JobActionOutcome.REFUSED, Reason.INTERNAL)
    assert await outcomes(sessions, request.job_action_id) == came
    assert (await environment.run(steps.act_on_page, page)).done == 0
    quiet = await environment.run(steps.retry_job, RetryJob(workflow_id=silent, actor="staff:frida"))
    assert quiet.refusal is Reason.UNAVAILABLE
    unwilling = await environment.run(steps.retry_job, RetryJob(workflow_id=odd, actor="staff:frida"))
    assert unwilling.refusal is Reason.INTERNAL
    await refusing.terminate("the test is over")
    await unserved.terminate("the test is over")

    workflow_id = job_action_workflow_id(request.job_action_id)
    for is_stopped in (True, False):
        end = EndJobAction(job_action_id=request.job_action_id, is_stopped=is_stopped, workflow_id=workflow_id)
        await environment.run(steps.end_job_action, end)
    assert (await environment.run(steps.act_on_page, page)).done == 0
    async with sessions() as session:
        action = await session.get_one(BulkJobAction, request.job_action_id)
        audited = select(col(AuditEntry.actor), col(AuditEntry.to_state)).where(
            col(AuditEntry.workflow_id) == workflow_id
        )
        assert action.status == JobActionStatus.STOPPED
        assert set((await session.execute(audited)).all()) == {("staff:frida", "running"), ("system", "stopped")}


def test_what_fails_for_every_job_alike_is_tried_again_and_passes_over_nobody() -> None:
    away, gone = (RPCError("", status, b"") for status in (RPCStatusCode.UNAVAILABLE, RPCStatusCode.NOT_FOUND))
    late = RPCTimeoutOrCancelledError()
    late.__cause__ = RPCError("", RPCStatusCode.DEADLINE_EXCEEDED, b"")
    assert all(map(is_outage, (away, late, OperationalError("", {}, Exception()), ConnectionRefusedError())))
    assert not any(map(is_outage, (gone, RPCTimeoutOrCancelledError(), TimeoutError(), ValueError())))
