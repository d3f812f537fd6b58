"""The scan for stuck jobs, and what people decide about what it finds, on a simulated clock."""

import random
from dataclasses import dataclass, field
from uuid import UUID

import pytest
from temporalio import activity

from models.errors import Reason
from models.identifiers import finding_workflow_id
from models.messages.checks import (
    FindStuckJobs,
    LookForStuckJobs,
    LookInto,
    PursuedFindings,
    PursueFindings,
    SettleFinding,
    StuckJobsFound,
)
from models.messages.job_actions import RetriedJob, RetryJob
from models.messages.tasks import CloseTask, DecideTask, OpenTask
from models.vocabulary import CheckKind, FindingKind, FindingStatus, TaskAction, TaskKind
from tests.workflows.simulation import Mishaps, Simulation
from workflows.finding import FindingWorkflow
from workflows.stuck_jobs import StuckJobsWorkflow

FINDING, JOB = UUID(int=1), "order-1"


@dataclass
class Office:
    """What the steps did, in order."""

    tasks: list[OpenTask] = field(default_factory=list)
    did: list[object] = field(default_factory=list)

    @property
    def steps(self) -> list[object]:
        return [
            self.find_stuck_jobs,
            self.pursue_findings,
            self.open_task,
            self.close_task,
            self.retry_job,
            self.settle_finding,
        ]

    def note(self, step: object) -> None:
        if step not in self.did:
            self.did.append(step)

    @activity.defn
    async def find_stuck_jobs(self, step: LookForStuckJobs) -> StuckJobsFound:
        self.note(step)
        return StuckJobsFound(looked_at=5, stuck=2)

    @activity.defn
    async def pursue_findings(self, step: PursueFindings) -> PursuedFindings:
        self.note(step)
        return PursuedFindings(asked=2)

    @activity.defn
    async def open_task(self, step: OpenTask) -> None:
        self.tasks = [step]

    @activity.defn
    async def close_task(self, step: CloseTask) -> None:
        pass

    @activity.defn
    async def retry_job(self, step: RetryJob) -> RetriedJob:
        self.note(step)
        return RetriedJob(refusal=Reason.NOTHING_TO_RETRY)

    @activity.defn
    async def settle_finding(self, step: SettleFinding) -> None:
        self.note(step.status)


def test_a_look_is_about_its_moment_and_then_people_are_asked() -> None:
    office = Office()
    simulation = Simulation(office.steps, random.Random(1), Mishaps(answer_lost=0.3, worker_away=0.2))  # noqa: S311
    run = simulation.start(StuckJobsWorkflow.run, FindStuckJobs(), "stuck-jobs-1")
    started = simulation.now
    simulation.run_until(lambda: run.ended is not None)
    assert run.result() == StuckJobsFound(looked_at=5, stuck=2, asked=2)
    look = LookForStuckJobs(moment=started, workflow_id="stuck-jobs-1")
    assert office.did == [look, PursueFindings(found_by=CheckKind.STUCK_JOBS)]


@pytest.mark.parametrize(
    ("found_by", "job", "action", "is_tried"),
    [
        (CheckKind.STUCK_JOBS, JOB, TaskAction.RETRY, True),
        (CheckKind.STUCK_JOBS, JOB, TaskAction.ACCEPT, False),
        (CheckKind.STUCK_JOBS, None, TaskAction.RETRY, False),
        (CheckKind.RECONCILIATION, JOB, TaskAction.RETRY, False),
    ],
)
def test_retry_lets_the_stuck_job_try_again_before_it_is_settled(
    found_by: CheckKind, job: str | None, action: TaskAction, is_tried: bool
) -> None:
    office = Office()
    simulation = Simulation(office.steps, random.Random(2), Mishaps(answer_lost=0.3, worker_away=0.2))  # noqa: S311
    look = LookInto(
        finding_id=FINDING,
        found_by=found_by,
        kind=FindingKind.JOB_FAILING,
        subject_kind="job",
        subject_id=FINDING,
        reason="The step fails.",
        job_id=job,
    )
    run = simulation.start(FindingWorkflow.run, look, finding_workflow_id(FINDING))
    simulation.run_until(lambda: bool(office.tasks))
    [task] = office.tasks
    assert task.kind is {CheckKind.STUCK_JOBS: TaskKind.STUCK_JOB}.get(found_by, TaskKind.RECONCILIATION)
    run.update(FindingWorkflow.decide, DecideTask(task_id=task.task_id, action=action, actor="staff:7"))
    simulation.run_until(lambda: run.ended is not None)
    status = FindingStatus.RESOLVED if action is TaskAction.RETRY else FindingStatus.ACCEPTED
    tried = [RetryJob(workflow_id=JOB, actor="staff:7")] if is_tried else []
    assert office.did == [*tried, status]
