"""Exports on a simulated clock: every part once, whatever dies and gets lost; canceled, refused and broken ones end."""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import UUID

import pytest
from temporalio import activity
from temporalio.exceptions import ApplicationError

from models.errors import Reason
from models.identifiers import export_workflow_id
from models.messages.documents import StoredFile
from models.messages.exports import (
    EndExport,
    ExportBegun,
    ExportProgress,
    ExportRequest,
    JoinExport,
    PartWritten,
    RenderedReport,
    RenderReport,
    WritePart,
)
from models.vocabulary import ExportFormat, ExportReport, ExportStatus, WaitingFor
from tests.workflows.simulation import Mishaps, Run, Simulation
from workflows.export import ExportWorkflow

EXPORT = UUID(int=1)
ROWS_OF_PART = 50_000
SHA256 = "a" * 64


@dataclass
class Files:
    """An export's parts and file, and how often each was written."""

    parts: int = 3
    dies_at: set[int] = field(default_factory=set)
    broken_at: int | None = None
    never_done: str | None = None
    refusal: Reason | None = None
    tried: int = 0
    begun: int = 0
    written: dict[int, int] = field(default_factory=dict)
    joined: list[tuple[int, ...]] = field(default_factory=list)
    ends: list[EndExport] = field(default_factory=list)
    rendered: list[RenderReport] = field(default_factory=list)

    @property
    def steps(self) -> list[object]:
        return [self.begin_export, self.write_part, self.join_export, self.render_report, self.end_export]

    @activity.defn
    async def begin_export(self, request: ExportRequest) -> ExportBegun:
        self._may_be_done("begin_export")
        self.begun += 1
        if request.report is ExportReport.SALES:
            return ExportBegun()
        if self.refusal is not None:
            return ExportBegun(refusal=self.refusal, refusal_detail="A PDF has at most 10,000 rows.")
        return ExportBegun(row_count=self.parts * ROWS_OF_PART, parts=self.parts)

    @activity.defn
    async def write_part(self, step: WritePart) -> PartWritten:
        self._may_be_done("write_part")
        if step.number == self.broken_at:
            raise ApplicationError("the export is not running", type="export_not_running", non_retryable=True)
        if step.number in self.dies_at:
            self.dies_at.discard(step.number)
            raise ApplicationError("the worker died")
        if step.number not in self.written:
            self.written[step.number] = 1
        return PartWritten(rows_written=len(self.written) * ROWS_OF_PART)

    @activity.defn
    async def join_export(self, step: JoinExport) -> StoredFile:
        self._may_be_done("join_export")
        self.joined.append(tuple(self.written))
        return StoredFile(key=f"exports/{step.export_id}/audit.csv", sha256=SHA256, size=7)

    @activity.defn
    async def render_report(self, step: RenderReport) -> RenderedReport:
        self._may_be_done("render_report")
        self.rendered.append(step)
        snapshot_at = datetime(2026, 3, 2, tzinfo=UTC)
        return RenderedReport(key="k", sha256=SHA256, size=9, row_count=4, snapshot_at=snapshot_at)

    @activity.defn
    async def end_export(self, step: EndExport) -> None:
        self.ends.append(step)

    def _may_be_done(self, step: str) -> None:
        if step == self.never_done:
            self.tried += 1
            raise ApplicationError("the store is away")

    @property
    def end(self) -> EndExport:
        assert all(end == self.ends[0] for end in self.ends)
        return self.ends[0]


def begin(
    files: Files, seed: str = "", mishaps: Mishaps | None = None, report: ExportReport = ExportReport.AUDIT
) -> Run:
    simulation = Simulation(files.steps, random.Random(seed), mishaps)  # noqa: S311 - the same every time
    request = ExportRequest(export_id=EXPORT, report=report, format=ExportFormat.CSV, actor="staff:7")
    return simulation.start(ExportWorkflow.run, request, export_workflow_id(EXPORT))


def ended(run: Run) -> ExportProgress:
    run.simulation.run_until(lambda: run.ended is not None)
    progress = cast(ExportProgress, run.result())
    assert run.query(ExportWorkflow.progress) == progress
    assert run.query(ExportWorkflow.status).status == progress.status
    return progress


