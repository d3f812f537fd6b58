"""Sending mails from a workflow."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from uuid import UUID

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from activities.mail import MailActivities
from models.identifiers import mail_id_for
from models.messages.mail import MailReport, SendMail
from models.vocabulary import MailStatus, MailTemplate
from workflows.policies import MAIL
from workflows.waiting import happened

# The clocks of the server and of the worker that named the moment may differ.
_AT_LEAST = timedelta(minutes=1)


async def send_mail(
    recipient_id: UUID, template: MailTemplate, subject_id: UUID, *, summary: str, occasion: str = ""
) -> MailReport:
    """Have the mail sent, once in all time, and say what became of it.

    A mail that cannot be written (its recipient has nothing to do with its subject any more) is told as bounced: a job
    never ends for the sake of a mail.
    """
    try:
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
    except ActivityError as error:
        if is_cancelled_exception(error):
            raise
        return MailReport(
            mail_id=mail_id_for(recipient_id, template, subject_id, occasion),
            status=MailStatus.BOUNCED,
            reason="not_written",
        )


async def send_marketing_mail(
    recipient_id: UUID,
    template: MailTemplate,
    subject_id: UUID,
    *,
    summary: str,
    occasion: str = "",
    interrupted: Callable[[], bool] = lambda: False,
) -> MailReport:
    """Have the mail sent once its recipient may get marketing mail (rules/marketing.py), and say what became of it.

    The ledger says until when it is deferred, and drops it when that gets too late. Only where the wait was
    `interrupted` the report is still a deferred one: the mail is queued, and sending it again goes on with it.
    """
    while True:
        report = await send_mail(recipient_id, template, subject_id, summary=summary, occasion=occasion)
        if report.deferred_until is None:
            return report
        until = max(report.deferred_until, workflow.now() + _AT_LEAST)
        if await happened(interrupted, until, summary="Until the person may get marketing mail"):
            return report


class Outbox:
    """Mails on their way. A mail server that is down holds up no payment: only the end of the job waits for them."""

    def __init__(self) -> None:
        self._sending: list[asyncio.Task[object]] = []

    def post(self, mail: Coroutine[object, object, object]) -> None:
        """Have it sent without waiting for it."""
        self._sending.append(asyncio.create_task(mail))

    @property
    def is_empty(self) -> bool:
        """Whether every mail has come to its end."""
        return all(mail.done() for mail in self._sending)

    async def emptied(self) -> None:
        """Wait until every mail has come to its end."""
        await asyncio.gather(*self._sending)
