"""A finding that a person is asked about, on a simulated clock: decided, gone, or both at the same moment."""

import random
from dataclasses import dataclass, field
from typing import cast
from uuid import UUID

import pytest
from temporalio import activity
from temporalio.client import WorkflowUpdateFailedError

from models.identifiers import finding_workflow_id
from models.messages.checks import FindingOutcome, LookInto, SettleFinding
from models.messages.tasks import CloseTask, DecideTask, OpenTask
from models.vocabulary import CheckKind, FindingKind, FindingStatus, TaskAction, TaskKind, TaskQueue, WaitingFor
from tests.workflows.simulation import Mishaps, Run, Simulation
from workflows.finding import FindingWorkflow

FINDING, ORDER = UUID(int=1), UUID(int=2)
SETTLED = {TaskAction.RETRY: FindingStatus.RESOLVED, TaskAction.ACCEPT: FindingStatus.ACCEPTED}


@dataclass
class Office:
    """The record's side of a finding."""

    tasks: dict[UUID, OpenTask] = field(default_factory=dict)
    closed: dict[UUID, CloseTask] = field(default_factory=dict)
    settled: list[SettleFinding] = field(default_factory=list)

    @property
    def steps(self) -> list[object]:
        return [self.open_task, self.close_task, self.settle_finding]

    @activity.defn
    async def open_task(self, step: OpenTask) -> None:
        self.tasks[step.task_id] = step

    @activity.defn
    async def close_task(self, step: CloseTask) -> None:
        self.closed.setdefault(step.decision.task_id, step)

    @activity.defn
    async def settle_finding(self, step: SettleFinding) -> None:
        if step not in self.settled:
            self.settled.append(step)


def begin(office: Office, seed: int = 0, mishaps: Mishaps | None = None, **told: object) -> Run:
    facts: dict[str, object] = {
        "finding_id": FINDING, "found_by": CheckKind.RECONCILIATION, "kind": FindingKind.AMOUNT_MISMATCH,
        "subject_kind": "order", "subject_id": ORDER, "reason": "Another amount came in.",
    }  # fmt: skip
    simulation = Simulation(office.steps, random.Random(seed), mishaps)  # noqa: S311 - the same every time
    look = LookInto.model_validate(facts | told)
    return simulation.start(FindingWorkflow.run, look, finding_workflow_id(FINDING))


def asked(run: Run, office: Office) -> OpenTask:
    """The task, as soon as people see it."""
    run.simulation.run_until(lambda: bool(office.tasks))
    return next(iter(office.tasks.values()))


@pytest.mark.parametrize("action", [TaskAction.RETRY, TaskAction.ACCEPT])
@pytest.mark.parametrize("number", range(10))
def test_what_a_person_decides_is_written_down_once(action: TaskAction, number: int) -> None:
    office = Office()
    run = begin(office, number, Mishaps(answer_lost=0.2, worker_away=0.1), times=3)
    task = asked(run, office)
    assert (task.kind, task.queue, task.subject_id) == (TaskKind.RECONCILIATION, TaskQueue.FINANCE, ORDER)
    state = run.query(FindingWorkflow.status)
    assert (state.waiting_for, state.needs_human, state.status) == (WaitingFor.OPERATOR, True, FindingStatus.OPEN)
    run.update(FindingWorkflow.decide, DecideTask(task_id=task.task_id, action=action, actor="staff:7"))
    run.simulation.run_until(lambda: run.ended is not None)
    assert run.result() == FindingOutcome(status=SETTLED[action])
    [settled] = office.settled
    assert (settled.status, settled.actor, settled.times) == (SETTLED[action], "staff:7", 3)
    assert [closed.decision.action for closed in office.closed.values()] == [action]


@pytest.mark.parametrize("kind", [CheckKind.CRITICAL_MAIL, CheckKind.STUCK_JOBS])
def test_what_goes_away_by_itself_nobody_has_to_decide(kind: CheckKind) -> None:
    office = Office()
    run = begin(office, found_by=kind)
    task = asked(run, office)
    assert task.queue is TaskQueue.SUPPORT
    run.signal(FindingWorkflow.gone)
    run.simulation.run_until(lambda: run.ended is not None)
    assert (run.result(), office.settled) == (FindingOutcome(status=FindingStatus.RESOLVED), [])
    assert [closed.decision.actor for closed in office.closed.values()] == ["system"]


@pytest.mark.parametrize("number", range(20))
def test_a_decision_that_races_a_run_counts_or_is_refused_never_half(number: int) -> None:
    office = Office()
    run = begin(office, number, Mishaps(answer_lost=0.1, worker_away=0.1))
    task = asked(run, office)
    decision = DecideTask(task_id=task.task_id, action=TaskAction.ACCEPT, actor="staff:7")
    if number % 2:
        run.signal(FindingWorkflow.gone)
    sent = run.send(FindingWorkflow.decide, decision)
    run.signal(FindingWorkflow.gone)
    answer = run.answered(sent)
    run.simulation.run_until(lambda: run.ended is not None)
    outcome = cast(FindingOutcome, run.result())
    was_refused = isinstance(answer, WorkflowUpdateFailedError)
    assert outcome.status is (FindingStatus.RESOLVED if was_refused else FindingStatus.ACCEPTED)
    assert [each.status for each in office.settled] == ([] if was_refused else [FindingStatus.ACCEPTED])
    assert {closed.decision.actor for closed in office.closed.values()} == {"system" if was_refused else "staff:7"}
