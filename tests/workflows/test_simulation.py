"""The simulated cluster does with workflows among themselves what a server does."""

import random
from datetime import timedelta

import pytest
from temporalio import workflow
from temporalio.exceptions import ApplicationError, ChildWorkflowError, WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

from tests.workflows.simulation import Simulation


@workflow.defn
class Child:
    """Waits for a word, and ends with it; the word `no` is a failure."""

    def __init__(self) -> None:
        self._word: str | None = None

    @workflow.run
    async def run(self, name: str) -> str:
        await workflow.wait_condition(lambda: self._word is not None)
        if self._word == "no":
            raise ApplicationError("no", non_retryable=True)
        return f"{name} {self._word}"

    @workflow.signal
    def say(self, word: str) -> None:
        self._word = word


@workflow.defn
class Parent:
    """Starts children, tells them a word, and ends with what it heard of them."""

    @workflow.run
    async def run(self, words: list[str]) -> list[str]:
        heard = []
        for word in words:
            child = await workflow.start_child_workflow(
                Child.run, word, id=f"child-{word}", parent_close_policy=ParentClosePolicy.ABANDON
            )
            try:
                await workflow.start_child_workflow(Child.run, word, id=f"child-{word}")
            except WorkflowAlreadyStartedError:
                heard.append("taken")
            await workflow.get_external_workflow_handle(f"child-{word}").signal("say", word)
            try:
                heard.append(await child)
            except ChildWorkflowError:
                heard.append("failed")
        try:
            await workflow.get_external_workflow_handle("child-nobody").signal("say", "anything")
        except ApplicationError:
            heard.append("nobody")
        return heard


@workflow.defn
class Leaver:
    """Leaves two children behind, one of which outlives it."""

    @workflow.run
    async def run(self, generation: int) -> int:
        policy = ParentClosePolicy.ABANDON if generation else ParentClosePolicy.TERMINATE
        await workflow.start_child_workflow(Child.run, "x", id=f"child-{generation}", parent_close_policy=policy)
        if generation < 2:
            workflow.continue_as_new(generation + 1)
        return generation


def a_simulation(seed: int = 0) -> Simulation:
    return Simulation([], random.Random(seed), workflows=(Child,))  # noqa: S311


@pytest.mark.parametrize("seed", range(20))
def test_children_start_once_and_answer_their_parent(seed: int) -> None:
    simulation = a_simulation(seed)
    run = simulation.start(Parent.run, ["yes", "no"], "parent")
    simulation.run_for(timedelta(hours=1))
    assert run.result() == ["taken", "yes yes", "taken", "failed", "nobody"]


def test_who_continues_as_new_keeps_its_id_and_leaves_its_children_by_their_policy() -> None:
    simulation = a_simulation()
    run = simulation.start(Leaver.run, 0, "leaver")
    simulation.run_for(timedelta(hours=1))
    assert run.result() == 2
    running = [simulation.is_running(f"child-{generation}") for generation in range(3)]
    assert running == [False, True, True]
    simulation.runs["child-1"].signal(Child.say, "bye")
    simulation.run_for(timedelta(hours=1))
    assert simulation.runs["child-1"].result() == "x bye"