@pytest.mark.parametrize("number", range(12))
def test_every_part_is_written_once_whatever_dies_and_gets_lost(number: int) -> None:
    chance = random.Random(number)  # noqa: S311 - the same every time
    files = Files(parts=chance.randrange(0, 25))
    files.dies_at = {chance.randrange(files.parts) for _ in range(3) if files.parts}
    mishaps = Mishaps(answer_lost=0.2, worker_away=0.1) if number else None
    progress = ended(begin(files, str(number), mishaps))
    rows = files.parts * ROWS_OF_PART
    assert progress == ExportProgress(status=ExportStatus.DONE, rows_written=rows, row_count=rows)
    assert files.written == dict.fromkeys(range(files.parts), 1)
    assert set(files.joined) == {tuple(range(files.parts))}
    assert (files.end.status, files.end.sha256, files.end.size) == (ExportStatus.DONE, SHA256, 7)


def test_progress_is_told_part_by_part() -> None:
    files = Files(parts=4)
    run = begin(files)
    run.simulation.run_until(lambda: files.begun > 0)
    assert run.query(ExportWorkflow.progress) == ExportProgress(status=ExportStatus.RUNNING)
    run.simulation.run_until(lambda: run.query(ExportWorkflow.progress).rows_written == 2 * ROWS_OF_PART)
    assert run.query(ExportWorkflow.progress).row_count == 4 * ROWS_OF_PART
    told = run.query(ExportWorkflow.status)
    assert (told.waiting_for, told.next_action) == (WaitingFor.NOTHING, "100,000 of 200,000 rows are written.")


@pytest.mark.parametrize("by_operator", [True, False])
@pytest.mark.parametrize("after", [0, 2])
def test_a_canceled_export_writes_no_other_part(by_operator: bool, after: int) -> None:
    files = Files(parts=9)
    run = begin(files)
    run.simulation.run_until(lambda: files.begun > 0 and len(files.written) == after)
    if by_operator:
        run.cancel()
    else:
        run.signal(ExportWorkflow.cancel)
    assert ended(run).status is ExportStatus.CANCELED
    assert len(files.written) < 9
    assert files.joined == []
    assert (files.end.status, files.end.sha256) == (ExportStatus.CANCELED, None)


@pytest.mark.parametrize("step", ["begin_export", "write_part", "join_export", "render_report"])
def test_one_whose_step_never_succeeds_is_canceled_all_the_same(step: str) -> None:
    files = Files(never_done=step)
    run = begin(files, report=ExportReport.SALES if step == "render_report" else ExportReport.AUDIT)
    run.simulation.run_until(lambda: files.tried > 3)
    run.signal(ExportWorkflow.cancel)
    run.simulation.run_for(timedelta(hours=1))
    assert run.ended is not None
    assert cast(ExportProgress, run.result()).status is ExportStatus.CANCELED
    assert (files.end.status, files.end.sha256) == (ExportStatus.CANCELED, None)


def test_one_that_is_canceled_when_it_is_done_stays_done() -> None:
    files = Files()
    run = begin(files)
    run.simulation.run_until(lambda: bool(files.ends))
    run.signal(ExportWorkflow.cancel)
    assert ended(run).status is ExportStatus.DONE


def test_a_refused_snapshot_ends_it_with_the_word() -> None:
    files = Files(refusal=Reason.TOO_MANY_ROWS)
    run = begin(files)
    assert ended(run) == ExportProgress(status=ExportStatus.FAILED, reason=Reason.TOO_MANY_ROWS)
    assert files.end.reason is Reason.TOO_MANY_ROWS
    assert "at most 10,000 rows" in run.query(ExportWorkflow.status).next_action


def test_what_no_repetition_mends_ends_it_too() -> None:
    files = Files(broken_at=1)
    progress = ended(begin(files))
    assert (progress.status, progress.reason) == (ExportStatus.FAILED, Reason.INTERNAL)
    assert (files.end.status, files.joined) == (ExportStatus.FAILED, [])


def test_a_report_that_adds_up_is_one_step() -> None:
    files = Files()
    run = begin(files, mishaps=Mishaps(answer_lost=0.3), report=ExportReport.SALES)
    assert ended(run) == ExportProgress(status=ExportStatus.DONE, rows_written=4, row_count=4)
    assert {step.report for step in files.rendered} == {ExportReport.SALES}
    assert (files.written, files.joined) == ({}, [])
    assert (files.end.sha256, files.end.row_count, files.end.snapshot_at) == (
        SHA256,
        4,
        datetime(2026, 3, 2, tzinfo=UTC),
    )
