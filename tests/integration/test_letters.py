"""Every letter, from the record to the mailbox: what arrives, to whom, how often, and when nothing is sent."""

from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from icalendar import Calendar
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col

from activities.files import FileStore
from activities.letters import LETTERS
from activities.mail import MailActivities, SmtpSettings
from activities.orders import OrderActivities
from models.messages.orders import (
    ExtendHold,
    GrantApproval,
)
from models.tables import Mail, Payment
from models.tables.columns import now
from models.vocabulary import (
    DocumentKind,
    EnrollmentStatus,
    MailStatus,
    MailTemplate,
    PaymentMethod,
    PaymentStatus,
)
from rules.marketing import LISTS
from sandbox.mailbox import Mailbox
from tests.integration.completed_orders import change_person
from tests.integration.letter_steps import (
    GRACE,
    arrived,
    change,
    complete,
    order,
    pay_back,
    receipt_of,
    received,
    refusal,
    release,
    render,
    send,
    skipped,
    text_of,
)
from tests.integration.order_steps import (
    LUKASZ,
    STUDENTS,
    enroll,
    enrollments_of,
    line,
    person,
    slots_of,
    statements_of,
)

T = MailTemplate


@pytest.fixture
async def mails(orders: OrderActivities, mailbox: Mailbox, tmp_path: Path) -> MailActivities:
    return MailActivities(
        orders.sessions,
        FileStore((tmp_path / "files").as_uri()),
        SmtpSettings.from_url(mailbox.smtp_url, "TutorHub Academy <academy@registrar.test>", "registrar.test"),
        "https://academy.test/orders/{order_id}",
    )


# ---- the confirmation and its calendar ----


async def test_a_confirmation_brings_receipt_and_calendar(
    orders: OrderActivities, mails: MailActivities, mailbox: Mailbox
) -> None:
    slots = [slot.id for slot in (await slots_of(mails.sessions, "piano-pack"))[::3][:5]]
    step = await order(orders, line("piano-pack", GRACE, *slots), line("company-workshop", LUKASZ))
    order_id = await complete(orders, step)
    await render(mails, order_id)
    mail = await arrived(mails, mailbox, T.ORDER_CONFIRMATION, order_id)
    [receipt, (name, media_type, calendar)] = mail.attachments
    assert (receipt.media_type, receipt.name[:10]) == ("application/pdf", "receipt-R-")
    assert (name, media_type) == ("lessons.ics", "text/calendar")
    events = Calendar.from_ical(calendar).walk("VEVENT")
    assert {str(event["UID"]) for event in events} >= {f"{slot}@registrar.test" for slot in slots}
    assert len(events) == 6
    assert [str(event["SUMMARY"]) for event in events].count("Piano with Maya: five lessons") == 5
    [workshop] = [event for event in events if "Data literacy" in event["SUMMARY"]]
    assert str(workshop["SUMMARY"]) == "Data literacy for teams, one day: Workshop"
    assert str(workshop["LOCATION"]) == "Lindenstraße 12, Berlin"
    assert "All times are New York time." in text_of(mail)
    assert text_of(mail).count("Piano with Maya: five lessons\n") >= 5


async def test_a_confirmation_knows_what_was_there_before_and_what_was_lost(
    orders: OrderActivities, mails: MailActivities, mailbox: Mailbox
) -> None:
    await enroll(mails.sessions, orders, "spanish-a1", GRACE)
    step = await order(
        orders, line("language-bundle", GRACE), line("spanish-a1", GRACE), line("thesis-seminar", LUKASZ)
    )
    order_id = await complete(orders, step)
    lost = (await enrollments_of(mails.sessions, step))[-1]
    await pay_back(mails.sessions, step, lost.id)
    await render(mails, order_id)
    mail = await arrived(mails, mailbox, T.ORDER_CONFIRMATION, order_id)
    _, _, goes_on = text_of(mail).partition("What happens next")
    goes_on, _, _ = goes_on.partition("View your order")
    assert (
        goes_on.strip()
        == """\
- Two languages: Spanish A1 and French A2
  French A2: telling a story: Access is open now.
  Spanish A1 in twelve lessons: Access is already there.
- Spanish A1 in twelve lessons
  Access is already there, so nothing was charged.
- Thesis seminar (for Łukasz Żółciński)
  This place could not be given any more. What was paid for it goes back; a separate mail tells you how."""
    )
    assert len(mail.attachments) == 1


async def test_a_course_that_is_brought_anew_was_not_there_before(
    orders: OrderActivities, mails: MailActivities, mailbox: Mailbox
) -> None:
    over = now() - timedelta(days=1)
    await enroll(mails.sessions, orders, "spanish-a1", GRACE, status=EnrollmentStatus.COMPLETED, access_ends_at=over)
    order_id = await complete(orders, await order(orders, line("language-bundle", GRACE)))
    await render(mails, order_id)
    mail = await arrived(mails, mailbox, T.ORDER_CONFIRMATION, order_id)
    assert text_of(mail).count("Spanish A1 in twelve lessons:") == 1
    assert "already there" not in text_of(mail)


