"""A change of a course on a simulated clock: made once, brought to everybody once, and whole wherever it is stopped."""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import UUID

import pytest
from temporalio import activity
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from models.errors import Reason
from models.identifiers import course_change_workflow_id
from models.messages.learning import (
    CourseChangeBegun,
    CourseChangeOutcome,
    CourseChangeRequest,
    DripsWoken,
    EndCourseChange,
    LateDrip,
    ReplannedPage,
    ReplanPage,
    WakeDrips,
)
from models.vocabulary import ContentChange, CourseChangeStatus
from tests.workflows.simulation import Mishaps, Run, Simulation
from workflows.course_change import CourseChangeWorkflow
from workflows.wake_drips import ROUNDS, WakeDripsWorkflow

CHANGE, COURSE = UUID(int=1), UUID(int=2)
MANY = 10_000
_LONG_AGO = datetime(2026, 3, 2, tzinfo=UTC)


@dataclass
class Members:
    """The enrollments of a course, and which of them follow the change. One in ten refuses it."""

    count: int = MANY
    refuses: Reason | None = None
    begun: int = 0
    reached: dict[int, int] = field(default_factory=dict)
    ended: list[bool] = field(default_factory=list)

    @activity.defn
    async def begin_course_change(self, request: CourseChangeRequest) -> CourseChangeBegun:
        assert request.change_id == CHANGE
        if self.refuses is not None:
            return CourseChangeBegun(change_id=CHANGE, refusal=self.refuses, refusal_detail="No.")
        self.begun += 1
        return CourseChangeBegun(change_id=CHANGE, enrollments=self.count)

    @activity.defn
    async def replan_page(self, step: ReplanPage) -> ReplannedPage:
        assert self.begun
        after = 0 if step.after is None else step.after.int
        page = range(after + 1, min(after + step.limit, self.count) + 1)
        for each in page:
            self.reached[each] = self.reached.get(each, 0) + 1
        refused = sum(each % 10 == 0 for each in page)
        return ReplannedPage(last=UUID(int=page[-1]) if page else None, done=len(page) - refused, refused=refused)

    @activity.defn
    async def end_course_change(self, step: EndCourseChange) -> None:
        self.ended.append(step.is_stopped)


def changing(members: Members, seed: str = "", mishaps: Mishaps | None = None) -> tuple[Simulation, Run]:
    """A change that has just been asked for."""
    steps = [members.begin_course_change, members.replan_page, members.end_course_change]
    simulation = Simulation(steps, random.Random(seed), mishaps)  # noqa: S311
    request = CourseChangeRequest(
        change_id=CHANGE, course_id=COURSE, content=ContentChange.REMOVE_LESSON, lesson_id=CHANGE, actor="staff:7"
    )
    return simulation, simulation.start(CourseChangeWorkflow.run, request, course_change_workflow_id(CHANGE))


def test_a_change_reaches_everybody_once() -> None:
    members = Members()
    simulation, run = changing(members)
    begun = run.update(CourseChangeWorkflow.begin)
    assert begun == CourseChangeBegun(change_id=CHANGE, enrollments=MANY)
    simulation.run_for(timedelta(hours=1))
    assert run.result() == CourseChangeOutcome(done=9000, refused=1000)
    assert set(members.reached.values()) == {1}
    assert (len(members.reached), members.ended) == (MANY, [False])
    assert run.query(CourseChangeWorkflow.status).status == CourseChangeStatus.DONE


def test_a_change_that_is_refused_touches_nobody() -> None:
    members = Members(refuses=Reason.DRIP_RULE_INVALID)
    _, run = changing(members)
    with pytest.raises(WorkflowUpdateFailedError) as failed:
        run.update(CourseChangeWorkflow.begin, with_start=True)
    assert cast(ApplicationError, failed.value.cause).type == Reason.DRIP_RULE_INVALID
    assert run.result() == CourseChangeOutcome(refusal=Reason.DRIP_RULE_INVALID)
    assert (members.reached, members.ended) == ({}, [])


def test_a_course_without_learners() -> None:
    members = Members(count=0)
    simulation, run = changing(members)
    simulation.run_for(timedelta(minutes=5))
    assert run.result() == CourseChangeOutcome()


@pytest.mark.parametrize("word", ["signal", "cancellation"])
def test_stopped_it_goes_no_further_and_says_how_far_it_came(word: str) -> None:
    members = Members()
    simulation, run = changing(members)
    simulation.run_until(lambda: len(members.reached) >= 1000)
    if word == "signal":
        run.signal(CourseChangeWorkflow.stop)
    else:
        run.cancel()
    simulation.run_for(timedelta(hours=1))
    outcome = cast(CourseChangeOutcome, run.result())
    assert outcome.is_stopped
    assert 1000 <= outcome.done + outcome.refused == len(members.reached) < MANY
    assert members.ended == [True]


def test_whatever_gets_lost_everybody_is_reached_over_many_runs() -> None:
    for seed in range(5):
        members = Members(count=3000)
        simulation, run = changing(members, str(seed), Mishaps(answer_lost=0.1, worker_away=0.05))
        simulation.suggests_continuing = True
        sent = run.send(CourseChangeWorkflow.begin)
        simulation.run_for(timedelta(days=2))
        assert run.successor is not None
        assert run.result() == CourseChangeOutcome(done=2700, refused=300)
        assert members.reached.keys() == set(range(1, 3001))
        assert isinstance(run.answered(sent), CourseChangeBegun)
        assert set(members.ended) == {False}


@dataclass
class Overdue:
    """So many enrollments that nobody has looked at."""

    count: int
    reached: list[int] = field(default_factory=list)
    looks: int = 0

    @activity.defn
    async def wake_drips(self, step: WakeDrips) -> DripsWoken:
        """None of them gets to work: whoever was reached is as late as before."""
        self.looks += 1
        after = 0 if step.after is None else step.after.enrollment_id.int
        page = range(after + 1, min(after + step.limit, self.count) + 1)
        self.reached += page
        last = LateDrip(since=_LONG_AGO, enrollment_id=UUID(int=page[-1])) if len(page) == step.limit else None
        return DripsWoken(woken=len(page), last=last)


@pytest.mark.parametrize(("overdue", "looks"), [(0, 1), (499, 1), (500, 2), (1200, 3), (9000, 19)])
def test_the_sweep_reaches_everybody_once_page_by_page(overdue: int, looks: int) -> None:
    record = Overdue(overdue)
    simulation = Simulation([record.wake_drips], random.Random("sweep"))  # noqa: S311
    run = simulation.start(WakeDripsWorkflow.run, WakeDrips(), "wake-drips")
    simulation.run_for(timedelta(minutes=20))
    assert (record.looks, record.reached) == (looks, list(range(1, overdue + 1)))
    assert (run.successor is not None, isinstance(run.result(), DripsWoken)) == (looks > ROUNDS, True)
    assert run.query(WakeDripsWorkflow.status).status == "done"
