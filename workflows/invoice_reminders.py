"""Reminders of open invoices that their orders' own jobs have not sent: one that was stopped, or waits for a worker."""

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from activities.invoice_reminders import InvoiceReminderActivities
    from models.messages.recurring import DueReminders, FindReminders, RemindersSent, RemindOfInvoices
    from models.vocabulary import MailTemplate
    from workflows.mailing import Outbox, send_mail
    from workflows.policies import TASK
    from workflows.round import Round
    from workflows.scheduled import scheduled_at

_TO_THE_NEWEST_BUILD = workflow.ContinueAsNewVersioningBehavior.AUTO_UPGRADE
PAGES = 10


@workflow.defn(name="InvoiceRemindersWorkflow", versioning_behavior=VersioningBehavior.PINNED)
class InvoiceRemindersWorkflow(Round):
    """One look at the record, as of the moment that it is scheduled for.

    A reminder bears the same key in the mail ledger as the order's own, so whoever comes second sends nothing.
    """

    TITLE = "Reminders of invoices"
    DOES = "Reminders that did not go out are looked for."

    @workflow.run
    async def run(self, remind: RemindOfInvoices) -> RemindersSent:
        """Send what is missing, a page at a time; after some pages another run goes on."""
        moment, sent = remind.moment or scheduled_at(), 0
        for _ in range(PAGES):
            page = await self._find(FindReminders(moment=moment, after=remind.after))
            await _send(page)
            sent += len(page.reminders)
            remind = RemindOfInvoices(moment=moment, after=page.last)
            if page.last is None:
                break
        else:
            workflow.continue_as_new(remind, initial_versioning_behavior=_TO_THE_NEWEST_BUILD)
        self._over(f"{sent} reminders had not gone out.")
        return RemindersSent(sent=sent)

    async def _find(self, page: FindReminders) -> DueReminders:
        return await workflow.execute_activity_method(
            InvoiceReminderActivities.find_reminders, page, summary="Look for reminders that did not go out", **TASK
        )


async def _send(page: DueReminders) -> None:
    outbox = Outbox()
    for due in page.reminders:
        outbox.post(
            send_mail(
                due.payer_id,
                MailTemplate.INVOICE_REMINDER,
                due.order_id,
                occasion=due.occasion,
                summary=f"Remind of the invoice, {due.occasion.replace('_', ' ')} days",
            )
        )
    await outbox.emptied()
