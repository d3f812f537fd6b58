"""The result of a run over many learners, as a workbook."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from uuid import UUID

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.one_line import one_line
from activities.spreadsheet_cells import put_text
from models.tables import Certificate, CertificateBatchLine, Enrollment, Person
from models.vocabulary import CertificateStatus

_COLUMNS = (("position", 10), ("enrollment_id", 40), ("learner", 36), ("outcome", 16), ("ground", 24), ("numbers", 40))


@dataclass(frozen=True)
class ShownLine:
    """A learner of the run; without an outcome they did not have their turn."""

    position: int
    enrollment_id: UUID
    learner: str
    outcome: str | None
    ground: str | None
    numbers: str | None


async def lines_to_show(session: AsyncSession, batch_id: UUID) -> Sequence[ShownLine]:
    """All learners of the run in their order, with the numbers of the certificates that count."""
    numbers = (
        select(func.string_agg(col(Certificate.number), ", "))
        .where(
            col(Certificate.enrollment_id) == col(CertificateBatchLine.enrollment_id),
            col(Certificate.status) == CertificateStatus.ISSUED,
        )
        .scalar_subquery()
    )
    query = (
        select(
            col(CertificateBatchLine.position),
            col(CertificateBatchLine.enrollment_id),
            func.coalesce(col(Person.legal_name), col(Person.full_name)),
            col(CertificateBatchLine.outcome),
            col(CertificateBatchLine.ground),
            numbers,
        )
        .join(Enrollment, col(Enrollment.id) == col(CertificateBatchLine.enrollment_id))
        .join(Person, col(Person.id) == col(Enrollment.student_id))
        .where(col(CertificateBatchLine.batch_id) == batch_id)
        .order_by(col(CertificateBatchLine.position))
    )
    return [ShownLine(*row) for row in await session.execute(query)]


def workbook_of(lines: Sequence[ShownLine]) -> bytes:
    """The workbook (XLSX). Text is text, whatever it begins with: no program takes a name for a formula."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet("certificates")
    sheet.freeze_panes = "A2"
    for place, (_, width) in enumerate(_COLUMNS, start=1):
        sheet.column_dimensions[get_column_letter(place)].width = width
    heads = [WriteOnlyCell(sheet, value=name) for name, _ in _COLUMNS]
    for head in heads:
        head.font = Font(bold=True)
    sheet.append(heads)
    for line in lines:
        texts = (str(line.enrollment_id), line.learner, line.outcome or "no_turn", line.ground, line.numbers)
        cells = [WriteOnlyCell(sheet, value=line.position)]
        for text in texts:
            cell = WriteOnlyCell(sheet)
            put_text(cell, one_line(text or ""))
            cells.append(cell)
        sheet.append(cells)
    kept = BytesIO()
    book.save(kept)
    return kept.getvalue()
