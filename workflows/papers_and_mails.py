"""Having papers made and mails sent that a check has found missing, or a person wants once more."""

import asyncio
from datetime import timedelta
from uuid import UUID

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from activities.documents import DocumentActivities
from models.messages.checks import MailToSend, ToPutRight
from models.messages.documents import RenderDocument
from workflows.mailing import Outbox, send_mail
from workflows.policies import DOCUMENTS
from workflows.queues import DOCUMENTS_QUEUE

# What cannot be made by then is found again by the next run.
_TRIED_FOR = timedelta(minutes=10)
_AT_ONCE = 50


async def make_papers(wanted: ToPutRight) -> None:
    """Have the documents made, byte for byte as they would have been. One that cannot be made stops no other."""
    turn = asyncio.Semaphore(_AT_ONCE)

    async def make(document_id: UUID) -> None:
        async with turn:
            await _make(document_id)

    await asyncio.gather(*(make(each) for each in wanted.document_ids))


def post_mails(wanted: ToPutRight, outbox: Outbox) -> None:
    """Have the mails sent, by the keys that their jobs use: there is one of each."""
    turn = asyncio.Semaphore(_AT_ONCE)
    for mail in wanted.mails:
        outbox.post(_sent(mail, turn))


async def _sent(mail: MailToSend, turn: asyncio.Semaphore) -> None:
    async with turn:
        await send_mail(
            mail.recipient_id,
            mail.template,
            mail.subject_id,
            occasion=mail.occasion,
            summary=f"Send what did not go out: {mail.template.replace('_', ' ')}",
        )


async def _make(document_id: UUID) -> None:
    try:
        await workflow.execute_activity_method(
            DocumentActivities.render_document,
            RenderDocument(document_id=document_id),
            task_queue=DOCUMENTS_QUEUE,
            summary="Render a paper that is missing",
            schedule_to_close_timeout=_TRIED_FOR,
            **DOCUMENTS,
        )
    except ActivityError as error:
        if is_cancelled_exception(error):
            raise
        workflow.logger.warning("a document could not be made: it is found again")
