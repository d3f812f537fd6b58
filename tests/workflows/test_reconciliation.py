"""The comparison with Stripe on a simulated clock: its steps in their order, whatever gets lost on the way."""

import random
from dataclasses import dataclass, field
from datetime import timedelta
from typing import cast
from uuid import UUID

import pytest
from temporalio import activity

from models.messages.checks import PursuedFindings, PursueFindings
from models.messages.documents import StoredFile
from models.messages.reconciliation import (
    CompareBooks,
    ComparedBooks,
    EndReconciliation,
    Reconcile,
    ReconciliationOutcome,
    Scope,
    TellJobs,
    ToldJobs,
    WriteFindings,
)
from models.vocabulary import CheckKind
from tests.workflows.simulation import Mishaps, Simulation
from workflows.reconciliation import ReconciliationWorkflow

RUN = UUID(int=1)


@dataclass
class Books:
    """Stands in for the record and Stripe: what is wrong, and how much of it jobs can put right."""

    found: int
    healing: int
    did: list[str] = field(default_factory=list)
    compared: set[CompareBooks] = field(default_factory=set)
    ended: set[EndReconciliation] = field(default_factory=set)

    @property
    def steps(self) -> list[object]:
        return [
            self.compare_books, self.tell_jobs, self.pursue_findings, self.end_reconciliation, self.write_findings,
        ]  # fmt: skip

    def _note(self, step: str) -> None:
        if step not in self.did[-1:]:
            self.did.append(step)

    @activity.defn
    async def compare_books(self, step: CompareBooks) -> ComparedBooks:
        self._note("compare")
        self.compared.add(step)
        return ComparedBooks(run_id=RUN, found=self.found, healing=self.healing)

    @activity.defn
    async def tell_jobs(self, step: TellJobs) -> ToldJobs:
        self._note("tell")
        return ToldJobs(told=self.healing)

    @activity.defn
    async def pursue_findings(self, step: PursueFindings) -> PursuedFindings:
        assert step.found_by is CheckKind.RECONCILIATION
        self._note("ask")
        return PursuedFindings(asked=self.found - self.healing)

    @activity.defn
    async def end_reconciliation(self, step: EndReconciliation) -> None:
        self._note("end")
        self.ended.add(step)

    @activity.defn
    async def write_findings(self, step: WriteFindings) -> StoredFile:
        self._note("workbook")
        return StoredFile(key=f"check-runs/{step.run_id}.xlsx", sha256="0" * 64, size=1)


@pytest.mark.parametrize("number", range(10))
@pytest.mark.parametrize(
    ("scope", "days", "healing", "steps"),
    [
        ("recent", 1, 2, ["compare", "tell", "ask", "end"]),
        ("recent", 1, 0, ["compare", "ask", "end"]),
        ("nightly", 7, 2, ["compare", "tell", "ask", "end", "workbook"]),
    ],
)
def test_it_compares_tells_asks_and_writes_down_what_came_of_it(
    scope: Scope, days: int, healing: int, steps: list[str], number: int
) -> None:
    books = Books(found=5, healing=healing)
    mishaps = Mishaps(answer_lost=0.3, worker_away=0.1)
    simulation = Simulation(books.steps, random.Random(number), mishaps)  # noqa: S311 - the same every time
    run = simulation.start(ReconciliationWorkflow.run, Reconcile(scope=scope), f"reconcile-{scope}")
    simulation.run_until(lambda: run.ended is not None)
    assert books.did == steps
    [compared] = books.compared
    # What it is about follows from when it was meant to start, however late and often it does it.
    assert compared.looked_until == simulation.started - timedelta(minutes=10)
    assert compared.looked_from == simulation.started - timedelta(days=days)
    assert books.ended == {EndReconciliation(run_id=RUN, told=healing, asked=5 - healing)}
    outcome = cast(ReconciliationOutcome, run.result())
    assert (outcome.run_id, outcome.found, outcome.told, outcome.asked) == (RUN, 5, healing, 5 - healing)
