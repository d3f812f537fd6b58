"""An action on many jobs on a simulated clock: killed anywhere it goes on to exactly all; stopped it stops."""

import random
from dataclasses import dataclass, field
from typing import cast
from uuid import UUID

import pytest
from temporalio import activity
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from models.errors import Reason
from models.identifiers import job_action_workflow_id
from models.messages.job_actions import (
    EndJobAction,
    JobActionBegun,
    JobActionPage,
    JobActionPageDone,
    JobActionProgress,
    JobActionRequest,
    StopJobAction,
)
from models.vocabulary import JobAction, JobActionStatus
from tests.workflows.simulation import Mishaps, Run, Simulation
from workflows.job_action import JobActionWorkflow

ID = UUID(int=1)
REQUEST = JobActionRequest(job_action_id=ID, action=JobAction.RETRY, query='RegistrarJob="order"', actor="staff:7")


@dataclass
class Jobs:
    """The lines of an action, and how many turns each job had."""

    total: int
    dies_at: set[int] = field(default_factory=set)
    refusal: Reason | None = None
    turns: dict[int, int] = field(default_factory=dict)
    ends: set[tuple[bool, str | None]] = field(default_factory=set)

    @property
    def steps(self) -> list[object]:
        return [self.begin_job_action, self.act_on_page, self.end_job_action]

    @activity.defn
    async def begin_job_action(self, request: JobActionRequest) -> JobActionBegun:
        detail = None if self.refusal is None else "Narrow it."
        return JobActionBegun(job_action_id=ID, total=self.total, refusal=self.refusal, refusal_detail=detail)

    @activity.defn
    async def act_on_page(self, page: JobActionPage) -> JobActionPageDone:
        """One job after the other; the worker dies between two of them."""
        turn = [number for number in range(self.total) if number not in self.turns][: page.limit]
        for number in turn:
            if len(self.turns) in self.dies_at:
                self.dies_at.discard(len(self.turns))
                raise ApplicationError("the worker died")
            self.turns[number] = self.turns.get(number, 0) + 1
        return JobActionPageDone(done=len(turn))

    @activity.defn
    async def end_job_action(self, step: EndJobAction) -> None:
        self.ends.add((step.is_stopped, step.stopped_by))

    def check(self, run: Run, *, done: int, status: JobActionStatus, by: str | None = None) -> None:
        """How it ended: each of so many had exactly one turn."""
        assert self.turns == dict.fromkeys(range(done), 1)
        assert self.ends == {(status is JobActionStatus.STOPPED, by)}
        progress = cast(JobActionProgress, run.result())
        assert progress == JobActionProgress(status=status, total=self.total, done=done)
        assert run.query(JobActionWorkflow.progress) == progress


def start(jobs: Jobs, seed: str = "", mishaps: Mishaps | None = None) -> Run:
    simulation = Simulation(jobs.steps, random.Random(seed), mishaps)  # noqa: S311 - the same every time
    return simulation.start(JobActionWorkflow.run, REQUEST, job_action_workflow_id(ID))


def play(run: Run) -> None:
    run.simulation.run_until(lambda: run.ended is not None)


@pytest.mark.parametrize("total", [0, 1, 100, 10_000])
def test_every_job_has_one_turn(total: int) -> None:
    jobs = Jobs(total)
    run = start(jobs)
    assert cast(JobActionBegun, run.update(JobActionWorkflow.begun)).total == total
    play(run)
    jobs.check(run, done=total, status=JobActionStatus.DONE)


@pytest.mark.parametrize("number", range(12))
def test_it_goes_on_to_exactly_all_wherever_workers_die_and_answers_get_lost(number: int) -> None:
    chance = random.Random(number)  # noqa: S311 - the same every time
    jobs = Jobs(chance.randrange(1, 700))
    jobs.dies_at = {chance.randrange(jobs.total) for _ in range(4)}
    run = start(jobs, str(number), Mishaps(answer_lost=0.2, worker_away=0.1))
    play(run)
    jobs.check(run, done=jobs.total, status=JobActionStatus.DONE)


@pytest.mark.parametrize("by_operator", [True, False])
def test_a_stopped_one_ends_its_page_and_acts_on_no_further_job(by_operator: bool) -> None:
    jobs = Jobs(1_000)
    run = start(jobs)
    run.simulation.run_until(lambda: len(jobs.turns) == 300)
    if by_operator:
        run.cancel()
    else:
        run.signal(JobActionWorkflow.stop, StopJobAction(actor="staff:8"))
        run.signal(JobActionWorkflow.stop)
    play(run)
    assert 300 <= len(jobs.turns) <= 600
    jobs.check(run, done=len(jobs.turns), status=JobActionStatus.STOPPED, by=None if by_operator else "staff:8")


def test_too_many_are_refused() -> None:
    jobs = Jobs(0, refusal=Reason.TOO_MANY_JOBS)
    run = start(jobs)
    with pytest.raises(WorkflowUpdateFailedError) as failed:
        run.update(JobActionWorkflow.begun, with_start=True)
    assert isinstance(failed.value.cause, ApplicationError)
    assert failed.value.cause.type == Reason.TOO_MANY_JOBS
    play(run)
    assert jobs.ends == set()
