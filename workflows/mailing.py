"""Sending one mail from a workflow."""

from uuid import UUID

from temporalio import workflow

from activities.mail import MailActivities
from models.messages.mail import MailReport, SendMail
from models.vocabulary import MailTemplate
from workflows.policies import MAIL


async def send_mail(
    recipient_id: UUID, template: MailTemplate, subject_id: UUID, *, summary: str, occasion: str = ""
) -> MailReport:
    """Have the mail sent, once in all time, and say what became of it."""
    return await workflow.execute_activity_method(
        MailActivities.send_mail,
        SendMail(
            recipient_id=recipient_id,
            template=template,
            subject_id=subject_id,
            workflow_id=workflow.info().workflow_id,
            occasion=occasion,
        ),
        summary=summary,
        **MAIL,
    )
