"""What is said about mails: who gets which template about which fact. Never what is in it."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from models.messages.message import Message, WorkflowId
from models.vocabulary import MailStatus, MailTemplate


class SendMail(Message):
    """Send one mail, at most once in all time for recipient, template, subject and occasion (DESIGN §3.10)."""

    recipient_id: UUID
    template: MailTemplate
    subject_id: UUID
    workflow_id: WorkflowId
    occasion: str = Field(
        default="", pattern=r"^[a-z0-9_:+-]{0,48}$", description="which of several about the same fact, e.g. a reminder"
    )


class MailReport(Message):
    """What became of it."""

    mail_id: UUID
    status: MailStatus
    reason: str | None = Field(default=None, max_length=200)
    deferred_until: datetime | None = Field(
        default=None, description="when to try again, of marketing mail that the person may not get yet"
    )