# ---- let in or not ----


async def test_an_approver_is_asked_and_reminded_and_nobody_else(
    orders: OrderActivities, mails: MailActivities, mailbox: Mailbox
) -> None:
    step = await order(orders, line("teacher-training", LUKASZ), line("spanish-a1", GRACE))
    order_id, maya = step.request.order_id, person("maya")
    first = await arrived(mails, mailbox, T.APPROVAL_REQUESTED, order_id, to=maya)
    reminder = await arrived(mails, mailbox, T.APPROVAL_REQUESTED, order_id, to=maya, occasion="reminder_1")
    assert first.subject.startswith("Please decide: order O-")
    assert reminder.subject.startswith("Reminder, please decide: order O-")
    for mail in (first, reminder):
        assert str(mail.message["To"]) == "Maya Lindqvist <maya.lindqvist@tutors.test>"
        assert "Grace Hopper asks for a place" in text_of(mail)
        assert "How to teach online (for Łukasz Żółciński)" in text_of(mail)
        assert "Spanish" not in text_of(mail)
        assert "Stockholm time" in text_of(mail)
        assert f"https://academy.test/orders/{order_id}" in text_of(mail)
    for stranger in (GRACE, LUKASZ, person("finance")):
        assert await refusal(mails, T.APPROVAL_REQUESTED, order_id, to=stranger) == ("mail_without_subject", True)
    await orders.grant_approval(GrantApproval(order_id=order_id, actor="staff:1", workflow_id=step.workflow_id))
    report = await send(mails, T.APPROVAL_REQUESTED, order_id, to=maya, occasion="reminder_2")
    assert (report.status, report.reason) == (MailStatus.SKIPPED, "already_decided")
    mail = await arrived(mails, mailbox, T.ORDER_APPROVED, order_id)
    assert "pay €499.00 by" in text_of(mail)


async def test_a_denial_and_a_cancellation_say_that_nothing_is_owed(
    orders: OrderActivities, mails: MailActivities, mailbox: Mailbox
) -> None:
    step = await order(orders, line("teacher-training", GRACE))
    assert await skipped(mails, mailbox, T.ORDER_DENIED, step.request.order_id) == "order_pending_payment"
    await release(orders, step, "denied:not_eligible")
    cancelled = await order(orders)
    await release(orders, cancelled, "course_changed")
    mail = await arrived(mails, mailbox, T.ORDER_CANCELLED, cancelled.request.order_id)
    assert "You owe nothing any more" in text_of(mail)
    again = await order(orders, line("teacher-training", GRACE))
    await release(orders, again, "denied:not_eligible")
    mail = await arrived(mails, mailbox, T.ORDER_DENIED, again.request.order_id)
    assert "the requirements of the course are not met" in text_of(mail)


# ---- payments ----


async def test_payments_under_way_are_told_of(orders: OrderActivities, mails: MailActivities, mailbox: Mailbox) -> None:
    step = await order(orders)
    order_id = step.request.order_id
    await change(mails, Payment, status=PaymentStatus.REQUIRES_ACTION, checkout_url="https://pay.test/c/1")
    mail = await arrived(mails, mailbox, T.PAYMENT_ACTION_REQUIRED, order_id)
    assert "Confirm the payment: https://pay.test/c/1" in text_of(mail)
    await change(mails, Payment, status=PaymentStatus.PROCESSING)
    mail = await arrived(mails, mailbox, T.PAYMENT_PROCESSING, order_id)
    assert "The place is kept for you until" in text_of(mail)


async def test_each_round_of_declines_is_told_of_once(
    orders: OrderActivities, mails: MailActivities, mailbox: Mailbox
) -> None:
    step = await order(orders)
    order_id = step.request.order_id
    await change(mails, Payment, decline_code="insufficient_funds", checkout_url="https://pay.test/c/1")
    hold = ExtendHold(
        order_id=order_id, until=now() + timedelta(minutes=30), resting_until=now() + timedelta(minutes=15),
        reason="declined_too_often", workflow_id=step.workflow_id,
    )  # fmt: skip
    await orders.extend_hold(hold)
    for name in ("round_1", "round_2"):
        mail = await arrived(mails, mailbox, T.PAYMENT_DECLINED, order_id, occasion=name)
        assert "not enough money" in text_of(mail)
        assert "You can try again from" in text_of(mail)
        assert "insufficient_funds" not in text_of(mail)
        assert f"Pay now: https://academy.test/orders/{order_id}" in text_of(mail)
    await send(mails, T.PAYMENT_DECLINED, order_id, occasion="round_2")
    assert len(mailbox.mails()) == 1
    async with mails.sessions() as session:
        rows = (await session.execute(select(Mail).order_by(col(Mail.occasion)))).scalars().all()
    assert [(row.occasion, row.status) for row in rows] == [("round_1", "sent"), ("round_2", "sent")]
    assert len({row.id for row in rows}) == 2


