"""Certificates for many learners on a simulated clock: killed anywhere it goes on to exactly N; cancelled it stops."""

import random
from dataclasses import dataclass, field
from typing import cast
from uuid import UUID

import pytest
from temporalio import activity
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from models.errors import Reason
from models.identifiers import certificate_batch_workflow_id
from models.messages.certificates import BatchBegun, BatchPage, BatchPageDone, BatchProgress, BatchRequest, EndBatch
from models.vocabulary import BatchStatus
from tests.workflows.simulation import Mishaps, Run, Simulation
from workflows.certificate_batch import CertificateBatchWorkflow

BATCH, COURSE = UUID(int=1), UUID(int=2)
REQUEST = BatchRequest(batch_id=BATCH, course_id=COURSE, actor="staff:7")


@dataclass
class Learners:
    """The lines of a run, and how many certificates each learner got."""

    total: int
    dies_at: set[int] = field(default_factory=set)
    refusal: Reason | None = None
    lines: dict[int, int] = field(default_factory=dict)
    ends: list[EndBatch] = field(default_factory=list)
    pages: int = 0

    @property
    def steps(self) -> list[object]:
        return [self.begin_batch, self.issue_page, self.end_batch]

    @activity.defn
    async def begin_batch(self, request: BatchRequest) -> BatchBegun:
        if self.refusal is not None:
            return BatchBegun(batch_id=BATCH, refusal=self.refusal, refusal_detail="There is no such course.")
        return BatchBegun(batch_id=BATCH, total=self.total)

    @activity.defn
    async def issue_page(self, page: BatchPage) -> BatchPageDone:
        """One learner after the other; the worker dies between two of them."""
        self.pages += 1
        turn = [number for number in range(self.total) if number not in self.lines][: page.limit]
        for number in turn:
            if len(self.lines) in self.dies_at:
                self.dies_at.discard(len(self.lines))
                raise ApplicationError("the worker died")
            self.lines[number] = self.lines.get(number, 0) + 1
        return BatchPageDone(done=len(turn))

    @activity.defn
    async def end_batch(self, step: EndBatch) -> None:
        self.ends.append(step)

    def check(self, run: Run, *, done: int, status: BatchStatus) -> None:
        """How it ended: each of so many had exactly one turn."""
        assert self.lines == dict.fromkeys(range(done), 1)
        assert {end.is_canceled for end in self.ends} == {status is BatchStatus.CANCELED}
        progress = cast(BatchProgress, run.result())
        assert (progress.status, progress.total) == (status, self.total)
        assert run.query(CertificateBatchWorkflow.progress) == progress


def _start(learners: Learners, seed: str = "", mishaps: Mishaps | None = None) -> Run:
    simulation = Simulation(learners.steps, random.Random(seed), mishaps)  # noqa: S311 - the same every time
    return simulation.start(CertificateBatchWorkflow.run, REQUEST, certificate_batch_workflow_id(BATCH))


def _play(run: Run) -> None:
    run.simulation.run_until(lambda: run.ended is not None)


@pytest.mark.parametrize("total", [0, 1, 99, 100, 101, 10_000])
def test_everybody_has_one_turn(total: int) -> None:
    learners = Learners(total)
    run = _start(learners)
    assert cast(BatchBegun, run.update(CertificateBatchWorkflow.begun)).total == total
    _play(run)
    learners.check(run, done=total, status=BatchStatus.DONE)
    assert run.query(CertificateBatchWorkflow.progress).done == total
    assert learners.pages == -(-total // 100) + 1


def test_a_run_that_is_killed_at_37_percent_goes_on_to_exactly_all() -> None:
    learners = Learners(10_000, dies_at={3_700})
    run = _start(learners)
    run.simulation.run_until(lambda: not learners.dies_at)
    assert len(learners.lines) == 3_700
    _play(run)
    learners.check(run, done=10_000, status=BatchStatus.DONE)


@pytest.mark.parametrize("number", range(30))
def test_it_goes_on_to_exactly_all_wherever_workers_die_and_answers_get_lost(number: int) -> None:
    chance = random.Random(number)  # noqa: S311 - the same every time
    learners = Learners(chance.randrange(1, 900))
    learners.dies_at = {chance.randrange(learners.total) for _ in range(4)}
    run = _start(learners, str(number), Mishaps(answer_lost=0.2, worker_away=0.1))
    _play(run)
    learners.check(run, done=learners.total, status=BatchStatus.DONE)
    assert run.query(CertificateBatchWorkflow.progress).done == learners.total


@pytest.mark.parametrize("by_operator", [True, False])
def test_a_cancelled_run_ends_its_page_and_gives_nobody_else_a_turn(by_operator: bool) -> None:
    learners = Learners(1_000)
    run = _start(learners)
    run.simulation.run_until(lambda: len(learners.lines) == 300)
    progress = run.query(CertificateBatchWorkflow.progress)
    assert progress == BatchProgress(status=BatchStatus.RUNNING, total=1_000, done=200)
    if by_operator:
        run.cancel()
    else:
        run.signal(CertificateBatchWorkflow.cancel)
    _play(run)
    done = len(learners.lines)
    assert 300 <= done <= 600
    learners.check(run, done=done, status=BatchStatus.CANCELED)
    assert run.query(CertificateBatchWorkflow.progress).done == done


def test_a_run_that_is_cancelled_when_all_had_their_turn_is_done() -> None:
    learners = Learners(100)
    run = _start(learners)
    run.simulation.run_until(lambda: len(learners.lines) == 100)
    run.signal(CertificateBatchWorkflow.cancel)
    _play(run)
    learners.check(run, done=100, status=BatchStatus.DONE)


def test_a_run_for_nobody_is_refused() -> None:
    learners = Learners(0, refusal=Reason.UNKNOWN_COURSE)
    run = _start(learners)
    with pytest.raises(WorkflowUpdateFailedError) as failed:
        run.update(CertificateBatchWorkflow.begun, with_start=True)
    assert isinstance(failed.value.cause, ApplicationError)
    assert failed.value.cause.type == Reason.UNKNOWN_COURSE
    _play(run)
    assert cast(BatchProgress, run.result()).total == 0
    assert learners.ends == []
