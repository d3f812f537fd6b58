"""The letter with a report that a schedule has made: what it is about, and links to its files."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from sqlalchemy import select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from temporalio.exceptions import ApplicationError

from activities.errand import Addressed, Draft, Skipped
from activities.export_links import ExportLink, download_address, link_token, recipient
from activities.mail_rendering import Words
from models.messages.exports import ExportFilters
from models.tables import Academy, Export, Person, ReportRecipient
from models.vocabulary import ExportFormat, ExportStatus

_NOT_DONE = "export_not_done"
_FORMATS = (ExportFormat.PDF, ExportFormat.XLSX)


class ExportNotDoneError(ApplicationError):
    """Its file is still being written: the mail waits for it."""

    def __init__(self) -> None:
        super().__init__("the export is not done yet", type=_NOT_DONE)


@dataclass(frozen=True)
class ToldExport:
    """A report that was made, in all its formats, and who is sent it now."""

    recipient: Person
    academy: Academy
    export: Export
    files: tuple[Export, ...]
    recipient_ids: frozenset[UUID]


@dataclass(frozen=True)
class ExportErrand(Addressed[ToldExport]):
    """One mail with a report."""

    @property
    def links(self) -> dict[str, str]:
        """Where each format is to be had, without a login; none where nothing signs such links.

        They are for the recipient alone, and are good for as long as the files are kept.
        """
        pages = self.pages.public
        if pages.link_secret is None:
            return {}
        bearer = recipient(self.recipient.id)
        return {
            each.format: download_address(
                pages.url, link_token(pages.link_secret, ExportLink(each.id, bearer), each.expires_at)
            )
            for each in self.facts.files
            if each.expires_at is not None
        }

    @property
    def days(self) -> str:
        """The days that the report is about."""
        filters = ExportFilters.model_validate(self.facts.export.filters)
        if filters.date_from is None or filters.date_until is None:
            return ""
        return self._days(filters.date_from, filters.date_until - timedelta(days=1))

    def _days(self, first: date, last: date) -> str:
        words = self.words
        if first == last:
            return words.day(first)
        return words.texts.say("export_ready.from_to", first=words.day(first), last=words.day(last))


async def facts_of_export(session: AsyncSession, export_id: UUID, recipient_id: UUID) -> ToldExport | None:
    """The report for a mail to this person; none if one of the two does not exist."""
    query = (
        select(Person, Academy, Export)
        .select_from(Export)
        .join(Person, col(Person.id) == recipient_id)
        .join(Academy, true())
        .where(col(Export.id) == export_id)
    )
    found = (await session.execute(query)).one_or_none()
    if found is None:
        return None
    person, academy, export = found
    # The others that the same job has made are of the same days, for the same schedule, and the last before it or next.
    others = select(Export).where(
        col(Export.requested_by) == export.requested_by,
        col(Export.report) == export.report,
        col(Export.filters) == export.filters,
        col(Export.format) != export.format,
        col(Export.status) == ExportStatus.DONE,
    )
    same = sorted(
        (await session.scalars(others)).all(), key=lambda each: abs(each.created_at - export.created_at), reverse=True
    )
    by_format = {each.format: each for each in same} | {export.format: export}
    files = tuple(by_format[format_] for format_ in _FORMATS if format_ in by_format)
    listed = select(col(ReportRecipient.person_id)).where(col(ReportRecipient.report) == export.report)
    return ToldExport(person, academy, export, files, frozenset((await session.scalars(listed)).all()))


def listed_recipients(facts: ToldExport) -> Collection[UUID]:
    """Who is sent the report."""
    return facts.recipient_ids


def export_ready(errand: ExportErrand) -> Draft | Skipped:
    """What the report is about, of when it is, and where its files are. Raises `ExportNotDoneError`."""
    export, words = errand.facts.export, errand.words
    if export.status == ExportStatus.RUNNING:
        raise ExportNotDoneError
    if export.status != ExportStatus.DONE or export.snapshot_at is None or export.expires_at is None:
        return Skipped(f"export_{export.status}")
    clocks = Words(errand.recipient.locale, errand.facts.academy.time_zone)
    return Draft(
        key=f"export_ready.{export.report}",
        values={
            "days": errand.days,
            "snapshot": clocks.moment(export.snapshot_at),
            "links": errand.links,
            "until": words.moment(export.expires_at),
        },
    )
