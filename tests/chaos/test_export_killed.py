"""Kill the worker in the middle of an export: it goes on after the part that is written, every row is there once."""

import asyncio
import csv
import signal
from collections import Counter
from io import StringIO
from uuid import uuid4

from sqlalchemy import func, select, text
from sqlmodel import col

from activities.export_files import export_key
from activities.files import FileStore
from models.identifiers import export_workflow_id
from models.listing import export_attributes
from models.messages.exports import ExportProgress, ExportRequest
from models.tables import AuditEntry, Export, ExportChunk, ExportPart
from models.vocabulary import ExportFormat, ExportReport, ExportStatus
from tests.chaos.deaths import dying_worker
from tests.installation import Installation
from worker import running_workers
from workflows.deployment import make_current
from workflows.export import ExportWorkflow
from workflows.queues import REGISTRAR_QUEUE

ROWS = 60_000
_FILL = text(
    "INSERT INTO audit_log (id, created_at, actor, subject_kind, subject_id, to_state, reason)"
    " SELECT gen_random_uuid(), now() - n * interval '1 second', 'system', 'thing', gen_random_uuid(), 'done',"
    " 'reason ' || n % 7 FROM generate_series(1, :rows) n"
)


async def test_an_export_goes_on_after_the_part_that_is_written(idle_installation: Installation) -> None:
    installation = idle_installation
    async with installation.sessions.begin() as session:
        await session.execute(_FILL, {"rows": ROWS})
        by_reason = select(col(AuditEntry.reason), func.count()).group_by(col(AuditEntry.reason))
        expected = Counter(dict(map(tuple, await session.execute(by_reason))))
    request = ExportRequest(
        export_id=uuid4(), report=ExportReport.AUDIT, format=ExportFormat.CSV, actor="staff:finance"
    )
    async with dying_worker(installation.settings, "write_part") as victim:
        await make_current(installation.temporal, installation.settings.worker_build_id)
        handle = await installation.temporal.start_workflow(
            ExportWorkflow.run,
            request,
            id=export_workflow_id(request.export_id),
            task_queue=REGISTRAR_QUEUE,
            search_attributes=export_attributes(),
        )
        assert await asyncio.wait_for(victim.wait(), 60) == -signal.SIGKILL
    async with installation.sessions() as session:
        first = (await session.execute(select(ExportPart))).scalar_one()
        assert (first.number, first.row_count) == (0, 50_000)

    async with running_workers(installation.temporal, installation.settings):
        progress = await asyncio.wait_for(handle.result(), 60)
    # The export itself is in the log before its snapshot.
    rows = sum(expected.values()) + 1
    assert rows > ROWS
    assert progress == ExportProgress(status=ExportStatus.DONE, rows_written=rows, row_count=rows)
    key = export_key(request.export_id, request.report, request.format)
    async with installation.sessions() as session:
        export = await session.get_one(Export, request.export_id)
        left = [await session.scalar(select(func.count()).select_from(each)) for each in (ExportPart, ExportChunk)]
    assert left == [0, 0]
    data = await FileStore(installation.settings.files_url).get(key, digest=export.file_sha256)
    written = list(csv.DictReader(StringIO(data.decode("utf-8-sig"), newline="")))
    assert Counter(row["Reason"] for row in written) == expected + Counter({"export begun": 1})
    assert len({row["Id"] for row in written}) == rows
    history = await handle.fetch_history()
    parts = [e for e in history.events if e.activity_task_scheduled_event_attributes.activity_type.name == "write_part"]
    assert len(parts) == 2
