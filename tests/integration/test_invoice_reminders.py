"""Reminders of invoices that no job has sent: the one that is due is found, as long as the ledger does not know it."""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select, update
from sqlmodel import col

from activities.invoice_reminders import InvoiceReminderActivities
from activities.mail import MailActivities
from activities.orders import OrderActivities
from models.messages.recurring import DueReminders, FindReminders
from models.tables import Document, Invoice, Mail, Order
from models.tables.columns import now
from models.vocabulary import InvoiceStatus, MailStatus, MailTemplate, PaymentMethod
from rules.local_time import at_local
from sandbox.mailbox import Mailbox
from tests.integration.letter_steps import GRACE, order, send
from tests.integration.order_steps import STUDENTS, line

BERLIN = ZoneInfo("Europe/Berlin")
DAY = timedelta(days=1)


async def test_the_reminder_that_is_due_is_found_once(
    orders: OrderActivities, mails: MailActivities, mailbox: Mailbox
) -> None:
    steps = InvoiceReminderActivities(orders.sessions)
    placed = [await order(orders, line("spanish-a1", each), method=PaymentMethod.INVOICE) for each in STUDENTS[:3]]
    [first, second, third] = sorted(each.request.order_id for each in placed)
    async with orders.sessions() as session:
        due_on = (await session.execute(select(col(Invoice.due_on)).limit(1))).scalar_one()

    def half_past_nine(days: int) -> datetime:
        day: date = due_on + timedelta(days=days)
        return at_local(day, time(9, 30), BERLIN)

    async def found(moment: datetime, **more: object) -> dict[object, str]:
        page = await steps.find_reminders(FindReminders.model_validate({"moment": moment, **more}))
        assert {each.payer_id for each in page.reminders} <= {GRACE}
        return {each.order_id: each.occasion for each in page.reminders}

    # Nobody is reminded of an invoice that they have not got.
    assert await found(half_past_nine(7)) == {}
    stored = await mails.files.put("invoices/1.pdf", b"%PDF-", "application/pdf")
    async with orders.sessions.begin() as session:
        await session.execute(update(Document).values(file_key=stored.key, sha256=stored.sha256, printed={}))
    for each in (first, second, third):
        await send(mails, MailTemplate.INVOICE, each)

    everybody = (first, second, third)
    assert await found(half_past_nine(-4)) == {}
    assert await found(half_past_nine(-3) - timedelta(minutes=16)) == {}
    assert await found(half_past_nine(-3)) == dict.fromkeys(everybody, "before_3")
    # After a long outage the latest is enough; of one that is given up nobody is reminded.
    assert await found(half_past_nine(0)) == dict.fromkeys(everybody, "before_3")
    assert await found(half_past_nine(1)) == dict.fromkeys(everybody, "after_1")
    assert await found(half_past_nine(13)) == dict.fromkeys(everybody, "after_7")
    assert await found(half_past_nine(14)) == {}

    # The order's own job has sent it, or has it in hand: by the same key there is one.
    await send(mails, MailTemplate.INVOICE_REMINDER, first, occasion="after_1")
    async with orders.sessions.begin() as session:
        waiting = Mail(
            recipient_id=GRACE, template=MailTemplate.INVOICE_REMINDER, subject_id=second, occasion="after_1",
            status=MailStatus.QUEUED, workflow_id="order-of-a-test",
        )  # fmt: skip
        session.add(waiting)
    assert await found(half_past_nine(1)) == {third: "after_1"}
    assert await found(half_past_nine(7)) == dict.fromkeys(everybody, "after_7")
    page = await steps.find_reminders(FindReminders(moment=half_past_nine(7), limit=2))
    assert page.last == second
    assert await found(half_past_nine(7), after=page.last) == {third: "after_7"}

    mailbox.clear()
    report = await send(mails, MailTemplate.INVOICE_REMINDER, third, occasion="after_7")
    assert (report.status, len(mailbox.mails())) == (MailStatus.SENT, 1)
    async with orders.sessions.begin() as session:
        paid = update(Invoice).where(col(Invoice.order_id) == first)
        await session.execute(paid.values(status=InvoiceStatus.PAID, paid_amount=col(Invoice.amount), closed_at=now()))
        cancelled = update(Order).where(col(Order.id) == second)
        await session.execute(cancelled.values(status="cancelled"))
    assert await steps.find_reminders(FindReminders(moment=half_past_nine(7))) == DueReminders()
