"""One action on many jobs, which a query has found: page by page, each job in the way of its kind."""

import asyncio

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from activities.job_actions import JobActionActivities
    from models.messages.job_actions import (
        EndJobAction,
        JobActionBegun,
        JobActionPage,
        JobActionProgress,
        JobActionRequest,
        StopJobAction,
    )
    from models.messages.jobs import JobState
    from models.vocabulary import JobActionStatus, WaitingFor
    from workflows.desk import Desk
    from workflows.policies import BATCH, JOBS
    from workflows.shielding import to_its_end
    from workflows.turns import Turns, unless_refused


@workflow.defn(name="JobActionWorkflow", versioning_behavior=VersioningBehavior.PINNED)
class JobActionWorkflow:
    """One action. Which jobs had their turn is on record, so a page that is begun again goes on exactly there.

    Ten thousand jobs are a hundred pages: a history holds them.
    """

    @workflow.init
    def __init__(self, request: JobActionRequest) -> None:
        self._request = request
        self._begun: JobActionBegun | None = None
        self._turns = Turns()
        self._stopped_by: str | None = None
        self._status = JobActionStatus.RUNNING
        self._desk = Desk(
            f"Jobs: {request.action}", "The jobs are looked up.", listed=(JobActionStatus.RUNNING, WaitingFor.NOTHING)
        )

    @workflow.run
    async def run(self, request: JobActionRequest) -> JobActionProgress:
        """Write down which jobs it is for, and give each its turn. A cancellation is a `stop`."""
        return await to_its_end(asyncio.create_task(self._tell_story()), self._turns.stop)

    async def _tell_story(self) -> JobActionProgress:
        begun = self._begun = await self._begin()
        self._turns.total = begun.total
        if begun.refusal is not None:
            self._status = JobActionStatus.STOPPED
            self._desk.tell(WaitingFor.NOTHING, f"Refused: {begun.refusal_detail}")
            return self._progress()
        self._desk.status = JobActionStatus.RUNNING
        is_over = await self._turns.taken(
            self._give_turns, lambda told: self._desk.tell(WaitingFor.NOTHING, f"{told} jobs had their turn.")
        )
        await self._end(is_stopped=not is_over)
        self._desk.tell(WaitingFor.NOTHING, f"Over: {self._turns.done} of {begun.total} jobs had their turn.")
        return self._progress()

    # ---- the chapters ----

    async def _begin(self) -> JobActionBegun:
        return await workflow.execute_activity_method(
            JobActionActivities.begin_job_action, self._request, summary="Write down which jobs it is for", **JOBS
        )

    async def _give_turns(self) -> int:
        """A page of them; none if nobody was left."""
        page = await workflow.execute_activity_method(
            JobActionActivities.act_on_page,
            JobActionPage(job_action_id=self._request.job_action_id),
            summary=f"Jobs from {self._turns.done + 1} on: {self._request.action}",
            **BATCH,
        )
        return page.done

    async def _end(self, *, is_stopped: bool) -> None:
        await workflow.execute_activity_method(
            JobActionActivities.end_job_action,
            EndJobAction(
                job_action_id=self._request.job_action_id,
                is_stopped=is_stopped,
                workflow_id=workflow.info().workflow_id,
                stopped_by=self._stopped_by if is_stopped else None,
            ),
            summary="Write the end",
            **JOBS,
        )
        self._status = JobActionStatus.STOPPED if is_stopped else JobActionStatus.DONE
        self._desk.status = self._status

    def _progress(self) -> JobActionProgress:
        return JobActionProgress(status=self._status, total=self._turns.total, done=self._turns.done)

    # ---- messages ----

    @workflow.update(description="Wait until it is written down which jobs it is for")
    async def begun(self) -> JobActionBegun:
        """Answer who has started it; refused if the query is wrong, or finds too many."""
        await workflow.wait_condition(lambda: self._begun is not None)
        return unless_refused(self._begun)

    @workflow.signal(description="Act on no further job; the page that is under way ends: {actor: 'staff:<id>'}")
    def stop(self, stop: StopJobAction | None = None) -> None:
        self._stopped_by = self._stopped_by or (stop.actor if stop is not None else None)
        self._turns.stop()

    @workflow.query(description="How many jobs had their turn, at least")
    def progress(self) -> JobActionProgress:
        return self._progress()

    @workflow.query(description="How far it is")
    def status(self) -> JobState:
        return self._desk.state(None)
