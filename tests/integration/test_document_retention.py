"""Files whose time is over are deleted, others are not; whatever dies between is found again."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select
from sqlmodel import col
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from activities.certificate_templates import AssignedTemplate
from activities.certificates import CertificateActivities
from activities.database import Sessions
from activities.document_retention import DocumentRetentionActivities
from activities.files import FileStore
from activities.findings_workbook import workbook_key
from activities.orders import OrderActivities
from models.identifiers import export_workflow_id, new_id
from models.messages.recurring import DeleteFiles, FilesDeleted
from models.tables import CheckRun, Export, ExportChunk, ExportPart, NameCorrection
from models.vocabulary import (
    CheckKind,
    CheckStatus,
    CorrectionStatus,
    ExportFormat,
    ExportReport,
    ExportStatus,
)
from tests.integration.certified_places import a_place, blank, certify, confirm, issued, story_of, template

NOW = datetime(2026, 5, 4, 1, 30, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
STEP = DeleteFiles(moment=NOW, workflow_id="document-retention-of-a-test")


@pytest.fixture
def steps(sessions: Sessions, tmp_path: Path) -> DocumentRetentionActivities:
    return DocumentRetentionActivities(sessions, FileStore((tmp_path / "files").as_uri()))


def left(tmp_path: Path) -> list[str]:
    """The files that are left."""
    folder = tmp_path / "files"
    return sorted(each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file())


def export(status: ExportStatus, *, expires_at: datetime | None = None, made: timedelta = 8 * DAY) -> Export:
    export_id = new_id()
    return Export(
        id=export_id, created_at=NOW - made, report=ExportReport.ORDERS, format=ExportFormat.CSV, status=status,
        filters={}, asked_sha256="a" * 64, requested_by="staff:7", workflow_id=export_workflow_id(export_id),
        expires_at=expires_at, file_sha256=expires_at and "b" * 64, size=expires_at and 5,
        ended_at=None if status is ExportStatus.RUNNING else NOW - made,
    )  # fmt: skip


async def write(steps: DocumentRetentionActivities, *exports: Export, parts: Sequence[Export] = ()) -> None:
    async with steps.sessions.begin() as session:
        session.add_all(exports)
        await session.flush()
        for each in parts:
            session.add(ExportChunk(export_id=each.id, number=3, row_count=0, rows=[]))
            session.add(ExportPart(export_id=each.id, number=0, row_count=0, sha256="c" * 64, size=1))
    for each in exports:
        if each.expires_at is not None:
            await steps.files.put(f"exports/{each.id}/orders.csv", b"a,b\r\n", "text/csv")
    for each in parts:
        await steps.files.put(f"exports/{each.id}/part-00000", b"a", "text/csv")


async def statuses(steps: DocumentRetentionActivities) -> dict[UUID, tuple[str, str | None]]:
    async with steps.sessions() as session:
        return {
            each.id: (str(each.status), each.status_reason)
            for each in (await session.execute(select(Export))).scalars()
        }


async def pieces(steps: DocumentRetentionActivities) -> int:
    async with steps.sessions() as session:
        counts = [select(func.count()).select_from(table) for table in (ExportChunk, ExportPart)]
        return sum([(await session.execute(each)).scalar_one() for each in counts])


async def test_files_of_exports_are_kept_until_they_expire(steps: DocumentRetentionActivities, tmp_path: Path) -> None:
    over = export(ExportStatus.DONE, expires_at=NOW)
    kept = export(ExportStatus.DONE, expires_at=NOW + MINUTE)
    await write(steps, over, kept, parts=[over])
    assert await steps.expire_exports(STEP) == FilesDeleted(deleted=1)
    assert await steps.expire_exports(STEP) == FilesDeleted()
    assert left(tmp_path) == [f"exports/{kept.id}/orders.csv"]
    assert await statuses(steps) == {over.id: ("expired", None), kept.id: ("done", None)}
    assert await story_of(steps.sessions, over.id) == [("done", "expired", "its time is over")]
    assert await pieces(steps) == 0


async def test_what_dead_exports_leave_is_cleared(
    steps: DocumentRetentionActivities, real_temporal: Client, tmp_path: Path
) -> None:
    failed, done = export(ExportStatus.FAILED), export(ExportStatus.DONE, expires_at=NOW + DAY)
    just_ended, abandoned = export(ExportStatus.CANCELED, made=MINUTE), export(ExportStatus.RUNNING)
    alive, young = export(ExportStatus.RUNNING), export(ExportStatus.RUNNING, made=MINUTE)
    every = [failed, done, just_ended, abandoned, alive, young]
    await write(steps, *every, parts=every)
    # Stored a moment before their workers died: no row tells of these.
    for each in (failed, abandoned, alive):
        for name in ("part-00001", "orders.csv"):
            await steps.files.put(f"exports/{each.id}/{name}", b"a", "text/csv")
    # Nobody works on it; but it runs.
    running = await real_temporal.start_workflow("ExportWorkflow", id=alive.workflow_id, task_queue="nobody")
    environment = ActivityEnvironment(client=real_temporal)
    try:
        assert await environment.run(steps.clear_exports, STEP) == FilesDeleted(deleted=2)
        # It has failed now, and is cleared a day later.
        tomorrow = STEP.model_copy(update={"moment": datetime.now(UTC) + 2 * DAY})
        assert (await statuses(steps))[abandoned.id] == ("failed", "job_gone")
        assert await story_of(steps.sessions, abandoned.id) == [("running", "failed", "its job is gone")]
        assert (await statuses(steps))[alive.id] == (await statuses(steps))[young.id] == ("running", None)
        assert f"exports/{done.id}/orders.csv" in left(tmp_path)
        assert f"exports/{done.id}/part-00000" not in left(tmp_path)
        assert not {str(failed.id), str(abandoned.id)} & {each.split("/")[1] for each in left(tmp_path)}
        assert (await environment.run(steps.clear_exports, tomorrow)).deleted == 3
        assert {f"exports/{alive.id}/{name}" for name in ("part-00000", "orders.csv")} <= set(left(tmp_path))
    finally:
        await running.terminate("the test is over")


async def test_evidence_is_erased_ninety_days_after_the_decision(
    steps: DocumentRetentionActivities, orders: OrderActivities, tmp_path: Path
) -> None:
    await blank(orders.sessions)
    await certify(orders.sessions, "spanish-a1", AssignedTemplate(await template(orders.sessions, "for good")))
    await confirm(orders.sessions, "Łukasz Żółciński")
    certificate_id = await issued(CertificateActivities(orders.sessions), await a_place(orders.sessions, orders))

    def wish(decided_at: datetime | None) -> NameCorrection:
        return NameCorrection(
            certificate_id=certificate_id, requested_name="Łukasz Nowak", needs_person=True, requested_by="student:1",
            status=CorrectionStatus.REQUESTED if decided_at is None else CorrectionStatus.REJECTED,
            decided_at=decided_at, evidence_sha256="d" * 64, evidence_media_type="application/pdf",
        )  # fmt: skip

    over, torn, kept, open_ = (wish(NOW - at if at else None) for at in (90 * DAY, 91 * DAY, 89 * DAY, None))
    async with orders.sessions.begin() as session:
        session.add_all([over, torn, kept, open_])
    for each in (over, torn, kept, open_):
        await steps.files.put(f"certificate-evidence/{each.id}/{'d' * 64}", b"%PDF-", "application/pdf")
    # A file that went before, in a run that died, is no hindrance.
    await steps.files.delete_all(f"certificate-evidence/{torn.id}")
    assert await steps.erase_evidence(STEP) == FilesDeleted(deleted=2)
    assert await steps.erase_evidence(STEP) == FilesDeleted()
    assert left(tmp_path) == sorted(f"certificate-evidence/{each.id}/{'d' * 64}" for each in (kept, open_))
    async with orders.sessions() as session:
        erased = await session.get_one(NameCorrection, over.id)
        kept_rows = select(func.count()).where(col(NameCorrection.evidence_sha256).is_not(None))
        assert (await session.execute(kept_rows)).scalar_one() == 2
    assert (erased.evidence_sha256, erased.evidence_media_type, erased.status) == (None, None, "rejected")
    assert await story_of(steps.sessions, over.id) == [("rejected", "rejected", "evidence erased")]


async def test_workbooks_of_checks_are_kept_for_400_days(steps: DocumentRetentionActivities, tmp_path: Path) -> None:
    def run(ended: timedelta) -> CheckRun:
        return CheckRun(
            id=uuid4(), kind=CheckKind.RECONCILIATION, status=CheckStatus.DONE, scope="nightly", ended_at=NOW - ended,
            workbook_sha256="e" * 64, workflow_id="reconcile-nightly-of-a-test",
        )  # fmt: skip

    over, kept = run(400 * DAY), run(399 * DAY)
    async with steps.sessions.begin() as session:
        session.add_all([over, kept])
    for each in (over, kept):
        await steps.files.put(workbook_key(each.id), b"PK", "application/zip")
    assert await steps.delete_workbooks(STEP) == FilesDeleted(deleted=1)
    assert await steps.delete_workbooks(STEP) == FilesDeleted()
    assert left(tmp_path) == [workbook_key(kept.id)]
