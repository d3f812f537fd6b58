"""The wait for an invoice to be paid: sent, reminded of, paid in one or more parts, or given up."""

from zoneinfo import ZoneInfo

from temporalio import workflow

from activities.documents import DocumentActivities
from activities.orders import OrderActivities
from models.messages.documents import RenderDocument
from models.messages.orders import CancelOrder, InvoiceBalance, IssuedInvoice, RecordInvoicePayment
from models.money import Money
from models.vocabulary import MailTemplate, WaitingFor
from rules.invoicing import Reminder, cancelled_at, reminders
from workflows.mailing import send_mail
from workflows.order_run import OrderRun
from workflows.policies import DOCUMENTS, RECORD
from workflows.queues import DOCUMENTS_QUEUE
from workflows.waiting import happened

_NEVER_PAID = CancelOrder(actor="system", reason="invoice_unpaid")


class InvoiceWait:
    """Staff says by the signal `mark_paid` what came in; reminders and the end come by themselves."""

    def __init__(self, run: OrderRun, invoice: IssuedInvoice, total: Money) -> None:
        self._run, self._invoice = run, invoice
        zone = ZoneInfo(invoice.zone)
        self._reminders = list(reminders(invoice.due_on, zone))
        self._end = cancelled_at(invoice.due_on, zone)
        self._is_sent = False
        self.balance = InvoiceBalance(amount=total, paid=Money(amount=0, currency=total.currency))

    async def paid(self) -> bool:
        """Whether it was paid in full; if not, the wish to cancel is in the inbox."""
        self._run.outbox.post(self._send())
        self._tell()
        while not self.balance.is_paid:
            await self._until_something_happens()
            if self._run.inbox.received:
                await self._record_payments()
                self._tell()
            elif self._run.inbox.cancel is not None:
                return False
            elif workflow.now() >= self._end:
                self._run.inbox.cancel = _NEVER_PAID
                return False
            else:
                self._remind()
        return True

    async def settle(self, owed: Money) -> None:
        """Have what came in beyond `owed` paid back by hand, with what still comes in meanwhile.

        It comes last: a job that waited for anything after it could miss money.
        """
        await self._run.outbox.emptied()
        returned = owed
        while True:
            await self._record_payments()
            over = self.balance.paid - returned
            if over.amount <= 0:
                return
            # By its level, so that a job which is reset and sees all that came in at once knows what went back.
            known = workflow.patched("a surplus is known by its level")
            about = f"surplus-{self.balance.paid.amount}" if known else "surplus"
            await self._run.paying_back.by_hand(f"{over} more came in than is owed: pay it back.", about)
            returned += over

    async def _send(self) -> None:
        await workflow.execute_activity_method(
            DocumentActivities.render_document,
            RenderDocument(document_id=self._invoice.document_id),
            task_queue=DOCUMENTS_QUEUE,
            summary="Render the invoice",
            **DOCUMENTS,
        )
        await send_mail(
            self._run.request.payer_id,
            MailTemplate.INVOICE,
            self._run.request.order_id,
            summary="Mail the invoice",
        )
        self._is_sent = True

    async def _until_something_happens(self) -> None:
        inbox = self._run.inbox
        await happened(
            lambda: bool(inbox.received) or inbox.cancel is not None,
            self._reminders[0].at if self._reminders else self._end,
            summary="The invoice is open",
        )

    async def _record_payments(self) -> None:
        while self._run.inbox.received:
            self.balance = await workflow.execute_local_activity_method(
                OrderActivities.record_invoice_payment,
                RecordInvoicePayment(
                    order_id=self._run.request.order_id,
                    received=self._run.inbox.received.pop(0),
                    workflow_id=self._run.workflow_id,
                ),
                summary="Write down the money that came in",
                **RECORD,
            )

    def _remind(self) -> None:
        due = [reminder for reminder in self._reminders if reminder.at <= workflow.now()]
        self._reminders = self._reminders[len(due) :]
        if due:
            # After a long outage one reminder is enough: the latest.
            self._run.outbox.post(self._mail_reminder(due[-1]))

    async def _mail_reminder(self, reminder: Reminder) -> None:
        days = reminder.occasion
        await workflow.wait_condition(lambda: self._is_sent)
        await send_mail(
            self._run.request.payer_id,
            MailTemplate.INVOICE_REMINDER,
            self._run.request.order_id,
            occasion=days,
            summary=f"Remind of the invoice, {days.replace('_', ' ')} days",
        )

    def _tell(self) -> None:
        if self.balance.is_paid:
            return
        paid, amount = self.balance.paid, self.balance.amount
        part = f" {paid} of {amount} came in." if paid.amount else ""
        self._run.desk.tell(
            WaitingFor.PAYMENT,
            f"The invoice is due on {self._invoice.due_on}.{part} When money arrives, send `mark_paid`; an unpaid "
            "invoice is given up at the end.",
            due_at=self._end,
        )
