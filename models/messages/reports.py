"""What is said about the reports that schedules make."""

from datetime import date
from uuid import UUID

from pydantic import AwareDatetime

from models.messages.message import Message
from models.vocabulary import ExportReport


class PlanReport(Message):
    """Which days is a schedule's report about that is meant for this moment (UTC)?"""

    report: ExportReport
    moment: AwareDatetime


class PlannedReport(Message):
    """The days, in the academy's zone: `date_until` is the one after the last."""

    date_from: date
    date_until: date


class ReportRecipients(Message):
    """Who is sent a report, by their ids."""

    person_ids: tuple[UUID, ...] = ()


class ReportSent(Message):
    """What a schedule's report came to: its files, and how many were sent it."""

    days: PlannedReport
    export_ids: tuple[UUID, ...] = ()
    mails: int = 0
