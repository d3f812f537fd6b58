"""What a run of a check has found, as a workbook: a line per finding, and a sheet that says of which run."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from io import BytesIO
from uuid import UUID
from zoneinfo import ZoneInfo

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.worksheet import Worksheet
from pydantic import ValidationError
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from temporalio import activity

from activities.database import Sessions
from activities.files import FileStore
from activities.one_line import one_line
from activities.spreadsheet_cells import WORKBOOK_MEDIA_TYPE, amount_format, put_text
from models.messages.documents import StoredFile
from models.messages.reconciliation import WriteFindings
from models.money import Money
from models.tables import Academy, CheckRun, CheckRunFinding, Finding, Order
from models.tables.columns import now

_COLUMNS = (
    ("kind", 22),
    ("order_number", 18),
    ("stripe_id", 32),
    ("expected", 14),
    ("found", 14),
    ("currency", 10),
    ("state", 12),
    ("since", 20),
    ("is_new", 8),
    ("is_healing", 11),
    ("reason", 90),
)
_MOMENT = "yyyy-mm-dd hh:mm"


@dataclass(frozen=True)
class ShownFinding:
    """A finding of the run, as it stands now; amounts in minor units."""

    kind: str
    order_number: str | None
    stripe_id: str | None
    expected: int | None
    found: int | None
    currency: str | None
    state: str
    since: datetime
    is_new: bool
    is_healing: bool
    reason: str


@dataclass(frozen=True)
class ShownRun:
    """What the sheet about the run says."""

    academy: str
    zone: ZoneInfo
    run: CheckRun


def workbook_key(run_id: UUID) -> str:
    """Where the workbook of a run is kept."""
    return f"check-runs/{run_id}.xlsx"


@dataclass
class FindingsWorkbookActivities:
    """The step that makes it."""

    sessions: Sessions
    files: FileStore
    executor: Executor

    @activity.defn
    async def write_findings(self, step: WriteFindings) -> StoredFile:
        """Make the workbook of the run, and keep its digest with the run. One that is there is made again."""
        async with self.sessions() as session:
            shown = await _shown_run(session, step.run_id)
            findings = await findings_to_show(session, step.run_id)
        loop = asyncio.get_running_loop()
        data = await loop.run_in_executor(self.executor, workbook_of, shown, findings)
        kept = await self.files.put(workbook_key(step.run_id), data, WORKBOOK_MEDIA_TYPE)
        async with self.sessions.begin() as session:
            await session.execute(
                update(CheckRun)
                .where(col(CheckRun.id) == step.run_id)
                .values(workbook_sha256=kept.sha256, updated_at=now())
            )
        return kept


async def findings_to_show(session: AsyncSession, run_id: UUID) -> list[ShownFinding]:
    """What the run has found, by kind and age."""
    query = (
        select(
            col(Finding.kind),
            col(Order.number),
            col(Finding.stripe_id),
            col(Finding.expected_amount),
            col(Finding.found_amount),
            col(Finding.currency),
            col(Finding.status),
            col(Finding.opened_at),
            col(CheckRunFinding.is_new),
            col(CheckRunFinding.is_healing),
            col(Finding.reason),
        )
        .join(CheckRunFinding, col(CheckRunFinding.finding_id) == col(Finding.id))
        .join(Order, (col(Order.id) == col(Finding.subject_id)) & (col(Finding.subject_kind) == "order"), isouter=True)
        .where(col(CheckRunFinding.run_id) == run_id)
        .order_by(col(Finding.kind), col(Finding.opened_at), col(Finding.id))
    )
    return [ShownFinding(*row) for row in await session.execute(query)]


async def _shown_run(session: AsyncSession, run_id: UUID) -> ShownRun:
    academy, zone = (await session.execute(select(col(Academy.name), col(Academy.time_zone)))).one()
    return ShownRun(academy, ZoneInfo(zone), await session.get_one(CheckRun, run_id))


def workbook_of(shown: ShownRun, findings: Sequence[ShownFinding]) -> bytes:
    """The workbook (XLSX): amounts are numbers in major units, moments are those of the academy's zone, text is text.

    An amount of a currency that we do not count stays in minor units.
    """
    book = Workbook(write_only=True)
    _write_findings(book.create_sheet("findings"), shown, findings)
    _write_run(book.create_sheet("run"), shown, findings)
    kept = BytesIO()
    book.save(kept)
    return kept.getvalue()


def _write_findings(sheet: Worksheet, shown: ShownRun, findings: Sequence[ShownFinding]) -> None:
    sheet.freeze_panes = "A2"
    sheet.auto_filter.ref = f"A1:{get_column_letter(len(_COLUMNS))}{len(findings) + 1}"
    for place, (_, width) in enumerate(_COLUMNS, start=1):
        sheet.column_dimensions[get_column_letter(place)].width = width
    sheet.append([_bold(sheet, name) for name, _ in _COLUMNS])
    for each in findings:
        sheet.append(
            [
                _text(sheet, each.kind),
                _text(sheet, each.order_number),
                _text(sheet, each.stripe_id),
                _amount(sheet, each.expected, each.currency),
                _amount(sheet, each.found, each.currency),
                _text(sheet, each.currency),
                _text(sheet, each.state),
                _moment(sheet, each.since, shown.zone),
                each.is_new,
                each.is_healing,
                _text(sheet, each.reason),
            ]
        )


def _write_run(sheet: Worksheet, shown: ShownRun, findings: Sequence[ShownFinding]) -> None:
    run = shown.run
    sheet.column_dimensions["A"].width, sheet.column_dimensions["B"].width = 20, 60
    facts = [
        ("academy", _text(sheet, shown.academy)),
        ("check", _text(sheet, f"{run.kind} ({run.scope})")),
        ("looked_from", _moment(sheet, run.looked_from, shown.zone)),
        ("looked_until", _moment(sheet, run.looked_until, shown.zone)),
        ("begun_at", _moment(sheet, run.created_at, shown.zone)),
        ("time_zone", _text(sheet, shown.zone.key)),
        ("findings", len(findings)),
        *((name, count) for name, count in sorted(run.counts.items())),
    ]
    for name, value in facts:
        sheet.append([_bold(sheet, name), value])


def _bold(sheet: Worksheet, text: str) -> WriteOnlyCell:
    cell = WriteOnlyCell(sheet, value=text)
    cell.font = Font(bold=True)
    return cell


def _text(sheet: Worksheet, text: str | None) -> WriteOnlyCell:
    """Text, whatever it begins with: no program takes it for a formula."""
    cell = WriteOnlyCell(sheet)
    put_text(cell, one_line(text or ""))
    return cell


def _amount(sheet: Worksheet, amount: int | None, currency: str | None) -> WriteOnlyCell:
    shown, places = _major(amount, currency or "")
    cell = WriteOnlyCell(sheet, value=shown)
    cell.number_format = amount_format(places)
    return cell


def _major(amount: int | None, currency: str) -> tuple[Decimal | None, int]:
    """The amount in major units, and how many decimals they have."""
    if amount is None:
        return None, 0
    try:
        units = Money(amount=abs(amount), currency=currency).decimal
    except ValidationError:
        return Decimal(amount), 0
    return (-units if amount < 0 else units), -int(units.as_tuple().exponent)


def _moment(sheet: Worksheet, moment: datetime | None, zone: ZoneInfo) -> WriteOnlyCell:
    """A date that programs can count with; they know no zones."""
    cell = WriteOnlyCell(sheet, value=None if moment is None else moment.astimezone(zone).replace(tzinfo=None))
    cell.number_format = _MOMENT
    return cell