@pytest.mark.parametrize(
    "template", [T.ORDER_APPROVED, T.PAYMENT_ACTION_REQUIRED, T.PAYMENT_PROCESSING, T.PAYMENT_DECLINED]
)
async def test_what_is_over_is_skipped_and_the_ledger_says_why(
    orders: OrderActivities, mails: MailActivities, mailbox: Mailbox, template: MailTemplate
) -> None:
    done = await complete(orders, await order(orders))
    assert await skipped(mails, mailbox, template, done) == "order_completed"
    off = await order(orders, line("french-a2", GRACE))
    await release(orders, off, "hold_expired")
    assert await skipped(mails, mailbox, template, off.request.order_id) == "order_cancelled"
    async with mails.sessions() as session:
        rows = (await session.execute(select(Mail).order_by(col(Mail.created_at)))).scalars().all()
    assert [(row.status, row.status_reason, row.sent_at) for row in rows] == [
        ("skipped", "order_completed", None), ("skipped", "order_cancelled", None),
    ]  # fmt: skip


# ---- papers ----


async def test_an_invoice_is_mailed_reminded_of_and_forgotten_when_paid(
    orders: OrderActivities, mails: MailActivities, mailbox: Mailbox
) -> None:
    step = await order(orders, method=PaymentMethod.INVOICE)
    order_id = step.request.order_id
    assert await refusal(mails, T.INVOICE, order_id) == ("document_not_ready", False)
    [bill] = await render(mails, order_id)
    mail = await arrived(mails, mailbox, T.INVOICE, order_id)
    assert mail.subject.startswith(f"Invoice {bill.number} for your order O-")
    assert [(each.name, each.media_type, each.content[:5]) for each in mail.attachments] == [
        (f"invoice-{bill.number}.pdf", "application/pdf", b"%PDF-")
    ]
    await received(orders, step, 900)
    mail = await arrived(mails, mailbox, T.INVOICE_REMINDER, order_id, occasion="after_7")
    assert "€40.00 of invoice" in text_of(mail)
    assert "€9.00 of €49.00 has already arrived" in text_of(mail)
    assert "your order is cancelled on" in text_of(mail)
    assert len(mail.attachments) == 1
    await received(orders, step, 4000)
    report = await send(mails, T.INVOICE_REMINDER, order_id, occasion="before_3")
    assert (report.status, report.reason) == (MailStatus.SKIPPED, "invoice_paid")


async def test_an_order_given_up_forgets_its_invoice_and_gives_a_part_back(
    orders: OrderActivities, mails: MailActivities, mailbox: Mailbox
) -> None:
    step = await order(orders, method=PaymentMethod.INVOICE)
    await received(orders, step, 900)
    await release(orders, step, "invoice_unpaid")
    assert await skipped(mails, mailbox, T.INVOICE_REMINDER, step.request.order_id) == "invoice_void"
    mail = await arrived(mails, mailbox, T.ORDER_CANCELLED, step.request.order_id)
    assert "was not paid in time" in text_of(mail)
    assert "The €9.00 that had already arrived goes back" in text_of(mail)


async def test_each_reason_to_pay_back_has_its_mail_with_its_credit_notes(
    orders: OrderActivities, mails: MailActivities, mailbox: Mailbox
) -> None:
    step = await order(orders, line("thesis-seminar", GRACE), line("spanish-a1", GRACE), line("french-a2", LUKASZ))
    order_id = await complete(orders, step)
    seat, opened, other = await enrollments_of(mails.sessions, step)
    assert await skipped(mails, mailbox, T.REFUND, order_id) == "nothing_goes_back"
    await pay_back(mails.sessions, step, seat.id)
    assert await refusal(mails, T.REFUND, order_id, occasion="seat_lost") == ("document_not_ready", False)
    await pay_back(mails.sessions, step, opened.id, other.id, reason="provisioning_failed")
    papers = {document.id: document for document in await render(mails, order_id)}
    lost = await arrived(mails, mailbox, T.REFUND, order_id, occasion="seat_lost")
    assert "the last seat had just gone" in text_of(lost)
    assert "- Thesis seminar: €120.00" in text_of(lost)
    assert "Spanish" not in text_of(lost)
    both = await arrived(mails, mailbox, T.REFUND, order_id, occasion="provisioning_failed")
    assert "- French A2: telling a story (for Łukasz Żółciński): €59.00" in text_of(both)
    assert "Total: €108.00" in text_of(both)
    notes = [paper.number for paper in papers.values() if paper.kind == DocumentKind.CREDIT_NOTE]
    names = [each.name for mail in (lost, both) for each in mail.attachments]
    assert sorted(names) == sorted(f"credit-note-{number}.pdf" for number in notes)


