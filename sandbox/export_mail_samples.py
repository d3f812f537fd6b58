"""Mails with made-up reports."""

from datetime import date, datetime, timedelta

from activities.errand import Pages, PublicPages
from activities.export_letters import ExportErrand, ToldExport
from activities.letters import EXPORT_LETTERS, set_letter
from activities.mail_rendering import RenderedMail
from models.messages.exports import ExportFilters
from models.tables import Export
from models.vocabulary import ExportFormat, ExportReport, ExportStatus, MailTemplate
from sandbox.mail_samples import NOW, PUBLIC, a_person, an_academy, an_id, drafted

_DAYS = {
    ExportReport.SALES: (date(2026, 2, 28), date(2026, 3, 1)),
    ExportReport.FINANCE: (date(2026, 2, 16), date(2026, 2, 23)),
    ExportReport.STATEMENT: (date(2026, 2, 1), date(2026, 3, 1)),
}


def export_errand(
    *, locale: str = "en", zone: str = "Europe/Dublin", name: str = "Grace Hopper", occasion: str = "",
    status: ExportStatus = ExportStatus.DONE, formats: tuple[ExportFormat, ...] = (ExportFormat.PDF, ExportFormat.XLSX),
    moment: datetime = NOW, pages: PublicPages = PUBLIC, is_recipient: bool = True, **_: object,
) -> ExportErrand:  # fmt: skip
    """A report that a schedule has made for the reader."""
    reader, report = a_person(name, locale=locale, zone=zone), ExportReport(occasion or ExportReport.SALES)
    first, end = _DAYS[report]
    is_done = status is ExportStatus.DONE
    files = tuple(
        Export(
            id=an_id(f"export {each}"), report=report, format=each, status=status,
            filters=ExportFilters(date_from=first, date_until=end).model_dump(mode="json"), asked_sha256="0" * 64,
            requested_by="schedule:daily-sales", snapshot_at=NOW if is_done else None,
            file_sha256="0" * 64 if is_done else None, size=1 if is_done else None,
            expires_at=NOW + timedelta(days=7) if is_done else None, workflow_id="export",
        )
        for each in formats
    )  # fmt: skip
    listed = frozenset({reader.id} if is_recipient else ())
    told = ToldExport(reader, an_academy(), files[0], files, listed)
    return ExportErrand(told, files[0].id, occasion, moment, Pages(public=pages))


def write_about_export(**told: object) -> RenderedMail:
    """The mail with a report."""
    errand = export_errand(**told)  # type: ignore[arg-type]
    return set_letter(
        MailTemplate.EXPORT_READY, errand, drafted(EXPORT_LETTERS[MailTemplate.EXPORT_READY].write(errand))
    )
