"""What is said to jobs that come back, and between them and the record."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from models.messages.learning import LateDrip
from models.messages.message import Message, WorkflowId


class ExpirySwept(Message):
    """The result of `ExpirySweepWorkflow`: how many jobs were woken."""

    places: int = 0
    certificates: int = 0


class SweepExpired(Message):
    """The input of `ExpirySweepWorkflow`; without a moment the run is about the one it is scheduled for."""

    moment: datetime | None = Field(default=None, description="what was over (UTC), of a run that goes on")
    after: LateDrip | None = Field(default=None, description="the last one that was reached before")
    is_past_places: bool = Field(default=False, description="whether it is at the certificates")
    swept: ExpirySwept = Field(default=ExpirySwept(), description="what was woken before")


class WakeExpired(Message):
    """Wake the jobs of what was over at this moment (UTC) and has not expired."""

    moment: datetime
    limit: int = Field(default=500, ge=1, le=5000)
    after: LateDrip | None = Field(default=None, description="the last one that was reached before")


class RemindOfInvoices(Message):
    """The input of `InvoiceRemindersWorkflow`; without a moment the run is about the one it is scheduled for."""

    moment: datetime | None = Field(default=None, description="which reminders are due (UTC), of a run that goes on")
    after: UUID | None = Field(default=None, description="the last order of the page before")


class FindReminders(Message):
    """Find reminders of invoices that were due at this moment (UTC), and that the mail ledger does not know."""

    moment: datetime
    after: UUID | None = None
    limit: int = Field(default=100, ge=1, le=1000)


class DueReminder(Message):
    """One that is to be sent, as the order's own job would send it."""

    order_id: UUID
    payer_id: UUID
    occasion: str = Field(max_length=48)


class DueReminders(Message):
    """A page of them; none is the last."""

    reminders: tuple[DueReminder, ...] = ()
    last: UUID | None = Field(default=None, description="where the next page begins; none: there are no more")


class RemindersSent(Message):
    """The result of `InvoiceRemindersWorkflow`."""

    sent: int = 0


class RetainDocuments(Message):
    """The input of `DocumentRetentionWorkflow`."""


class DeleteFiles(Message):
    """Delete a page of the files whose time was over at this moment (UTC)."""

    moment: datetime
    workflow_id: WorkflowId
    limit: int = Field(default=200, ge=1, le=5000)


class FilesDeleted(Message):
    """Of how many things files were deleted."""

    deleted: int = 0


class DocumentsRetained(Message):
    """The result of `DocumentRetentionWorkflow`: of how many things files were deleted."""

    exports: int = 0
    abandoned_exports: int = 0
    evidence: int = 0
    workbooks: int = 0