async def test_copies_are_mailed_as_often_as_they_are_asked_for(
    orders: OrderActivities, mails: MailActivities, mailbox: Mailbox
) -> None:
    step = await order(orders)
    order_id = await complete(orders, step)
    [place] = await enrollments_of(mails.sessions, step)
    await pay_back(mails.sessions, step, place.id)
    first = (await render(mails, order_id))[0]
    for document in await render(mails, order_id):
        for copy in ("copy_1", "copy_2"):
            mail = await arrived(mails, mailbox, T.DOCUMENT_COPY, document.id, occasion=copy)
            assert document.number in mail.subject
            [attached] = mail.attachments
            assert attached.name == f"{document.kind.replace('_', '-')}-{document.number}.pdf"
    mailbox.clear()
    await send(mails, T.DOCUMENT_COPY, first.id, occasion="copy_1")
    assert mailbox.mails() == []
    assert await refusal(mails, T.DOCUMENT_COPY, first.id, to=LUKASZ) == ("mail_without_subject", True)


# ---- every letter ----


# Marketing mail is looked at before it is written: see test_cart_mail.py.
@pytest.mark.parametrize("template", sorted(set(MailTemplate) - set(LISTS)))
async def test_nothing_is_told_to_a_stranger_or_of_nothing(
    orders: OrderActivities, mails: MailActivities, mailbox: Mailbox, template: MailTemplate
) -> None:
    step = await order(orders)
    order_id = await complete(orders, step)
    [receipt] = await render(mails, order_id)
    subject_id = receipt.id if template is T.DOCUMENT_COPY else order_id
    for stranger in (LUKASZ, person("maya")):
        assert await refusal(mails, template, subject_id, to=stranger) == ("mail_without_subject", True)
    assert await refusal(mails, template, uuid4()) == ("mail_without_subject", True)
    assert mailbox.mails() == []


async def test_a_confirmation_of_an_open_order_and_an_invoice_that_never_was_have_no_subject(
    orders: OrderActivities, mails: MailActivities
) -> None:
    step = await order(orders)
    for template in (T.ORDER_CONFIRMATION, T.INVOICE, T.INVOICE_REMINDER):
        assert await refusal(mails, template, step.request.order_id) == ("mail_without_subject", True)


async def test_who_cannot_be_reached_bounces_and_what_is_over_is_skipped_first(
    orders: OrderActivities, mails: MailActivities, mailbox: Mailbox
) -> None:
    step = await order(orders, method=PaymentMethod.INVOICE)
    await change_person(mails.sessions, "grace", email="nobody")
    report = await send(mails, T.INVOICE, step.request.order_id)
    assert (report.status, report.reason) == (MailStatus.BOUNCED, "address_invalid")
    await release(orders, step, "invoice_unpaid")
    assert await skipped(mails, mailbox, T.INVOICE_REMINDER, step.request.order_id) == "invoice_void"


_STATEMENTS = {
    T.ORDER_CONFIRMATION: 5, T.DOCUMENT_COPY: 4, T.REFUND: 4, T.PLACE_ENDED: 4, T.REFUND_NOTICE: 4
}  # fmt: skip


@pytest.mark.parametrize("template", LETTERS)
async def test_the_record_is_read_in_the_same_few_statements_however_long_the_order(
    orders: OrderActivities, mails: MailActivities, engine: AsyncEngine, template: MailTemplate
) -> None:
    many = [line("language-bundle", who) for who in STUDENTS] + [line("company-workshop", who) for who in STUDENTS]
    for lines in ([line("study-skills", LUKASZ)], many):
        step = await order(orders, *lines)
        order_id = await complete(orders, step)
        if len(lines) > 1:
            await pay_back(mails.sessions, step, *(place.id for place in await enrollments_of(mails.sessions, step)))
        subject_id = (await receipt_of(mails, order_id)) if template is T.DOCUMENT_COPY else order_id
        async with mails.sessions() as session:
            with statements_of(engine) as sent:
                facts = await LETTERS[template].load(session, subject_id, GRACE)
        assert facts is not None
        assert len(facts.lines) == len(lines)
        # What somebody had before of a bundle is asked where there is one.
        has_bundle = template is T.ORDER_CONFIRMATION and len(lines) > 1
        assert len(sent) == _STATEMENTS.get(template, 3) + has_bundle
